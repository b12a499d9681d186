"""The custody log: C2SP tlog-tiles, proofs, checkpoints; its pure part needs no database."""
