"""The HTTP API: what all its routes share, and one folder or file for each noun."""
