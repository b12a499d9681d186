"""The Merkle tree of the log: tree, partial tree, tiles, proofs. Pure."""
