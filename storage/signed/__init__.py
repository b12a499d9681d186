"""Signed documents: canonical bytes, signatures, fingerprints of keys."""
