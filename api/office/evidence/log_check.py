"""Comparison of the log with outside heads, and its replay, with results as values.

The log is the office's own, or one that lies in static files, which needs no office. Nothing is
signed or changed here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from api.office.wiring import Office
from storage.bundle.outside_heads import FoundHead, find_heads
from storage.catalogue.audit.replay import (
    Signed,
    kept_leaves,
    log_size,
    replay_catalogue,
    replay_static,
    static_entries,
)
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.proofs.publish import CHECKPOINT, newest_signed_head, read_head, read_tile
from storage.custody.checkpoint import Checkpoint, log_keys, open_checkpoint
from storage.custody.merkle.tiles import node_in_tiles
from storage.custody.note import NoteKey
from storage.custody.outside_head import HeldLog, list_contradictions
from storage.custody.replay import LogFault
from storage.errors import CustodyError, LiuhenError
from storage.signed.signing import VerifyKey

CONSISTENT, CONTRADICTED, UNKNOWN = 0, 1, 3  # exit statuses
_KEY = "log.verify"


class HeadState(StrEnum):
    """State of one outside head against the log; the last two could not be compared."""

    CONSISTENT = "consistent"
    ROLLED_BACK = "rolled-back"
    FORKED = "forked"
    UNKNOWN_KEY = "unknown-key"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class CheckedHead:
    """A head from outside: where it stands, what became of it, and its size where it has one.

    A fork lies behind entry `after`: up to there another head from outside agrees with the log.
    """

    where: str
    state: HeadState
    size: int | None = None
    problem: str = ""
    after: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "where": self.where,
            "state": self.state.value,
            "size": self.size,
            "after": self.after,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class HeadCheck:
    """All heads from outside, beside the log's own newest one."""

    own: Checkpoint
    heads: Sequence[CheckedHead]

    @property
    def exit_status(self) -> int:
        """The exit status: 1 if any head contradicts, 0 if every one is proven, else 3."""
        states = {head.state for head in self.heads}
        if states & {HeadState.ROLLED_BACK, HeadState.FORKED}:
            return CONTRADICTED
        # Compared as a whole: no heads at all are UNKNOWN, never consistent.
        return CONSISTENT if states == {HeadState.CONSISTENT} else UNKNOWN


@dataclass(frozen=True, slots=True)
class LogHere:
    """A log to check: its keys, and functions that open and replay it."""

    keys: tuple[NoteKey, ...]
    opened: Callable[[], Any]  # a context that gives a HeldLog
    replayed: Callable[[Callable[[int], None]], Iterator[LogFault]]
    size: Callable[[], int]
    with_rows: bool


def log_of_office(office: Office) -> LogHere:
    """Return the office's own log: catalogue, signer's memory and published files."""
    keys = office.signer.keys

    @contextmanager
    def open_log() -> Iterator[HeldLog]:
        with office.catalogue.read() as session:
            head = newest_signed_head(session, keys)
            # Within one transaction: head, nodes and leaves are of one state of the log.
            yield HeldLog(head, LogReader(session).get_node, lambda: kept_leaves(session))

    def replay_log(advance: Callable[[int], None]) -> Iterator[LogFault]:
        with office.catalogue.read() as session:
            yield from replay_catalogue(session, keys, heads_beside(office), advance)

    def read_size() -> int:
        with office.catalogue.read() as session:
            return log_size(session)

    return LogHere(keys, open_log, replay_log, read_size, with_rows=True)


def log_in_files(folder: Path, key: VerifyKey) -> LogHere:
    """Return a log in static files (C2SP tlog-tiles), under a key that the reader has."""
    keys = log_keys(key, key.name)

    def open_published_head() -> Checkpoint:
        return open_checkpoint(read_head(folder), keys)

    @contextmanager
    def open_log() -> Iterator[HeldLog]:
        newest = open_published_head()
        node = node_in_tiles(lambda tile: read_tile(folder, tile), newest.size)
        yield HeldLog(
            newest, node, lambda: (entry.leaf for entry in static_entries(folder, newest.size))
        )

    return LogHere(
        keys,
        open_log,
        lambda advance: replay_static(folder, keys, advance),
        lambda: open_published_head().size,
        with_rows=False,
    )


def heads_beside(office: Office) -> list[Signed]:
    """Return the heads that the office keeps outside its database. Raises: CustodyError."""
    heads = [("log-signer/head", office.signer.read_last_checkpoint())]
    folder = office.settings.home / "log"
    if (folder / CHECKPOINT).is_file():
        try:
            heads.append(("log/checkpoint", read_head(folder)))
        # A file that is no head is a finding of the replay, which stops at no file.
        except (CustodyError, UnicodeDecodeError):
            heads.append(("log/checkpoint", ""))  # no head at all: not signed by the log
    return heads


def check_heads(log: LogHere, paths: Iterable[Path]) -> HeadCheck:
    """Compare the log with every head found under the paths.

    Raises: CustodyError (the log does not lead to its own head, or has none), SignatureError.
    """
    outside_heads = [outside_head for path in paths for outside_head in find_heads(path)]
    # Signatures before the log is opened: what the log did not sign says nothing about it.
    opened = [(outside_head, _open_head(outside_head, log.keys)) for outside_head in outside_heads]
    with log.opened() as held_log:
        # Only heads with the log's own signature can convict it; others prove nothing.
        checkpoints = [head for _, head in opened if isinstance(head, Checkpoint)]
        wrong = list_contradictions(held_log, checkpoints)
    # How far both agree: the fork lies behind the largest head that is still consistent.
    agreeing = [head.size for head in checkpoints if head not in wrong]
    checked = []
    for outside_head, head in opened:
        if not isinstance(head, Checkpoint):
            checked.append(head)
        elif (how := wrong.get(head)) is None:
            checked.append(CheckedHead(outside_head.where, HeadState.CONSISTENT, head.size))
        else:
            after = max((size for size in agreeing if size < head.size), default=0)
            checked.append(CheckedHead(outside_head.where, HeadState(how), head.size, after=after))
    return HeadCheck(held_log.head, checked)


def read_log_key(path: Path) -> VerifyKey:
    """Read the log's public key: a file, or `log.verify` in a folder.

    Raises: OSError, ValueError, LookupError, TypeError, AttributeError, LiuhenError.
    """
    file = path / _KEY if path.is_dir() else path
    return VerifyKey.from_json(json.loads(file.read_bytes()))


def _open_head(outside_head: FoundHead, keys: Sequence[NoteKey]) -> Checkpoint | CheckedHead:
    if outside_head.problem:
        return CheckedHead(outside_head.where, HeadState.UNREADABLE, problem=outside_head.problem)
    try:
        return open_checkpoint(outside_head.untrusted_text, keys)
    except (LiuhenError, ValueError) as error:
        facts = error.facts if isinstance(error, LiuhenError) else {}
        # A note in another's name and a file that is no note are told apart: the one should worry,
        # the other is a wrong file.
        problem = str(facts.get("problem", "not signed by the log's key"))
        state = HeadState.UNREADABLE if problem in _NO_HEAD else HeadState.UNKNOWN_KEY
        return CheckedHead(outside_head.where, state, problem=problem)


_NO_HEAD = {"not a checkpoint", "not a signed note", "malformed signature line"}
