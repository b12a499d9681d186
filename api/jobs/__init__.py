"""What can be done in the background: one module per kind of job, and how one is run."""
