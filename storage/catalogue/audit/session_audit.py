"""Whether each act of a person lies in a session that the log opened for that very person.

Leaves say who acted and when; the readable half says in which session, and the leaf names that
session's head, so that neither can be changed alone. Entries of before the first opening know no
sessions, and are told as they were.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from storage.catalogue.log.discrepancy import Discrepancy, What, about_entry
from storage.catalogue.log.tables import CustodyEventRow, LogLeafRow
from storage.catalogue.people.sessions import CLOSE, OPEN
from storage.custody.entries.acting import session_subject
from storage.custody.entries.event import Outcome, parse_leaf
from storage.errors import LiuhenError

_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, LiuhenError, DBAPIError)
_PERSON = "person:"


@dataclass(slots=True)
class _Opened:
    """A session as its opening told it; times as entries write them."""

    person: str
    at: str
    expires: str
    ended: str | None = None


def acts_in_sessions(session: Session) -> Iterator[Discrepancy]:
    """Yield each act of a person that lies in no session of his, with what is wrong with it.

    What cannot be read, or does not open its leaf, the rest of the audit names.
    """
    opened: dict[str, _Opened] = {}
    first: str | None = None  # when sessions began to stand in this log
    for index, leaf, text in session.execute(_acts()):
        try:
            entry, details = parse_leaf(leaf.encode()), json.loads(text)
            why = None
            if entry["v"] == 1:
                continue
            if (
                entry["act"] == OPEN
                and entry["outcome"] == Outcome.SUCCESS
                and "session" in details
            ):
                first = first or entry["at"]
                why = _open(entry, details, opened)
            elif entry["actor"].startswith(_PERSON):
                why = _outside(entry, details, opened, first)
            if entry["act"] == CLOSE and details["ended"] in opened:
                opened[details["ended"]].ended = entry["at"]
        except _UNREADABLE:
            continue
        if why is not None:
            yield about_entry(What.ACT_OUTSIDE_SESSION, index, why=why, actor=entry["actor"])


def _acts() -> Any:
    """Ask for what persons did, and for openings and ends, in their order."""
    leaf = LogLeafRow.leaf
    wanted = or_(leaf.like(f'%"actor":"{_PERSON}%'), leaf.like(f'%"act":"{CLOSE}"%'))
    return (
        select(LogLeafRow.index, leaf, type_coerce(CustodyEventRow.details, Text))
        .join_from(LogLeafRow, CustodyEventRow, LogLeafRow.index == CustodyEventRow.index)
        .where(wanted)
        .order_by(LogLeafRow.index)
        .execution_options(yield_per=1000)
    )


def _open(
    entry: Mapping[str, Any], details: Mapping[str, Any], opened: dict[str, _Opened]
) -> str | None:
    name = details["session"]
    if session_subject(name) not in entry["chains"]:
        return "the opening is not in the session's own chain"
    if name in opened:
        return "the session was opened before"
    opened[name] = _Opened(entry["actor"], entry["at"], details["expires"])
    return None


def _outside(
    entry: Mapping[str, Any],
    details: Mapping[str, Any],
    opened: Mapping[str, _Opened],
    first: str | None,
) -> str | None:
    """Return why an act is in no session of its actor's; None where it is in one."""
    asked_at = details.get("asked_at")
    name = details.get("session")
    if name is None:
        older = first is None or (asked_at is not None and asked_at < first)
        return None if older else "it names no session"
    if (found := opened.get(name)) is None:
        return "its session was never opened"
    at = entry["at"] if asked_at is None else asked_at
    wrong = {
        "it does not name the head of its session": session_subject(name)
        not in {*entry["chains"], *entry["heads"]},
        "its session is another person's": found.person != entry["actor"],
        "it was asked for before its session was opened": at < found.at,
        "it was asked for after it was done": at > entry["at"],
        "its session had expired": at >= found.expires,
        "its session had ended": found.ended is not None
        and (asked_at is None or asked_at >= found.ended),
    }
    return next((why for why, holds in wrong.items() if holds), None)
