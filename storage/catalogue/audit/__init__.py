"""The audit: rows, entries, static log and sessions compared; the replay of the log."""
