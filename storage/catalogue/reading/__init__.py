"""Reading cases: rows by id and by list, and the facts that rules are asked about."""
