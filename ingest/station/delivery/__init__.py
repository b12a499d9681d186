"""Delivery to a centre over a network that may be away: client, clock, spool, witness."""
