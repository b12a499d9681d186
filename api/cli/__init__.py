"""The command line: one module a command, grouped by subject; help, output and errors beside it."""
