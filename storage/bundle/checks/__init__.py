"""The checks of a bundle, one module each, from its log to its verdicts."""
