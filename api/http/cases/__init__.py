"""Cases, actions and exhibits over HTTP."""
