"""Recordings over HTTP: lists, details, and play by byte range."""
