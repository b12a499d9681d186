"""Retention: periods, holds, releases, dispositions, capacity."""
