"""Does the catalogue still say what the custody log says? Every row, every entry, every head.

Is each entry the one that was signed, and the log as long as what was signed (`audit_log.py`);
does each readable half open its entry; is each row in the state that was last logged. Everything
in the database is untrusted, down to values that do not parse: what cannot be read is named, not
raised. Objects are `storage/fixity.py`'s business. Nothing is changed or repaired here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from storage.catalogue import audit_log
from storage.catalogue.audited import AUDITED
from storage.catalogue.columns import Audited
from storage.catalogue.damage import damage
from storage.catalogue.discrepancy import Discrepancy, What, about_entry
from storage.catalogue.log_tables import CustodyEventRow, LogLeafRow
from storage.catalogue.logged_state import (
    UNREADABLE,
    RowKey,
    State,
    changed_columns,
    compare_halves,
    states_logged,
)
from storage.custody.event import parse_leaf
from storage.custody.log_time import running_back
from storage.custody.note import NoteKey


def audit(
    session: Session,
    keys: Sequence[NoteKey],
    *,
    signed: str | None = None,
    folder: Path | None = None,
) -> Iterator[Discrepancy]:
    """Yield everything that is wrong with the catalogue and its log; nothing, if nothing is.

    `keys` are the log's note keys. `signed` is a checkpoint from outside the database (the
    signer's last, a station's, a bundle's): without one, a catalogue put back from an old copy
    looks well. `folder` holds the static log: with it, an edited entry is named even when the
    whole database was rewritten around it. Give a fresh session (`Catalogue.read`).
    """
    if (said := damage(session)) is not None:
        yield Discrepancy(What.DAMAGED_DATABASE, "the catalogue", {"found": said})
        return
    static, wrong = audit_log.static_log(folder, keys)
    yield from wrong
    heads, wrong = audit_log.checkpoints(session, keys, signed)
    yield from wrong
    if static:
        heads = sorted([*heads, static.head], key=lambda head: head.size)
    edited: set[int] = set()
    for found in audit_log.entries(session, heads, static):
        edited.update([found.facts["index"]] if "index" in found.facts else [])
        yield found
    yield from audit_log.nodes(session)
    yield from _details(session, edited)
    yield from _times(session)
    yield from _rows(session)


def _details(session: Session, edited: set[int]) -> Iterator[Discrepancy]:
    """Open each entry's digest with its readable half, and compare what both tell."""
    for index, leaf, _hash in audit_log.leaves(session):
        if index not in edited:
            yield from _opened(session, index, leaf)
    orphans = select(CustodyEventRow.index).where(
        CustodyEventRow.index.not_in(select(LogLeafRow.index))
    )
    for index in session.scalars(orphans):
        if index not in edited:
            yield about_entry(What.MISSING_ENTRY, index)


def _times(session: Session) -> Iterator[Discrepancy]:
    """Name the entries that are older than the one before them."""
    for index, last in running_back(_parsed(session)):
        yield about_entry(What.TIME_RUNS_BACK, index, before=last)


def _parsed(session: Session) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, leaf, _hash in audit_log.leaves(session):
        try:
            yield index, parse_leaf(leaf)
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
