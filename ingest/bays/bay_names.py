"""Names of bays that no setting gives."""

HANDED_IN = "handed-in"  # what persons upload
CAMERAS = "cameras"  # what recorded cameras leave
BY_HAND = "by-hand"  # what a person names at the command line
