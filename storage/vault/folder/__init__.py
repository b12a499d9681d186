"""Objects in a local folder."""
