"""Commands upon evidence: take in, check, export, keep; the log and its keys."""
