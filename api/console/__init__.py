"""The console: server-rendered pages in Chinese; what they do goes through the HTTP API."""
