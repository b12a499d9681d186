"""Does the catalogue still say what the custody log says? Every row, every entry, every head.

Is each entry the one that was signed, and the log as long as what was signed (`audit_log.py`);
does each readable half open its entry; is each row in the state that was last logged; does each
act of a person lie in a session of his (`audit_sessions.py`). Everything
in the database is untrusted, down to values that do not parse: what cannot be read is named, not
raised. Objects are `storage/fixity.py`'s business. Nothing is changed or repaired here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage import canonical
from storage.catalogue import audit_log, audit_sessions
from storage.catalogue.audited import AUDITED
from storage.catalogue.columns import Audited
from storage.catalogue.damage import damage
from storage.catalogue.discrepancy import Discrepancy, What, about_entry
from storage.catalogue.log_tables import CustodyEventRow, LogLeafRow
from storage.custody.event import details_digest, parse_leaf, timestamp
from storage.custody.note import NoteKey
from storage.errors import LiuhenError

# What reading a value that somebody put there may raise: not JSON, no time, no text, no UTF-8.
UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, LiuhenError, DBAPIError)
_Key = tuple[str, str]


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
    yield from _rows(session)
    yield from audit_sessions.acts_in_sessions(session)


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


def _opened(session: Session, index: int, leaf: bytes) -> Iterator[Discrepancy]:
    try:
        entry = parse_leaf(leaf)
    except UNREADABLE:
        yield about_entry(What.EDITED_ENTRY, index)
        return
    try:
        event = session.get(CustodyEventRow, index)
        told = _told(event) if event is not None else None
    except UNREADABLE:
        told = {}
    if told is None:
        yield about_entry(What.MISSING_DETAILS, index, subject=entry["subject"])
        return
    changed = sorted(name for name in _TOLD if told.get(name) != entry[name])
    if changed:
        facts = {"changed": changed, "subject": entry["subject"]}
        yield about_entry(What.EDITED_DETAILS, index, **facts)


_TOLD = ("act", "event", "outcome", "at", "actor", "subject", "details")


def _told(event: CustodyEventRow) -> dict[str, str]:
    return {
        "act": event.act,
        "event": event.event,
        "outcome": event.outcome,
        "at": timestamp(event.at),
        "actor": event.actor,
        "subject": event.subject,
        "details": details_digest(event.details, event.salt),
    }


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
        changed = _changed(row.snapshot(), expected) if row is not None else ["all"]
    except UNREADABLE:
        changed = ["unreadable"]
    if changed:
        yield Discrepancy(What.EDITED_ROW, f"{name} {key}", facts | {"changed": changed})


def _changed(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Name the columns that differ from the state logged.

    A migration may have added columns since (they are empty then) or taken some away.
    """
    return sorted(
        name
        for name, value in found.items()
        if canonical.encode(value) != canonical.encode(expected.get(name))
    )


def _last_logged(session: Session) -> dict[_Key, int]:
    """Return, for each row that was ever logged, the entry that logged it last.

    Details that do not open their entry are named by `_details`; here they are taken as found.
    """
    last: dict[_Key, int] = {}
    for index in session.scalars(select(CustodyEventRow.index).order_by(CustodyEventRow.index)):
        for table, key, _state_then in _logged_by(session, index):
            last[table, key] = index
    return last


def _state(session: Session, index: int, wanted: _Key) -> dict[str, Any] | None:
    states = [state for *key, state in _logged_by(session, index) if tuple(key) == wanted]
    return states[-1] if states else None


def _logged_by(session: Session, index: int) -> list[tuple[str, str, dict[str, Any] | None]]:
    try:
        event = session.get(CustodyEventRow, index)
        told = event.details.get("rows", ()) if event is not None else ()
        return [(str(one["table"]), str(one["key"]), one["state"]) for one in told]
    except UNREADABLE:
        return []
