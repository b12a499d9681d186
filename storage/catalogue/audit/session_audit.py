"""Audit that each act of a person lies in a session that the log opened for that person.

Leaves say who acted and when; the readable half says in which session, and the leaf names that
session's head, so that neither can be changed alone. Entries of before the first opening know no
sessions, and are told as they were.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Text, func, or_, select, type_coerce
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from policies.identifiers import Subject
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind, about_entry
from storage.catalogue.log.tables import CustodyEventRow, LogChainEntryRow, LogLeafRow
from storage.catalogue.people.sessions import CLOSE, OPEN
from storage.custody.entries.event import Outcome, parse_leaf
from storage.errors import LiuhenError

_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, LiuhenError, DBAPIError)
_AT_ONCE = 500  # entries in one question
_PERSON = "person:"
_NAMES = ("session", "ended")  # members of details that name a session


@dataclass(slots=True)
class _Opened:
    """A session as its opening told it; times as entries write them."""

    person: str
    at: str
    expires: str
    ended: str | None = None


@dataclass(slots=True)
class _Walk:
    """The sessions that were opened so far, and when they began to stand in this log."""

    opened: dict[str, _Opened] = field(default_factory=dict)
    first: str | None = None

    def follow(self, leaf: str, text: str) -> tuple[str | None, str]:
        """Take the next entry; return what is wrong with it, and its actor. Raises: _UNREADABLE."""
        entry, details = parse_leaf(leaf.encode()), json.loads(text)
        why = None
        # Entries of version 1 are of before sessions stood in the log.
        if entry["v"] == 1:
            return None, entry["actor"]
        if entry["act"] == OPEN and entry["outcome"] == Outcome.SUCCESS and "session" in details:
            self.first = self.first or entry["at"]
            why = _track_sessions(entry, details, self.opened)
        elif entry["actor"].startswith(_PERSON):
            why = _explain_outside(entry, details, self.opened, self.first)
        # After the act itself: a person ends the session while it is still open.
        if entry["act"] == CLOSE and details["ended"] in self.opened:
            self.opened[details["ended"]].ended = entry["at"]
        return why, entry["actor"]


def acts_in_sessions(session: Session, part: range | None = None) -> Iterator[Discrepancy]:
    """Yield each act of a person that lies in no session of his, with what is wrong with it.

    Of `part`, the acts of these entries; their sessions' openings and ends are found by the chains
    of these, wherever they stand. What cannot be read, or does not open its leaf, the rest of the
    audit names.
    """
    walk = _Walk()
    if part is not None:
        # What came before a part is not walked, so the beginning is asked for.
        walk.first = _first_opening(session)
        for _index, leaf, text in _before(session, part):
            with contextlib.suppress(*_UNREADABLE):
                walk.follow(leaf, text)
    for index, leaf, text in _rows(session, *_acts(part)):
        try:
            why, actor = walk.follow(leaf, text)
        except _UNREADABLE:
            continue
        if why is not None:
            yield about_entry(DiscrepancyKind.ACT_OUTSIDE_SESSION, index, why=why, actor=actor)


def _acts(part: range | None) -> list[Any]:
    """Ask for what persons did, and for openings and ends."""
    leaf = LogLeafRow.leaf
    conditions = [or_(leaf.like(f'%"actor":"{_PERSON}%'), leaf.like(f'%"act":"{CLOSE}"%'))]
    if part is not None:
        conditions += [LogLeafRow.index >= part.start, LogLeafRow.index < part.stop]
    return conditions


def _before(session: Session, part: range) -> Iterator[Any]:
    """Yield openings and ends, before a part, of the sessions that its acts are in."""
    names: set[str] = set()
    for _index, _leaf, text in _rows(session, *_acts(part)):
        with contextlib.suppress(*_UNREADABLE):
            details = json.loads(text)
            names |= {Subject.of_session(details[name]) for name in _NAMES if details.get(name)}
    chains = LogReader(session).chain_entries(names).values()
    earlier = sorted({index for indexes in chains for index in indexes if index < part.start})
    for first in range(0, len(earlier), _AT_ONCE):
        yield from _rows(session, LogLeafRow.index.in_(earlier[first : first + _AT_ONCE]))


def _first_opening(session: Session) -> str | None:
    """Return when sessions began to stand in this log; None where none does."""
    begins = select(func.min(LogChainEntryRow.index)).where(
        LogChainEntryRow.subject.like(Subject.of_session("%")), LogChainEntryRow.number == 0
    )
    for _index, leaf, _text in _rows(session, LogLeafRow.index == begins.scalar_subquery()):
        with contextlib.suppress(*_UNREADABLE):
            return str(parse_leaf(leaf.encode())["at"])
    return None


def _rows(session: Session, *conditions: Any) -> Any:
    """Yield number, leaf and readable half of entries, in their order."""
    return session.execute(
        select(LogLeafRow.index, LogLeafRow.leaf, type_coerce(CustodyEventRow.details, Text))
        .join_from(LogLeafRow, CustodyEventRow, LogLeafRow.index == CustodyEventRow.index)
        .where(*conditions)
        .order_by(LogLeafRow.index)
        .execution_options(yield_per=1000)
    )


def _track_sessions(
    entry: Mapping[str, Any], details: Mapping[str, Any], opened: dict[str, _Opened]
) -> str | None:
    name = details["session"]
    # Else a chain could be said to begin that the log does not have.
    if Subject.of_session(name) not in entry["chains"]:
        return "the opening is not in the session's own chain"
    if name in opened:
        return "the session was opened before"
    opened[name] = _Opened(entry["actor"], entry["at"], details["expires"])
    return None


def _explain_outside(
    entry: Mapping[str, Any],
    details: Mapping[str, Any],
    opened: Mapping[str, _Opened],
    first: str | None,
) -> str | None:
    """Return why an act is in no session of its actor's; None where it is in one."""
    asked_at = details.get("asked_at")
    name = details.get("session")
    if name is None:
        # Of before sessions stood in the log, or asked for then and done by a job later.
        older = first is None or (asked_at is not None and asked_at < first)
        return None if older else "it names no session"
    if (opening := opened.get(name)) is None:
        return "its session was never opened"
    # A job acts in the session of then: its times are judged by the asking.
    at = entry["at"] if asked_at is None else asked_at
    wrong = {
        "it does not name the head of its session": Subject.of_session(name)
        not in {*entry["chains"], *entry["heads"]},
        "its session is another person's": opening.person != entry["actor"],
        "it was asked for before its session was opened": at < opening.at,
        "it was asked for after it was done": at > entry["at"],
        "its session had expired": at >= opening.expires,
        # A job asked for before the end may act after it; a person may not.
        "its session had ended": opening.ended is not None
        and (asked_at is None or asked_at >= opening.ended),
    }
    return next((why for why, holds in wrong.items() if holds), None)
