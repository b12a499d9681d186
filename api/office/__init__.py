"""The opened office and the use cases that every face shares; no HTTP, no page, no command."""
