"""Thousands of steps of the disposition machine; and fourteen seeded bugs, each caught by it."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import select

from policies.retention import disposition as disposition_policy
from policies.retention import releases as release_policy
from policies.retention import retention
from storage.catalogue.holds import holds
from storage.catalogue.retention import dispositions
from storage.catalogue.retention import retention as keeping
from storage.catalogue.tables import ExhibitRow
from storage.errors import CustodyError
from storage.upkeep import destruction
from storage.upkeep.destruction import Destruction, Store
from tests.faults.disposition_machine import DispositionMachine, found_template
from tests.sampling import sample

STEPS = int(os.environ.get("LIUHEN_MACHINE_STEPS", "1000"))  # `make faults` asks for 20,000
LENGTH = 100  # steps of one run
BOUND = 80  # runs within which a seeded bug must be caught


@pytest.fixture(scope="module")
def template(memory: Path) -> Path:
    return found_template(memory)


def run(template: Path, runs: int, *phases: Phase) -> Counter[str]:
    """Run the machine; return how often what happened. Raises: AssertionError."""

    class Machine(DispositionMachine):
        done: ClassVar[Counter[str]] = Counter()

    Machine.template = template
    bounds = settings(
        max_examples=runs,
        stateful_step_count=LENGTH,
        deadline=None,
        database=None,
        derandomize=True,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=bounds)
    return Machine.done


def test_nothing_is_destroyed_that_a_rule_a_lock_or_a_hold_keeps(template: Path) -> None:
    done = run(template, STEPS // LENGTH * 5 // 4 + 3, Phase.generate)
    assert done["steps"] >= STEPS
    assert done["destroyed"] >= STEPS / 1000  # or it would show nothing


Patch = Callable[[pytest.MonkeyPatch], None]


def hold_not_asked_at_the_point_of_no_return(patch: pytest.MonkeyPatch) -> None:
    shredding: list[bool] = []
    shred, keepers = Destruction._shred_envelope, Destruction._find_reasons

    def blind(self, *given):
        shredding.append(True)
        try:
            return shred(self, *given)
        finally:
            shredding.clear()

    patch.setattr(Destruction, "_shred_envelope", blind)
    patch.setattr(
        Destruction, "_find_reasons", lambda self, *a: () if shredding else keepers(self, *a)
    )


def approver_not_compared_with_the_proposer(patch: pytest.MonkeyPatch) -> None:
    real = disposition_policy.may_approve
    patch.setattr(
        disposition_policy,
        "may_approve",
        lambda told, person, bounds: real(replace(told, proposer="account"), person, bounds),
    )


def cooling_off_from_the_proposal(patch: pytest.MonkeyPatch) -> None:
    real = dispositions.gather_proposal

    def early(session, row, bounds, at):
        told = real(session, row, bounds, at)
        return replace(told, approved_at=told.approved_at and row.proposed_at)

    patch.setattr(dispositions, "gather_proposal", early)


def cooling_off_shorter_by_a_second(patch: pytest.MonkeyPatch) -> None:
    real = disposition_policy.may_execute
    second = retention.timedelta(seconds=1)
    patch.setattr(
        disposition_policy, "may_execute", lambda told, at, bounds: real(told, at + second, bounds)
    )


def period_compared_by_at_least(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        retention.Reason,
        "keeps_at",
        lambda self, at: self.until is None or self.until >= retention.FOREVER or self.until >= at,
    )


def links_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(keeping, "_list_links", lambda _session, _recordings: {})


def one_release_releases_all(patch: pytest.MonkeyPatch) -> None:
    real = holds.list_holds_by_recording

    def lax(session, told):
        found = real(session, told)
        return {
            one: [] if any(row.released_at for row in rows) else rows for one, rows in found.items()
        }

    patch.setattr(holds, "list_holds_by_recording", lax)


def party_hold_blind_for_later_links(patch: pytest.MonkeyPatch) -> None:
    real = holds.list_holds_by_recording

    def born(row):
        return (UUID(row.id).int >> 80) / 1000

    def frozen(session, told):
        found = real(session, told)
        for one, rows in found.items():
            wanted = select(ExhibitRow).where(ExhibitRow.recording_id == one)
            first = min((born(row) for row in session.scalars(wanted)), default=0)
            found[one] = [
                row for row in rows if row.party is None or first <= row.placed_at.timestamp()
            ]
        return found

    patch.setattr(holds, "list_holds_by_recording", frozen)


def promise_lowered_by_a_newer_edition(patch: pytest.MonkeyPatch) -> None:
    real = keeping.kept_facts

    def today(session, rulebook, recordings, at, **more):
        found = real(session, rulebook, recordings, at, **more)
        return {one: replace(facts, promised=None, reviewed_at=at) for one, facts in found.items()}

    patch.setattr(keeping, "kept_facts", today)


def store_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(destruction, "store_of", lambda _objects, _recording: Store(None, on_hold=False))


def other_clocks_not_heeded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Destruction, "_require_trusted_clock", lambda _self, _uow, _told: None)


def release_approved_by_its_proposer(patch: pytest.MonkeyPatch) -> None:
    real = release_policy.may_decide
    patch.setattr(
        release_policy,
        "may_decide",
        lambda by, held, asked: real(by, held, replace(asked, proposer="account")),
    )


def release_by_whom_it_concerns(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release_policy, "tie_of", lambda _matter, _person: None)


def release_of_more_than_was_proposed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release_policy, "is_void", lambda _held, _proposal: False)


BUGS: tuple[Patch, ...] = (
    hold_not_asked_at_the_point_of_no_return,
    approver_not_compared_with_the_proposer,
    cooling_off_from_the_proposal,
    cooling_off_shorter_by_a_second,
    period_compared_by_at_least,
    links_not_looked_at,
    one_release_releases_all,
    party_hold_blind_for_later_links,
    promise_lowered_by_a_newer_edition,
    store_not_asked,
    other_clocks_not_heeded,
    release_approved_by_its_proposer,
    release_by_whom_it_concerns,
    release_of_more_than_was_proposed,
)


@pytest.mark.parametrize("bug", sample([bug.__name__ for bug in BUGS], always=[], drawn=6))
def test_a_seeded_bug_is_caught(template: Path, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    """The same runs pass without it: those of the test above are the first of them."""
    {one.__name__: one for one in BUGS}[bug](monkeypatch)
    with pytest.raises(Exception) as caught:
        run(template, BOUND, Phase.generate)
    assert caught.type is not CustodyError  # the oracle caught it, not an accident of the patch
