"""Retention over HTTP: why recordings are kept, classes, keeping for less."""
