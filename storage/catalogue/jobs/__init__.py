"""Durable jobs in the catalogue."""
