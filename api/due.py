"""What is due: every duty with a clock, of cases, actions, proceedings and townships, as one list.

Which rules are in force is the rulebook's to say, how a duty stands `policies/duties.py`'s; here
is only gathered. Closed cases count for a year, while their decisions may have to be disclosed.
"""

from datetime import datetime, timedelta
from typing import Any

from policies.duties import AnyFacts, Asked, Duty, DutyState, duties, in_order
from policies.facts import ActionFacts
from policies.rules import SCOPES, Rulebook
from storage.catalogue import cases, people, proceedings, register
from storage.catalogue.facts import case_facts_of, proceeding_facts
from storage.catalogue.unit_of_work import View

LOOK_BACK = timedelta(days=366)


def due(
    session: View, rulebook: Rulebook, at: datetime, *, township: str | None = None
) -> tuple[Duty, ...]:
    """Return every duty of a township (None: of all), the most pressing first."""
    found: list[Duty] = []
    for facts in _facts(session, at, township):
        found += duties(_asked(rulebook, facts), facts, at)
    return in_order(found)


def pressing(found: tuple[Duty, ...]) -> tuple[Duty, ...]:
    """Return what is still to be done."""
    return tuple(one for one in found if one.state is not DutyState.DONE)


def _facts(session: View, at: datetime, township: str | None) -> list[AnyFacts]:
    found: list[AnyFacts] = []
    for row in cases.cases(session, township=township):
        if row.closed_at is None or row.closed_at > at - LOOK_BACK:
            facts = case_facts_of(session, row.id, at)
            found += [facts, *facts.actions]
    for one in proceedings.proceedings(session, township=township):
        found.append(proceeding_facts(one, at))
    for name in [township] if township is not None else people.townships(session):
        found.append(register.township_facts(session, name, at))
    return found


def _asked(rulebook: Rulebook, facts: AnyFacts) -> list[Asked]:
    at: Any = facts.start if isinstance(facts, ActionFacts) else facts.at
    scope, major = SCOPES[type(facts)], rulebook.is_major(facts, at)
    return [
        (rule.id, rule.title_zh, rule.title_en, rule.requirement)
        for rule in rulebook.in_force(at)
        if rule.scope is scope and rule.when.holds(facts, major=major)
    ]
