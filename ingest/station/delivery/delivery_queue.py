"""Brings what a station has sealed to a centre that is not always there, and its acts to the log.

One pass tries everything that waits, oldest first, a few at a time. A centre that is away ends the
pass; a recording that the centre refuses, or fails at, stays in the spool with the reason and is
tried again later, so that one bad recording holds up nothing. A station that lost its enrolment
stops delivering until a person mends that; it goes on sealing. What waits is read again once a
day: a payload that rots in the spool is told of while its recorder still has the file, and is
sealed anew when that is docked.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from ingest.station.delivery.remote_centre import RemoteCentre
from ingest.station.journal import RECEIPTED, Entry, State
from ingest.station.station import Station
from storage.errors import LiuhenError, LogContradictedError
from storage.recording import RecordingId

_REFUSED_AGAIN = timedelta(minutes=30)
_FAILED_AGAIN = timedelta(minutes=5)
_READ_AGAIN = timedelta(days=1)
_FAILING = "centre-failing"  # of this one recording, as far as anybody knows
DAMAGED = "spool-damaged"
_ENROLMENT = "enrolment-"
LOG_ALARMS = frozenset({"log-rolled-back", "log-forked", "log-unproven"})


@dataclass(slots=True)
class Tally:
    """What one pass did: recordings accessioned, refused and still waiting, notes sent.

    `away` is the code of what ended the pass early, if anything did.
    """

    accessioned: int = 0
    refused: int = 0
    waiting: int = 0
    notes: int = 0
    away: str | None = None


@dataclass(slots=True)
class Delivery:
    """The deliveries of one station; `streams` uploads run at once."""

    station: Station
    centre: RemoteCentre
    clock: Callable[[], datetime]
    streams: int = 2
    _refused: dict[int, datetime] = field(default_factory=dict)
    _read: dict[int, datetime] = field(default_factory=dict)

    def run(self) -> Tally:
        """Try everything that waits once; never raises for what the network or the centre does."""
        tally = Tally()
        self._drop_receipted_payloads()
        self._read_one_again()
        self._look_at_log(tally)
        waiting = self._list_due_entries(self.station.journal.ids_in(State.SEALED))
        with ThreadPoolExecutor(self.streams) as pool:
            for accessioned in pool.map(lambda number: self._deliver_entry(number, tally), waiting):
                tally.accessioned += accessioned is True
                tally.refused += accessioned is False
        tally.waiting = len(self.station.journal.ids_in(State.SEALED))
        if tally.away is None or tally.away in LOG_ALARMS:  # the log itself is to hear of it
            self._send_notes(tally)
        return tally

    def _deliver_entry(self, number: int, tally: Tally) -> bool | None:
        """Deliver one entry: True, or False when it was refused, or None when it must wait."""
        if tally.away is not None:
            return None
        entry = self.station.journal.by_id(number)
        if entry is None or entry.state is not State.SEALED:
            return None  # its bay's thread gave it up meanwhile
        if entry.reason == DAMAGED and not self._check_payload(entry):
            self._refused[entry.id] = self.clock() + _REFUSED_AGAIN
            return False
        try:
            self.station.deliver_entry(entry)
        except LiuhenError as error:
            self.station.journal.note_trouble(entry, error.code)
            failing = error.code == _FAILING
            contradicted = isinstance(error, LogContradictedError)
            if (
                contradicted
                or (error.retryable and not failing)
                or error.code.startswith(_ENROLMENT)
            ):
                tally.away = error.code  # so it would be of the next one
                return None
            again = _FAILED_AGAIN if failing else _REFUSED_AGAIN
            self._refused[entry.id] = self.clock() + again
            self._check_payload(entry)
            return False
        self._drop_payload(entry.recording)
        return True

    def _look_at_log(self, tally: Tally) -> None:
        """While an alarm over the centre's log stands, ask again before anything is brought."""
        if self.station.witness.alarm is None:
            return
        try:
            self.station.witness.check_log()
        except LiuhenError as error:
            tally.away = error.code

    def _send_notes(self, tally: Tally) -> None:
        try:
            tally.notes = self.centre.send_notes()
        except LiuhenError as error:
            tally.away = tally.away or error.code

    def _read_one_again(self) -> None:
        """Read the payload that was not read for longest, if that was a day ago."""
        now = self.clock()
        waiting = self.station.journal.ids_in(State.SEALED)
        self._read = {number: self._read.get(number, now) for number in waiting}
        oldest = min(waiting, key=self._read.__getitem__, default=None)
        if oldest is None or now - self._read[oldest] < _READ_AGAIN:
            return
        entry = self.station.journal.by_id(oldest)
        if entry is not None and entry.state is State.SEALED:
            self._check_payload(entry)

    def _check_payload(self, entry: Entry) -> bool:
        """Read a sealed payload again; write down of a damaged one that it is, and return False."""
        self._read[entry.id] = self.clock()
        try:
            whole = self.station.payload_is_whole(entry)
        except (LiuhenError, OSError):
            whole = False  # it cannot be read: the recorder's file is the one to go by
        if not whole:
            self.station.journal.note_trouble(entry, DAMAGED)
        elif entry.reason == DAMAGED:  # the disk reads it again
            self.station.journal.note_trouble(entry, None)
        return whole

    def _list_due_entries(self, numbers: Iterable[int]) -> list[int]:
        now = self.clock()
        return [number for number in numbers if self._refused.get(number, now) <= now]

    def _drop_payload(self, recording: RecordingId | None) -> None:
        if recording is not None:
            self.centre.spool.remove_payload(recording)

    def _drop_receipted_payloads(self) -> None:
        """Drop payloads that a crash left after their receipt came; never one that is needed."""
        here = [RecordingId(UUID(name)) for name in self.centre.spool.list_recordings()]
        for recording in self.station.journal.recordings_in(RECEIPTED, here):
            self._drop_payload(recording)
