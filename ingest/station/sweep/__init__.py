"""One look at one bay: census, each file on its way, clearing, and what the bay shows of it."""
