"""Does the catalogue still say what the custody log says? Every row, every entry, every head.

Is each entry the one that was signed, and the log as long as what was signed (`log_audit.py`);
does each readable half open its entry; is each row in the state that was last logged; does each
act of a person lie in a session of his (`session_audit.py`). Everything
in the database is untrusted, down to values that do not parse: what cannot be read is named, not
raised. Objects are `storage/upkeep/fixity.py`'s business. Nothing is changed or repaired here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import exists, inspect, literal, select
from sqlalchemy.orm import Session

from storage.catalogue.audit import log_audit, session_audit
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.database_check import damage
from storage.catalogue.engine.columns import Audited
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, What, about_entry
from storage.catalogue.log.logged_state import (
    UNREADABLE,
    RowKey,
    State,
    changed_columns,
    compare_halves,
    states_logged,
)
from storage.catalogue.log.tables import CustodyEventRow, LogChainRow, LogLeafRow
from storage.catalogue.proofs.proven_rows import broken_chain, differing
from storage.custody.checkpoint import Checkpoint
from storage.custody.entries.chain import ChainWalk
from storage.custody.entries.event import parse_leaf
from storage.custody.entries.log_time import running_back
from storage.custody.entries.subjects import CONTINUES
from storage.custody.note import NoteKey

_AT_ONCE = 500  # subjects in one question


def audit(
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
    if (said := damage(session)) is not None:
        yield Discrepancy(What.DAMAGED_DATABASE, "the catalogue", {"found": said})
        return
    static, wrong = log_audit.static_log(folder, keys)
    yield from wrong
    heads, wrong = log_audit.checkpoints(session, keys, signed, part)
    yield from wrong
    yield from log_audit.lost_checkpoints(session, folder, static)
    if static:
        heads = sorted([*heads, static.head], key=lambda head: head.size)
    edited, signed_whole = set[int](), True
    walk = (
        log_audit.entries(session, heads, static)
        if part is None
        else log_audit.some_entries(session, heads, static, part)
    )
    for found in walk:
        signed_whole = False
        edited.update([found.facts["index"]] if "index" in found.facts else [])
        yield found
    yield from log_audit.nodes(session, part)
    yield from _details(session, edited, part)
    yield from _times(session, part)
    if part is None:
        if signed_whole:  # what was edited breaks its chains, and is named already
            yield from _chains(session)
        yield from _rows(session)
    else:
        yield from _rows_about(session, part, heads[-1] if heads else None)
    yield from session_audit.acts_in_sessions(session)


def _details(session: Session, edited: set[int], part: range | None) -> Iterator[Discrepancy]:
    """Open each entry's digest with its readable half, and compare what both tell."""
    for index, leaf, _hash in log_audit.leaves(session, part):
        if index not in edited:
            yield from _opened(session, index, leaf)
    orphans = select(CustodyEventRow.index).where(
        CustodyEventRow.index.not_in(select(LogLeafRow.index))
    )
    if part is not None and part.start:
        orphans = orphans.where(CustodyEventRow.index.in_(part))
    for index in session.scalars(orphans):
        if index not in edited:
            yield about_entry(What.MISSING_ENTRY, index)


def _times(session: Session, part: range | None) -> Iterator[Discrepancy]:
    """Name the entries that are older than the one before them."""
    wider = None if part is None else range(max(part.start - 1, 0), part.stop)
    found = ((index, entry) for index, entry, _leaf in _parsed(session, wider))
    for index, last in running_back(found):
        yield about_entry(What.TIME_RUNS_BACK, index, before=last)


def _chains(session: Session) -> Iterator[Discrepancy]:
    """Walk along all chains: each has every entry that says so, and the tables end it there."""
    walk, places = ChainWalk(), dict[str, list[int]]()
    for index, entry, leaf in _parsed(session, None):
        for problem in walk.add(entry, leaf):
            yield broken_chain(str(problem), index)
        for subject in entry.get("chains", (entry["subject"],)):
            places.setdefault(subject, []).append(index)
    log = LogReader(session)
    subjects = sorted({*places, *session.scalars(select(LogChainRow.subject))})
    for first in range(0, len(subjects), _AT_ONCE):
        some = subjects[first : first + _AT_ONCE]
        heads, stored = log.chain_heads(some), log.chain_entries(some)
        for subject in some:
            if heads[subject] != walk.head(subject) or stored[subject] != places.get(subject, []):
                yield broken_chain(f"{subject}: its chain is another in the tables", None)


def _rows_about(session: Session, part: range, head: Checkpoint | None) -> Iterator[Discrepancy]:
    """Compare the rows of all that a part's entries are about, and name those of nobody."""
    subjects = {
        subject
        for _index, entry, _leaf in _parsed(session, part)
        for subject in entry.get("chains", (entry["subject"],))
    }
    listed = sorted(subjects)
    for first in range(0, len(listed), _AT_ONCE):
        yield from differing(session, listed[first : first + _AT_ONCE], head)
    for table in AUDITED:
        name = table.__tablename__
        of_none = [
            ~exists().where(LogChainRow.subject == literal(f"{kind}:") + getattr(table, column))
            for column, kind in CONTINUES[name].items()
        ]
        for identity in session.execute(select(*inspect(table).primary_key).where(*of_none)):
            key = "/".join(str(one) for one in identity)
            yield Discrepancy(What.UNLOGGED_ROW, f"{name} {key}", {"table": name, "row": key})


def _parsed(session: Session, part: range | None) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    for index, leaf, _hash in log_audit.leaves(session, part):
        try:
            yield index, parse_leaf(leaf), leaf
        except UNREADABLE:
            continue  # named already


def _opened(session: Session, index: int, leaf: bytes) -> Iterator[Discrepancy]:
    try:
        event = session.get(CustodyEventRow, index)
    except UNREADABLE:
        event = CustodyEventRow(index=index)
    yield from compare_halves(index, leaf, event)


def _rows(session: Session) -> Iterator[Discrepancy]:
    """Compare each row with the state that was last logged of it."""
    logged = _last_logged(session)
    for table in AUDITED:
        primary = inspect(table).primary_key
        for identity in session.execute(select(*primary)).all():
            key = "/".join(str(part) for part in identity)
            index = logged.pop((table.__tablename__, key), None)
            yield from _row(session, table, tuple(identity), key, index)
    for (table_name, key), index in logged.items():
        if _state(session, index, (table_name, key)) is not None:
            facts = {"table": table_name, "row": key, "entry": index}
            yield Discrepancy(What.MISSING_ROW, f"{table_name} {key}", facts)


def _row(
    session: Session, table: type[Any], identity: tuple[Any, ...], key: str, index: int | None
) -> Iterator[Discrepancy]:
    name = table.__tablename__
    facts: dict[str, Any] = {"table": name, "row": key, "entry": index}
    expected = None if index is None else _state(session, index, (name, key))
    if expected is None:
        yield Discrepancy(What.UNLOGGED_ROW, f"{name} {key}", facts)
        return
    try:
        row: Audited | None = session.get(table, identity)
        changed = changed_columns(row.snapshot(), expected) if row is not None else ["all"]
    except UNREADABLE:
        changed = ["unreadable"]
    if changed:
        yield Discrepancy(What.EDITED_ROW, f"{name} {key}", facts | {"changed": changed})


def _last_logged(session: Session) -> dict[RowKey, int]:
    """Return, for each row that was ever logged, the entry that logged it last.

    Details that do not open their entry are named by `_details`; here they are taken as found.
    """
    last: dict[RowKey, int] = {}
    for index in session.scalars(select(CustodyEventRow.index).order_by(CustodyEventRow.index)):
        for key, _state_then in _logged_by(session, index):
            last[key] = index
    return last


def _state(session: Session, index: int, wanted: RowKey) -> State:
    states = [state for key, state in _logged_by(session, index) if key == wanted]
    return states[-1] if states else None


def _logged_by(session: Session, index: int) -> list[tuple[RowKey, State]]:
    try:
        return states_logged(session.get(CustodyEventRow, index))
    except UNREADABLE:
        return []
