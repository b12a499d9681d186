"""Retention in the catalogue: reasons, classes, dispositions."""
