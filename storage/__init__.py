"""What is kept: sealed objects, catalogue, custody log, keys, fixity."""
