"""Durable jobs over HTTP."""
