"""The station process: its home, its threads, and the kiosk at the dock."""
