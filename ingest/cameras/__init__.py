"""Room cameras: the conversation with one, and its recording in segments."""
