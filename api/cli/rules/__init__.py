"""Commands upon rules: check, explain, duties, random checks."""
