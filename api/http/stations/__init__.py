"""Stations over HTTP: what they ask as machines, and what administrators see of them."""
