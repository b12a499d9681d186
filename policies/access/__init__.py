"""Access: who may do what, whom a matter concerns, who is drawn."""
