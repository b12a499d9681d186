"""Resumable uploads over HTTP (tus 1.0): by stations, and by logged-in persons."""
