"""The one way in: watch, settle, probe, inspect, seal, deliver, accession, clear."""
