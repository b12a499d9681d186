"""Requirements with a deadline in days or working days."""
