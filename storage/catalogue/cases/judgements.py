"""Judgement of an action: the final one of its closing, or while it is open that of now.

What the rules say otherwise since then stands beside that verdict, never in its place. A case's
move to its next stage is another act, and judged by what is known then (`cases.judge_move`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from policies.identifiers import Subject
from policies.rules.rules import Rulebook
from storage.catalogue.cases import cases
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.tables import ActionRow
from storage.custody.entries.event import Outcome


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with the facts it was judged from, as `to_json` of both gives them.

    `rulebook` is the digest of what judged; None where a closing of an earlier version does not
    say. Such a closing kept no facts either: they are today's then. `later` is today's verdict
    with its facts, where it differs; `now` is when that was asked.
    """

    at: datetime
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    rulebook: str | None
    now: datetime
    later: Mapping[str, Any] | None


def judgement_of(session: Session, row: ActionRow, rulebook: Rulebook, now: datetime) -> Judgement:
    """Return the verdict of an action's closing, or of now while it is open."""
    facts = cases.facts_of(session, row.id)
    today = {"facts": facts.to_json(), "verdict": rulebook.judge_facts(facts).to_json()}
    closing = _find_closing_entry(session, row)
    if closing is None:
        return Judgement(now, **today, rulebook=rulebook.digest, now=now, later=None)
    details = closing.details
    return Judgement(
        at=closing.at,
        facts=details.get("facts", today["facts"]),
        verdict=details["verdict"],
        rulebook=details.get("rulebook"),
        now=now,
        later=today if details["verdict"] != today["verdict"] else None,
    )


def _find_closing_entry(session: Session, row: ActionRow) -> CustodyEventRow | None:
    """Return the entry by which an action was closed; None while it is open.

    The log is asked, and not the row: nothing opens an action again.
    """
    tried = LogReader(session).events_of(Subject.of_action(row.id), act="action.close")
    return next((entry for entry in reversed(tried) if entry.outcome == Outcome.SUCCESS), None)
