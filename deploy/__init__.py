"""How the county's servers are put together; no room imports this."""
