"""The equipment of a station: journal, centre, keys, clocks and settings, all handed in.

Every part of a station works with the same equipment, and reads it when it needs it: a key or a
setting that is changed counts for the next file.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingest.bays.bay import Progress
from ingest.bays.settle import Patience
from ingest.centre_protocol import Centre
from ingest.media.sandbox import USUAL, Effort, Sandbox
from ingest.sources.profile_files import Profile
from ingest.station.clear import Clearing
from ingest.station.delivery.witness import Witness
from ingest.station.elapsed_days import Reckoning
from ingest.station.journal import Journal
from ingest.station.seal import Seal
from ingest.station.small_files import AT_ONCE
from ingest.station.stopping import StoppingError
from storage.signed.signing import VerifyKey


@dataclass(slots=True)
class Equipment:
    """What a station works with; `monotonic` counts seconds and never jumps."""

    journal: Journal
    centre: Centre
    sandbox: Sandbox
    seal: Seal
    centre_key: VerifyKey
    log_key: VerifyKey
    clock: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    monotonic: Callable[[], float] = time.monotonic
    patience: Patience = field(default_factory=Patience)
    effort: Effort = USUAL
    clearing: Clearing = field(default_factory=Clearing)
    per_hub: int = 2
    profiles: Sequence[Profile] = ()  # the shipped ones alone where none are given
    at_once: int = AT_ONCE  # small files of one card
    on_step: Callable[[str], None] = lambda _step: None
    listen: Callable[[Progress], None] = lambda _progress: None
    stopping: threading.Event = field(default_factory=threading.Event)  # heard at the next block
    witness: Witness = field(init=False)
    reckoning: Reckoning = field(init=False)

    def __post_init__(self) -> None:
        """Watch the clock that clearing counts days by, and the centre's log."""
        self.reckoning = Reckoning(self.journal, self.clock, self.monotonic)
        self.witness = Witness(self.seal.station, self.journal, self.centre, lambda: self.log_key)

    def check_stopping(self) -> None:
        """Raise: StoppingError, once the station is to stop."""
        if self.stopping.is_set():
            raise StoppingError

    def heed_stop(self, _share: float) -> None:
        """Hear how far a read is, which nobody is shown, only to end it. Raises: StoppingError."""
        self.check_stopping()
