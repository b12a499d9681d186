"""Rows and log joined: rows proven before acts, chains of cases, keys, rulebooks, publication."""
