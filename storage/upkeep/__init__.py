"""Upkeep of what is stored: fixity, holds in the store, destruction, left-over objects."""
