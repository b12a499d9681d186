"""Objects in S3: the store, its address, its refusals."""
