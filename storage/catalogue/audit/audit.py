"""Audit of the catalogue against the custody log: every row, every entry, every head.

Is each entry the one that was signed, and the log as long as what was signed (`log_audit.py`);
does each readable half open its entry; is each row in the state that was last logged; does each
act of a person lie in a session of his (`session_audit.py`). Everything
in the database is untrusted, down to values that do not parse: what cannot be read is named, not
raised. Objects are `storage/upkeep/fixity.py`'s business. Nothing is changed or repaired here.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Text, exists, inspect, literal, select, type_coerce
from sqlalchemy.orm import Session

from storage.catalogue.audit import log_audit, session_audit
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.database_check import find_damage
from storage.catalogue.engine.columns import Audited
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind, about_entry
from storage.catalogue.log.logged_state import (
    UNREADABLE,
    RowKey,
    State,
    changed_columns,
    compare_opened,
    states_logged,
)
from storage.catalogue.log.tables import CustodyEventRow, LogChainRow, LogLeafRow
from storage.catalogue.proofs.proven_rows import broken_chain, find_differences
from storage.custody.checkpoint import Checkpoint
from storage.custody.entries.acting import SESSION
from storage.custody.entries.chain import ChainWalk
from storage.custody.entries.event import parse_leaf
from storage.custody.entries.log_time import TimeWalk
from storage.custody.entries.subjects import CONTINUES, kind_of
from storage.custody.note import NoteKey

_AT_ONCE = 500  # subjects in one question


def audit_catalogue(
    session: Session,
    keys: Sequence[NoteKey],
    *,
    signed: str | None = None,
    folder: Path | None = None,
    part: range | None = None,
) -> Iterator[Discrepancy]:
    """Yield everything that is wrong with the catalogue and its log; nothing, if nothing is.

    `keys` are the log's note keys. `signed` is a checkpoint from outside the database (the
    signer's last, a station's, a bundle's): without one, a catalogue put back from an old copy
    looks well. `folder` holds the static log: with it, an edited entry is named even when the
    whole database was rewritten around it. `part` are the numbers of entries to look at, with the
    nodes above them and the rows of every subject that they are about: all parts together find
    what the whole finds. Give a fresh session (`Catalogue.read`).
    """
    # A damaged page or index answers anything: nothing read from it would be worth telling.
    if (damage_text := find_damage(session)) is not None:
        yield Discrepancy(DiscrepancyKind.DAMAGED_DATABASE, "the catalogue", {"found": damage_text})
        return
    static, wrong = log_audit.static_log(folder, keys)
    yield from wrong
    heads, wrong = log_audit.open_checkpoints(session, keys, signed, part)
    yield from wrong
    yield from log_audit.lost_checkpoints(session, folder, static)
    if static:
        # The static log's head is one more witness against a rewritten database.
        heads = sorted([*heads, static.head], key=lambda head: head.size)
    edited, signed_whole = set[int](), True
    walk = (
        log_audit.check_entries(session, heads, static)
        if part is None
        else log_audit.some_entries(session, heads, static, part)
    )
    for discrepancy in walk:
        signed_whole = False
        # Remembered, so that what follows from an edited entry is not named once more.
        edited.update([discrepancy.facts["index"]] if "index" in discrepancy.facts else [])
        yield discrepancy
    yield from log_audit.check_nodes(session, part)
    # What was edited breaks its chains, and is named already.
    followed = _Followed(ChainWalk() if part is None and signed_whole else None)
    yield from _details(session, edited, part, followed)
    yield from followed.running_back
    if part is None:
        yield from followed.broken(session)
        yield from _check_rows(session)
    else:
        yield from _rows_about(session, part, heads[-1] if heads else None)
    yield from session_audit.acts_in_sessions(session, part)


class _Followed:
    """The entries as they were followed: those older than the one before them, and the chains."""

    def __init__(self, walk: ChainWalk | None) -> None:
        """Follow the chains by `walk`, if there is one."""
        self._walk = walk
        self._places: dict[str, list[int]] = {}
        self._time = TimeWalk()
        self.running_back: list[Discrepancy] = []
        self._broken: list[Discrepancy] = []

    def add(self, index: int, entry: Mapping[str, Any], leaf: bytes) -> None:
        """Take the next entry."""
        if (last := self._time.add(entry)) is not None:
            self.running_back.append(
                about_entry(DiscrepancyKind.TIME_RUNS_BACK, index, before=last)
            )
        if self._walk is None:
            return
        self._broken += [
            broken_chain(str(broken_subject), index)
            for broken_subject in self._walk.add(entry, leaf)
        ]
        for subject in entry.get("chains", (entry["subject"],)):
            self._places.setdefault(subject, []).append(index)

    def broken(self, session: Session) -> Iterator[Discrepancy]:
        """Name what breaks a chain, and the chains that the tables have otherwise."""
        if self._walk is None:
            return
        yield from self._broken
        log = LogReader(session)
        subjects = sorted({*self._places, *session.scalars(select(LogChainRow.subject))})
        for first in range(0, len(subjects), _AT_ONCE):
            some = subjects[first : first + _AT_ONCE]
            heads, stored = log.chain_heads(some), log.chain_entries(some)
            for subject in some:
                # Entries and tables both ways: a chain that the tables alone have is as wrong.
                there = self._places.get(subject, [])
                if heads[subject] != self._walk.get_head(subject) or stored[subject] != there:
                    yield broken_chain(f"{subject}: its chain is another in the tables", None)


def _details(
    session: Session, edited: set[int], part: range | None, followed: _Followed
) -> Iterator[Discrepancy]:
    """Open each entry's digest with its readable half, and compare what both tell."""
    # One entry more, before the part: time is compared with the entry before.
    wider = None if part is None else range(max(part.start - 1, 0), part.stop)
    for index, leaf, half in _with_halves(session, wider):
        ours = index not in edited and (part is None or index in part)
        try:
            entry = parse_leaf(leaf)
        except UNREADABLE:
            if ours:
                yield about_entry(DiscrepancyKind.EDITED_ENTRY, index)
            continue
        followed.add(index, entry, leaf)
        if ours:
            yield from compare_opened(index, entry, *half)
    orphans = select(CustodyEventRow.index).where(
        CustodyEventRow.index.not_in(select(LogLeafRow.index))
    )
    # The first part also names halves whose number is beyond any entry.
    if part is not None and part.start:
        orphans = orphans.where(CustodyEventRow.index.in_(part))
    for index in session.scalars(orphans):
        if index not in edited:
            yield about_entry(DiscrepancyKind.MISSING_ENTRY, index)


def _rows_about(session: Session, part: range, head: Checkpoint | None) -> Iterator[Discrepancy]:
    """Compare the rows of all that a part's entries are about, and name those of nobody.

    The chains of the sessions that its acts lie in are proven as well.
    """
    subjects = {
        subject
        for _index, entry, _leaf in _parse_leaves(session, part)
        for subject in (
            *entry.get("chains", (entry["subject"],)),
            *(
                head_subject
                for head_subject in entry.get("heads", ())
                if kind_of(head_subject) == SESSION
            ),
        )
    }
    ordered_subjects = sorted(subjects)
    for first in range(0, len(ordered_subjects), _AT_ONCE):
        yield from find_differences(session, ordered_subjects[first : first + _AT_ONCE], head)
    # Rows in the chain of no subject: in a part, nothing else would ever look at them.
    for table in AUDITED:
        name = table.__tablename__
        of_none = [
            ~exists().where(LogChainRow.subject == literal(f"{kind}:") + getattr(table, column))
            for column, kind in CONTINUES[name].items()
        ]
        for identity in session.execute(select(*inspect(table).primary_key).where(*of_none)):
            key = "/".join(str(key_value) for key_value in identity)
            yield Discrepancy(
                DiscrepancyKind.UNLOGGED_ROW, f"{name} {key}", {"table": name, "row": key}
            )


def _parse_leaves(
    session: Session, part: range | None
) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    for index, leaf, _hash in log_audit.read_leaves(session, part):
        try:
            yield index, parse_leaf(leaf), leaf
        except UNREADABLE:
            continue  # named already


def _with_halves(
    session: Session, part: range | None
) -> Iterator[tuple[int, bytes, tuple[CustodyEventRow | None, str | None]]]:
    """Yield entries with their readable half, and its details as they are kept."""
    leaves = log_audit.read_leaves(session, part)
    while run := list(islice(leaves, _AT_ONCE)):
        halves = _halves(session, [index for index, _leaf, _hash in run])
        for index, leaf, _hash in run:
            yield index, leaf, halves.get(index, (None, None))


def _halves(
    session: Session, indexes: Sequence[int]
) -> dict[int, tuple[CustodyEventRow | None, str | None]]:
    """Return readable halves at once; where some value is none, one by one."""
    row = CustodyEventRow
    query = select(row, type_coerce(row.details, Text).label("text")).where(
        row.index >= indexes[0], row.index <= indexes[-1]
    )
    # One query for many; only where a value cannot be read is each asked alone, to name it.
    try:
        return {event.index: (event, text) for event, text in session.execute(query)}
    except UNREADABLE:
        return {index: (_half(session, index), None) for index in indexes}


def _half(session: Session, index: int) -> CustodyEventRow | None:
    try:
        return session.get(CustodyEventRow, index)
    except UNREADABLE:
        # An empty half opens nothing, and is named as edited.
        return CustodyEventRow(index=index)


def _check_rows(session: Session) -> Iterator[Discrepancy]:
    """Compare each row with the state that was last logged of it."""
    logged = _last_logged(session)
    for table in AUDITED:
        primary = inspect(table).primary_key
        for identity in session.execute(select(*primary)).all():
            key = "/".join(str(part) for part in identity)
            # What stays at the end was logged and is not there.
            index = logged.pop((table.__tablename__, key), None)
            yield from _compare_row(session, table, tuple(identity), key, index)
    for (table_name, key), index in logged.items():
        # Gone, and logged as gone: that is in order.
        if _logged_state(session, index, (table_name, key)) is not None:
            facts = {"table": table_name, "row": key, "entry": index}
            yield Discrepancy(DiscrepancyKind.MISSING_ROW, f"{table_name} {key}", facts)


def _compare_row(
    session: Session, table: type[Any], identity: tuple[Any, ...], key: str, index: int | None
) -> Iterator[Discrepancy]:
    name = table.__tablename__
    facts: dict[str, Any] = {"table": name, "row": key, "entry": index}
    expected = None if index is None else _logged_state(session, index, (name, key))
    if expected is None:
        yield Discrepancy(DiscrepancyKind.UNLOGGED_ROW, f"{name} {key}", facts)
        return
    try:
        row: Audited | None = session.get(table, identity)
        changed = changed_columns(row.snapshot(), expected) if row is not None else ["all"]
    except UNREADABLE:
        changed = ["unreadable"]
    if changed:
        yield Discrepancy(DiscrepancyKind.EDITED_ROW, f"{name} {key}", facts | {"changed": changed})


def _last_logged(session: Session) -> dict[RowKey, int]:
    """Return, for each row that was ever logged, the entry that logged it last.

    Details that do not open their entry are named by `_details`; here they are taken as found.
    """
    last: dict[RowKey, int] = {}
    # By runs of numbers: a gap or a huge log must not become one huge answer.
    row, after = CustodyEventRow, -1
    while True:
        ahead = select(row.index).where(row.index > after).order_by(row.index).limit(_AT_ONCE)
        run = session.scalars(ahead).all()
        if not run:
            return last
        for index, (event, text) in sorted(_halves(session, run).items()):
            if text is None or '"rows"' in text:
                last.update((key, index) for key, _state_then in states_logged(event))
        after = run[-1]


def _logged_state(session: Session, index: int, row_key: RowKey) -> State:
    states = [state for key, state in _logged_by(session, index) if key == row_key]
    # An entry may hold a row twice; the last state is the one that was committed.
    return states[-1] if states else None


def _logged_by(session: Session, index: int) -> list[tuple[RowKey, State]]:
    try:
        return states_logged(session.get(CustodyEventRow, index))
    except UNREADABLE:
        return []
