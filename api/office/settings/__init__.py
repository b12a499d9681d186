"""Settings: each with its source and its text; the only part that reads the environment."""
