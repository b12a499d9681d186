"""Use cases upon evidence: export, check, move, archive; the log and its keys."""
