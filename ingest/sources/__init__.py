"""Recorder families as data: what names, folders and sidecars say about a file."""
