"""A bay and the volume in it: looked at, found whole, counted, offered."""
