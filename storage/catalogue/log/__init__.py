"""The custody log in the catalogue: append, read, states of rows, discrepancies."""
