"""Commands that run or set up processes: service, station, worker, demonstration."""
