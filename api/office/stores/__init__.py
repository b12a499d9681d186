"""The stores of an office: opened, recognised, archived to."""
