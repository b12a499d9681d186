"""A replay of a whole log: every entry in its order, and all that one bundle cannot show.

Two entries of one number in a chain, broken chains, heads that a chain never had, entries about
other subjects than they say, leaves that are not in the tree, roots other than the signed ones.
Pure: whoever has the entries (the office's catalogue, or the log's static files) hands them in.
Entries of version 1 are in no chain; those that a chain begins with are compared by one digest.
Memory grows with subjects and rows, not with entries (docs/spec/custody-log.md section 8).
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from storage.custody.entries.chain import ChainWalk
from storage.custody.entries.event import parse_leaf, text_digest
from storage.custody.entries.subjects import State, find_hidden_subjects, list_continued_subjects
from storage.custody.merkle.tree import Frontier, leaf_hash
from storage.errors import LiuhenError

_ROWS = '"rows":'  # details without it hold no row
_UNREADABLE = (LiuhenError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
RowKey = tuple[str, str]  # table and primary key


class LogProblem(StrEnum):
    """What a replay finds beside the breaches of chains (`chain.Breach`)."""

    NO_ENTRY = "no-entry"  # bytes that are no entry of this log
    MISSING_ENTRIES = "missing-entries"
    NOT_IN_TREE = "not-in-tree"  # the entry's hash is not the one that the tree has there
    WRONG_SUBJECT = "wrong-subject"  # its rows are about a subject whose chain it is not in
    CLOSED = "not-opened"  # its readable half is gone, or opens another digest
    FALSE_ROOT = "false-root"  # the entries do not lead to a signed root
    SHORT = "rolled-back"  # a head was signed over more entries than there are
    FALSE_SIGNATURE = "false-signature"  # a head that the log did not sign


@dataclass(frozen=True, slots=True)
class LogFault:
    """One thing that is wrong in a log: its kind, at which entry or size, and about what."""

    kind: str
    at: int
    text: str
    subject: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"what": self.kind, "at": self.at, "subject": self.subject, "text": self.text}


@dataclass(frozen=True, slots=True)
class Readable:
    """The readable half of an entry as it is kept: its details' exact text, and the salt."""

    text: str
    salt: bytes


@dataclass(slots=True)
class Replay:
    """Where a replay stands. Give it the entries in order; it says what is wrong with each."""

    _walk: ChainWalk = field(default_factory=ChainWalk)
    _frontier: Frontier = field(default_factory=Frontier)
    _about: dict[int, int] = field(default_factory=dict)
    moved: dict[RowKey, list[tuple[int, frozenset[str]]]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many entries were taken."""
        return self._frontier.size

    @property
    def subjects(self) -> int:
        """How many subjects were met."""
        return len(self._walk.subjects)

    def compute_root(self) -> bytes:
        """Return the root over the entries taken so far."""
        return self._frontier.compute_root()

    def add(
        self, leaf: bytes, stored_hashes: Collection[bytes], readable: Readable | None = None
    ) -> list[LogFault]:
        """Add the next entry, by its exact bytes; return its faults.

        `kept` are the hashes that tree and tables have in its place. Without its readable half an
        entry's rows are not asked for.
        """
        index, digest = self.size, leaf_hash(leaf)
        faults = [
            LogFault(LogProblem.NOT_IN_TREE, index, "the tree has another hash here")
            for stored_hash in set(stored_hashes)
            if stored_hash != digest
        ]
        # Also of bytes that are no entry: the signed root is over whatever stands here.
        self._frontier.add(digest)
        try:
            entry = parse_leaf(leaf)
            faults += [
                LogFault(wrong.breach, index, str(wrong), wrong.subject)
                for wrong in self._walk.add(entry, leaf)
            ]
        except _UNREADABLE:
            return [*faults, LogFault(LogProblem.NO_ENTRY, index, "not an entry of this log")]
        if readable is not None:
            faults += self._check_readable(index, entry, readable)
        return faults

    def _check_readable(
        self, index: int, entry: Mapping[str, Any], half: Readable
    ) -> list[LogFault]:
        subject = entry["subject"]
        # Nothing is read of details that do not open the digest in the leaf.
        if text_digest(half.text.encode(), half.salt) != entry["details"]:
            message = "the readable half opens another digest"
            return [LogFault(LogProblem.CLOSED, index, message, subject)]
        # Entries of version 1 name no chains that their rows could be held to.
        if _ROWS not in half.text or entry["v"] == 1:
            return []
        try:
            details = json.loads(half.text)
            for row in details.get("rows", ()):
                self._track_row(index, row, entry["chains"])
            subjects = find_hidden_subjects(entry, details)
        except _UNREADABLE:
            return [LogFault(LogProblem.CLOSED, index, "rows that cannot be read", subject)]
        return [_wrong_subject(index, other) for other in sorted(subjects)]

    def _track_row(self, index: int, row: Mapping[str, Any], chains: Iterable[str]) -> None:
        """Remember what a row is about, by a hash, and each entry that removes or moves it."""
        place = (str(row["table"]), str(row["key"]))
        about = (
            # A number in place of a set of subjects, so that memory stays some 150 bytes for a row.
            hash(frozenset(list_continued_subjects([(place[0], row["state"])])))
            if row["state"]
            else None
        )
        previous = self._about.get(hash(place), about)
        if about is None or previous != about:
            self.moved.setdefault(place, []).append((index, frozenset(chains)))
        if about is not None:
            self._about[hash(place)] = about

    def moved_rows(self, details: Iterable[tuple[int, str]]) -> Iterator[LogFault]:
        """Yield which removed or moved rows were about what the entry is not in the chain of.

        `details` are, once more and in order, numbers and details' texts of all entries that hold
        rows: what a row was about stands in the entry that told of it last.
        """
        last: dict[RowKey, tuple[str, State]] = {}
        for index, text in details:
            for row in _parse_rows(text):
                place = (str(row["table"]), str(row["key"]))
                # Only rows that ever moved are remembered in this second walk.
                if place not in self.moved:
                    continue
                about = list_continued_subjects([last[place]]) if place in last else set()
                for at, chains in self.moved[place]:
                    if at == index:
                        yield from (
                            _wrong_subject(index, subject) for subject in sorted(about - chains)
                        )
                if row["state"]:
                    last[place] = (place[0], row["state"])


def _wrong_subject(index: int, subject: str) -> LogFault:
    text = f"its rows are about {subject}, and it is not in that chain"
    return LogFault(LogProblem.WRONG_SUBJECT, index, text, subject)


def _parse_rows(text: str) -> list[Mapping[str, Any]]:
    """Return the rows that details hold; what cannot be read was named when it was walked over."""
    try:
        rows = list(json.loads(text).get("rows", ()))
        for row in rows:
            list_continued_subjects([(str(row["table"]), dict(row["state"] or {}))])
            str(row["key"])
    except _UNREADABLE:
        return []
    return rows
