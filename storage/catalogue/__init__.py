"""The catalogue: what stands about recordings, cases and people, in one database."""
