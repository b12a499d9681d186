"""How a station ends that was told to: amid the block in hand, which is left as a crash would."""


class StoppingError(BaseException):
    """The station was told to stop, and what it had in hand is left as a crash would leave it.

    No `Exception`: nothing that keeps a look going, whatever one file brings about, may keep this.
    """
