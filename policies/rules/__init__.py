"""Rules: the rulebook read from YAML, and its judgement over facts."""
