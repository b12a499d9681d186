"""The census of a volume: every entry of it is offered, or named with the reason why not.

Whoever calls a bay green must know of each entry what became of it. What computers and recorders
write for themselves is left where it is, but only when its bytes agree with its name: footage
called `index.db`, or a preview whose film is gone, is offered like any other file. What cannot be
looked into (a link, a folder that does not open) is refused, which keeps the bay from green.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingest.bays.bay import Bay, FileReport, Outcome
from ingest.bays.submission import open_beneath
from ingest.bays.watch import Candidate, Refused, scan_root
from ingest.media.sandboxed.magic import sniff_format
from ingest.sources.names import display_text
from ingest.sources.profile import PREVIEW, Siblings, SourceFacts
from ingest.sources.profile import read_source_facts as read_profile
from ingest.sources.profile_files import Profile
from storage.errors import SubmissionError

_HEAD = 1024  # bytes
_LARGEST_SYSTEM_FILE = 16 << 20  # bytes; what is larger is looked at like any other file
_FOOTAGE = frozenset({"video", "audio", "photo"})

Version = tuple[bytes, int, int]  # path, size, time of change


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that is to be taken, and what its name and place say of it."""

    file: Candidate
    facts: SourceFacts


@dataclass(frozen=True, slots=True)
class Census:
    """All entries of a volume, each in exactly one of three lists.

    `ignored` has a result with its reason for each file that stays where it is.
    """

    offers: tuple[Offer, ...] = ()
    ignored: tuple[FileReport, ...] = ()
    refused: tuple[Refused, ...] = ()

    @property
    def offered_files(self) -> list[Candidate]:
        """Files that are offered."""
        return [offer.file for offer in self.offers]

    @property
    def is_empty(self) -> bool:
        """Whether there is no entry at all."""
        return not (self.offers or self.ignored or self.refused)


@dataclass(frozen=True, slots=True)
class _Folder:
    """What the names in one folder say, as long as they are these names."""

    names: tuple[bytes, ...]
    facts: dict[bytes, SourceFacts]


@dataclass(slots=True)
class Enumerator:
    """Takes the census of a docking again and again; what it read once, it does not read again.

    A file called like a system file is judged by its bytes, once: of another volume in the same
    bay nothing of that is believed, so each docking has an enumerator of its own. The shipped
    profiles tell what names say where none are given.
    """

    profiles: Sequence[Profile] = ()
    _verdicts: dict[Version, bool] = field(default_factory=dict)
    _folders: dict[tuple[bytes, ...], _Folder] = field(default_factory=dict)

    def take_census(
        self, bay: Bay, facts_of: Callable[[Candidate, SourceFacts], SourceFacts], now: datetime
    ) -> Census:
        """Take the census of a bay; `facts_of` completes a name's facts by the file's place.

        Raises: MountGoneError.
        """
        entries = [
            candidate
            for candidate in scan_root(bay.root)
            if bay.only is None or candidate.parts == (bay.only,)
        ]
        folders: dict[tuple[bytes, ...], list[Candidate]] = {}
        for entry in entries:
            if isinstance(entry, Candidate):
                folders.setdefault(entry.parts[:-1], []).append(entry)
        offers: list[Offer] = []
        ignored: list[FileReport] = []
        for place, files in folders.items():
            facts_by_name = self._collect_facts(place, files, facts_of, now)
            for file in files:
                facts = facts_by_name[file.parts[-1]]
                # Name and bytes must agree: footage called like a system file is offered.
                if facts.ignorable is not None and self._may_stay(bay, file, facts.ignorable):
                    reason = facts.ignorable
                    ignored.append(
                        FileReport(display_parts(file.parts), Outcome.IGNORED, reason=reason)
                    )
                else:
                    offers.append(Offer(file, facts))
        refused = tuple(entry for entry in entries if isinstance(entry, Refused))
        return Census(tuple(offers), tuple(ignored), refused)

    def _collect_facts(
        self,
        place: tuple[bytes, ...],
        files: Sequence[Candidate],
        facts_of: Callable[[Candidate, SourceFacts], SourceFacts],
        now: datetime,
    ) -> dict[bytes, SourceFacts]:
        names = tuple(file.parts[-1] for file in files)
        folder = self._folders.get(place)
        # The same names say the same again; reading profiles anew would cost each sweep.
        if folder is not None and folder.names == names:
            return folder.facts
        siblings = Siblings(names)
        facts = {
            file.parts[-1]: facts_of(file, read_profile(file.parts, siblings, now, self.profiles))
            for file in files
        }
        self._folders[place] = _Folder(names, facts)
        return facts

    def _may_stay(self, bay: Bay, file: Candidate, reason: str) -> bool:
        """Whether a file that is called like a system file or a preview is no footage."""
        if reason == PREVIEW:
            return True  # its film is beside it
        # By size and time of change as well: a file that is written over is looked at anew.
        key = (file.path, file.size, file.mtime_ns)
        if key not in self._verdicts:
            self._verdicts[key] = file.size <= _LARGEST_SYSTEM_FILE and _no_footage(bay, file)
        return self._verdicts[key]


def display_parts(parts: Iterable[bytes]) -> str:
    """Return a relative path that is safe to show."""
    return "/".join(display_text(part) for part in parts)


def display_path(path: bytes) -> str:
    """Return a raw relative path as it is safe to show."""
    return display_parts(path.split(b"/"))


def _no_footage(bay: Bay, file: Candidate) -> bool:
    """Whether the first bytes are no recording's; what cannot be read is offered, and told of."""
    try:
        with open_beneath(bay.root, file.path) as source:
            head = os.pread(source.fileno(), _HEAD, 0)
    except (SubmissionError, OSError):
        # In doubt it is offered, and whatever stops the reading is named then.
        return False
    return sniff_format(head)[1] not in _FOOTAGE
