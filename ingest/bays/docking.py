"""State of one docking in memory: for as long as the volume stays in its bay.

Nothing here is durable. A station that starts anew knows nothing of what lies in its bays, and
looks at all of it again.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ingest.bays.bay import FileReport
from ingest.bays.settle import Look, has_changed
from ingest.bays.submission import Submission

Version = tuple[bytes, int, int, tuple[int, int]]  # path, size, time of change, stamp
_LOOKS_KEPT = 8


def version_of(submission: Submission) -> Version:
    """Return what tells one state of a file from another without reading it."""
    return submission.path, submission.size, submission.mtime_ns, submission.stamp


@dataclass(slots=True)
class Docking:
    """One volume in one bay, or one landing folder, since it was first looked at.

    `checked` are the files whose bytes were read a second time; `settled` those of them whose
    receipt is here, with when they got it: nothing is spent on them at further looks. `given_up`
    are not tried again before the next docking; `entries` tells which journal entry stands for a
    file's bytes.
    """

    since: datetime
    mount: str = ""
    source: str | None = None
    looks: dict[bytes, list[Look]] = field(default_factory=dict)
    checked: set[Version] = field(default_factory=set)
    settled: dict[Version, tuple[FileReport, datetime]] = field(default_factory=dict)
    given_up: dict[Version, FileReport] = field(default_factory=dict)
    entries: dict[Version, int] = field(default_factory=dict)
    refused: set[bytes] = field(default_factory=set)

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
