"""Decisions: pure functions over frozen facts. No input or output, no clock, no database."""
