"""Recordings in the catalogue: rows, clocks, uploads, hand-ins."""
