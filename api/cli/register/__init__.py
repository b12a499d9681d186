"""Commands upon the register: accounts, officers, recorders, cameras, stations."""
