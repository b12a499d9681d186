"""Media: the sandbox that all media tools run in, and what is asked of them."""
