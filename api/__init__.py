"""Every face: HTTP API, console, command line, station. Authorise, call, answer."""
