"""Persons in the catalogue: accounts, sessions, register of officers and sources."""
