"""Oversight: duties and their dates, random checks, forecast."""
