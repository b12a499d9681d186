"""The station's side of intake: sweep, seal, journal, clear."""
