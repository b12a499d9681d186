"""The station: sweeps its bays, takes what is whole, and clears only against verified receipts.

One bay is one small state machine (`bay.MOVES`); one file is one walk through the journal's states
(`sweep/file_walk.py`). Every step is written down before the next, so a killed station goes on
where it stopped, and any call may be made again. What a volume is remembered by is its docking
(`ingest/bays/docking.py`), thrown away with it; one look at a bay is `sweep/bay_sweep.py`. Nothing
deletes an original but `clear.clear_file`, once the whole bay was looked at.
"""

import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from ingest.bays.bay import Bay, FileReport
from ingest.bays.docking import Dockings
from ingest.bays.watch import MountGoneError
from ingest.station.equipment import Equipment
from ingest.station.journal import Entry, State
from ingest.station.sealed_entries import SealedEntries
from ingest.station.sweep.bay_display import BayDisplay, show_stop
from ingest.station.sweep.bay_sweep import BaySweep
from ingest.station.sweep.source_clearing import SourceClearing
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.station")


@dataclass(slots=True)
class Station(Equipment):
    """A station: its equipment, and what it does with it, bay by bay. Thread-safe by bay."""

    _dockings: Dockings = field(init=False)
    _sealed: SealedEntries = field(init=False)
    _source_clearing: SourceClearing = field(init=False)
    _displays: dict[str, BayDisplay] = field(default_factory=dict)
    _hubs: dict[str, threading.BoundedSemaphore] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Make the parts that last as long as the station; all of them use its equipment."""
        Equipment.__post_init__(self)  # `super()` does not find it from a class with slots
        self._dockings = Dockings(self.clock, self.profiles)
        self._sealed = SealedEntries(self, self._dockings)
        self._source_clearing = SourceClearing(self)

    def recover_entries(self) -> None:
        """After a start: finish what was sealed, give up what was cut short before.

        A payload whose attempt never reached SEALED cannot be trusted to be this file's: its key
        died with the process. It is discarded at the centre and the file is sealed again. What the
        bays showed before counts for nothing: whoever sees them is told that nobody has looked.
        """
        self.journal.reset_bays()
        for entry in self.journal.in_state(State.SEALING):
            if entry.recording is not None:
                self.centre.discard_attempt(entry.recording)
            self.journal.move_entry(entry, State.WAITING, recording=None)
        # Sealed before a crash: only the accession may be missing.
        for entry in self.journal.in_state(State.SEALED):
            self._sealed.sign_again(entry)
            if self.centre.immediate:
                try:
                    self.deliver_entry(entry)
                except LiuhenError as error:
                    self.journal.note_trouble(entry, error.code)  # the next docking tries again

    def sweep_bay(self, bay: Bay) -> list[FileReport]:
        """Look at one bay once and take what is whole; return what became of each entry.

        Never raises for what a source, a file or the centre does: what stopped the look is the
        result of every file that it did not reach, or of the bay itself (`.`). Nothing comes of a
        bay that is empty, or whose volume went meanwhile. Raises: StoppingError.
        """
        display = self._get_display(bay)
        sweep = BaySweep(
            self, self._dockings, self._sealed, self._source_clearing, bay, display.begin_look()
        )
        try:
            with self._wait_for_hub(bay):
                self.reckoning.check_clock()
                sweep.process_bay()
        except MountGoneError:
            self.forget_docking(bay)
            display.show_gone(sweep.progress)
            return []
        except LiuhenError as error:
            self._stop_sweep(sweep, error.facts.get("reason", error.code), error.facts)
        except Exception as error:
            # The edge of the station: a defect met here must not stop other bays, nor stay unseen.
            LOG.exception("the look at %s failed", bay.name)
            self._stop_sweep(sweep, "defect", {"error": type(error).__name__})
        return sweep.reports

    def forget_docking(self, bay: Bay) -> None:
        """Forget what is remembered of a docking: its volume went, or nobody looks any more."""
        self._dockings.forget_docking(bay)

    def deliver_entry(self, entry: Entry) -> Entry:
        """Bring a sealed entry to the centre, as `SealedEntries.deliver_entry`."""
        return self._sealed.deliver_entry(entry)

    def payload_is_whole(self, entry: Entry) -> bool:
        """Whether what was sealed of an entry is still what its record says. Raises: OSError."""
        return self._sealed.payload_is_whole(entry)

    @staticmethod
    def _stop_sweep(sweep: BaySweep, reason: str, facts: dict[str, Any]) -> None:
        sweep.reports += show_stop(sweep.progress, sweep.pending, reason, facts)

    def _get_display(self, bay: Bay) -> BayDisplay:
        with self._lock:
            return self._displays.setdefault(bay.name, BayDisplay(self, bay.name))

    def _wait_for_hub(self, bay: Bay) -> AbstractContextManager[object]:
        """Wait for a place on the bay's hub; bays of no hub have their own line."""
        if bay.hub is None:
            return nullcontext()
        with self._lock:
            return self._hubs.setdefault(bay.hub, threading.BoundedSemaphore(self.per_hub))
