"""The kinds of jobs, one module each: its work, and the transaction that settles it."""
