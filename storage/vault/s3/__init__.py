"""Objects in S3: the store, its versions, its requests, its address, its refusals."""
