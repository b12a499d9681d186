"""The HTTP API's routes, by the noun they are about."""
