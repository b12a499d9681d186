"""Logged states of rows, and their comparison with the rows and readable halves of now."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind, about_entry
from storage.catalogue.log.tables import CustodyEventRow
from storage.custody.entries.event import details_digest, format_timestamp, parse_leaf, text_digest
from storage.errors import LiuhenError
from storage.signed import canonical

# What reading a value that somebody put there may raise: not JSON, no time, no text, no UTF-8.
UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, LiuhenError, DBAPIError)
RowKey = tuple[str, str]  # a table's name, and the row's primary key as one text
State = Mapping[str, Any] | None  # a row as an entry holds it; None once it is gone
_SHARED_FIELDS = ("act", "event", "outcome", "at", "actor", "subject", "details")


def compare_halves(index: int, leaf: bytes, event: CustodyEventRow | None) -> Iterator[Discrepancy]:
    """Open an entry's digest with its readable half, and name what the halves tell differently."""
    try:
        entry = parse_leaf(leaf)
    except UNREADABLE:
        yield about_entry(DiscrepancyKind.EDITED_ENTRY, index)
        return
    yield from compare_opened(index, entry, event)


def compare_opened(
    index: int, entry: Mapping[str, Any], event: CustodyEventRow | None, text: str | None = None
) -> Iterator[Discrepancy]:
    """Do as `compare_halves`, with the leaf parsed; `text` are the details as they are kept."""
    if event is None:
        yield about_entry(DiscrepancyKind.MISSING_DETAILS, index, subject=entry["subject"])
        return
    try:
        shared_fields = _shared_state(event, entry["details"], text)
    except UNREADABLE:
        shared_fields = {}
    # Every field that both halves tell: whoever edits a row edits what people read.
    if changed := sorted(name for name in _SHARED_FIELDS if shared_fields.get(name) != entry[name]):
        facts = {"changed": changed, "subject": entry["subject"]}
        yield about_entry(DiscrepancyKind.EDITED_DETAILS, index, **facts)


def states_logged(event: CustodyEventRow | None) -> list[tuple[RowKey, State]]:
    """Return each row that an entry logged, with its state then; nothing of what does not parse."""
    try:
        logged_rows = event.details.get("rows", ()) if event is not None else ()
        return [
            ((str(logged_row["table"]), str(logged_row["key"])), logged_row["state"])
            for logged_row in logged_rows
        ]
    except UNREADABLE:
        return []


def changed_columns(row_state: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Name the columns in which a row differs from the state that was logged.

    A migration may have added columns since (they are empty then) or taken some away.
    """
    return sorted(
        name
        for name, column_value in row_state.items()
        # As canonical text: a number that a database gives back as 1.0 is the 1 that was logged.
        if canonical.encode(column_value) != canonical.encode(expected.get(name))
    )


def _shared_state(event: CustodyEventRow, digest: str, text: str | None) -> dict[str, str]:
    # The text as it is kept saves encoding it anew; what does not open is encoded to be sure.
    opens = text is not None and text_digest(text.encode(), event.salt) == digest
    return {
        "act": event.act,
        "event": event.event,
        "outcome": event.outcome,
        "at": format_timestamp(event.at),
        "actor": event.actor,
        "subject": event.subject,
        "details": digest if opens else details_digest(event.details, event.salt),
    }
