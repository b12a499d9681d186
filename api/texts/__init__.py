"""Texts that people read, Chinese first, as data that a lawyer can edit; and their loading."""
