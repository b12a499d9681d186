"""Facts that rules are asked about, findings that they answer with, and their vocabulary."""
