"""Entries of the log: event, actor, subjects, chains, time. Pure."""
