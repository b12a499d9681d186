"""Sealed objects: payload, envelope, keys, and the stores that keep them."""
