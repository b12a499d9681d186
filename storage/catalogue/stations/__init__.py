"""Stations in the catalogue: enrolment, keys; and a station's own journal."""
