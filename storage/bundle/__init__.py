"""Bundles: exports that verify offline, without us and without the database."""
