"""Sample volumes and a sample case, for the demonstration, the bench and the tests."""
