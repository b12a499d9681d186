"""The kinds of jobs, one module each: what is done, and the transaction that settles it."""
