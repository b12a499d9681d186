"""Time: intervals, the Chinese calendar, clocks and their trust; how times are worded."""
