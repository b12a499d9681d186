"""One module per requirement: each a pure function from facts to an outcome."""
