"""Dockings in memory: each for as long as one volume stays in its bay.

Nothing here is durable. A station that starts anew knows nothing of what lies in its bays, and
looks at all of it again. What must outlive a docking (an unlink that is not noted yet, what a bay
shows) is kept elsewhere.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingest.bays.bay import Bay, FileReport
from ingest.bays.census import Enumerator
from ingest.bays.settle import Look, has_changed
from ingest.bays.submission import Submission
from ingest.bays.watch import mount_id
from ingest.sources.profile_files import Profile
from ingest.sources.volume import VolumeIdentity
from storage.errors import SubmissionError

Version = tuple[bytes, int, int, tuple[int, int]]  # path, size, time of change, stamp
_LOOKS_KEPT = 8


def version_of(submission: Submission) -> Version:
    """Return what tells one state of a file from another without reading it."""
    return submission.path, submission.size, submission.mtime_ns, submission.stamp


@dataclass(slots=True)
class Docking:
    """One volume in one bay, or one landing folder, since it was first looked at.

    `enumerator` remembers what the census read of it. `checked` are the files whose bytes were
    read a second time; `settled` those of them whose receipt is here, with when they got it:
    nothing is spent on them at further looks. `given_up` are not tried again before the next
    docking; `entries` tells which journal entry stands for a file's bytes; `delivered` are the
    entries whose receipt came since this docking began: the centre need not be asked about them.
    """

    since: datetime
    mount: str = ""
    source: str | None = None
    enumerator: Enumerator = field(default_factory=Enumerator)
    looks: dict[bytes, list[Look]] = field(default_factory=dict)
    checked: set[Version] = field(default_factory=set)
    settled: dict[Version, tuple[FileReport, datetime]] = field(default_factory=dict)
    given_up: dict[Version, FileReport] = field(default_factory=dict)
    entries: dict[Version, int] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)
    delivered: set[int] = field(default_factory=set)

    def reopen_file(self, version: Version) -> None:
        """Look at a file again as if it was seen for the first time in this docking."""
        self.checked.discard(version)
        self.settled.pop(version, None)

    def keep_only(self, versions: set[Version]) -> None:
        """Forget files absent from this sweep; a file that returns is examined anew."""
        # What came back under a known name may be another file.
        self.checked &= versions
        for memory in (self.settled, self.given_up, self.entries):
            for version in memory.keys() - versions:
                del memory[version]
        paths = {version[0] for version in versions}
        for path in self.looks.keys() - paths:
            del self.looks[path]

    def add_look(self, submission: Submission, at: float) -> list[Look]:
        """Add a look at a file, at a monotonic time, and return all that count.

        However often somebody looks, the first of the equal looks is kept.
        """
        looks = self.looks.setdefault(submission.path, [])
        now = Look(submission.size, submission.mtime_ns, at)
        # Equal looks are one, and the first of them keeps its time: quiet is counted from there.
        if len(looks) > 1 and not has_changed(looks) and not has_changed([looks[-1], now]):
            looks[-1] = now
        else:
            looks.append(now)
        # The first stays, for how long a file has been growing; memory stays bounded.
        del looks[1:-_LOOKS_KEPT]
        return looks


@dataclass(slots=True)
class Dockings:
    """Which docking is in which bay of a station. Thread-safe: each bay has a thread of its own."""

    clock: Callable[[], datetime]
    profiles: Sequence[Profile] = ()  # the shipped ones alone where none are given
    _by_bay: dict[str, Docking] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find_docking(self, bay: Bay) -> Docking | None:
        """Return the docking that is kept of a bay; None if there is none."""
        with self._lock:
            return self._by_bay.get(bay.name)

    def find_or_begin(self, bay: Bay) -> Docking:
        """Return the docking in a bay, or a new one, not kept yet, if there is none.

        A volume that was taken out and another one put in between two looks is told by its mount:
        nothing that was found out about the first is believed of the second.
        """
        mount = mount_id(bay.root)
        docking = self.find_docking(bay)
        if docking is None or docking.mount not in {"", mount}:
            return self._begin_docking(mount)
        docking.mount = mount
        return docking

    def keep_docking(self, bay: Bay, docking: Docking) -> Docking:
        """Keep the docking in which a census found something, for the looks to come.

        A new one where the volume was changed amid the census: its enumerator may have judged
        files of either.
        """
        mount = mount_id(bay.root)
        if docking.mount not in {"", mount}:
            docking = self._begin_docking(mount)
        with self._lock:
            self._by_bay[bay.name] = docking
        return docking

    def place_volume(self, bay: Bay, docking: Docking, volume: VolumeIdentity) -> Docking:
        """Note which source a docking is of; return a new one where it took another's place.

        Raises: SubmissionError(serial-twice): the same serial in two bays is two devices.
        """
        # A volume that tells nothing any more may be the same one, cleared.
        changed_places = docking.source not in {None, volume.identity} and volume.how != "bay"
        with self._lock:
            if changed_places:
                self._by_bay.pop(bay.name, None)
                docking = self._begin_docking(docking.mount)
            for name, other in self._by_bay.items():
                if name != bay.name and other.source == volume.identity:
                    raise SubmissionError(
                        reason="serial-twice", serial=volume.identity, other_bay=name
                    )
            docking.source = volume.identity
            self._by_bay[bay.name] = docking
        return docking

    def note_delivery(self, entry: int) -> None:
        """Note in every docking that an entry's receipt came while it lasts."""
        with self._lock:
            for docking in self._by_bay.values():
                docking.delivered.add(entry)

    def forget_docking(self, bay: Bay) -> None:
        """Throw a docking away: its volume went, or nobody looks any more."""
        with self._lock:
            self._by_bay.pop(bay.name, None)

    def _begin_docking(self, mount: str) -> Docking:
        return Docking(self.clock(), mount, enumerator=Enumerator(self.profiles))
