"""Random checks: drawn once from a published seed, repeatable, never by who took part."""

from datetime import timedelta

import pytest

from policies.facts.stages import ActionKind
from storage.catalogue.cases import cases
from storage.catalogue.holds.concerns import InvolvedError
from storage.catalogue.oversight import random_checks
from storage.catalogue.people import people
from storage.catalogue.recordings import recordings
from storage.errors import ConflictError

WHO = "person:p1"


@pytest.fixture
def third(catalogue, office):
    with catalogue.write() as uow:
        return [
            people.add_person(
                uow, name=f"检{n}", kind="officer", unit="县局", township="县", actor=WHO
            ).id
            for n in range(3)
        ]


@pytest.fixture
def footage(catalogue, new, now):
    with catalogue.write() as uow:
        return [
            recordings.accession_recordings(
                uow,
                new(
                    f"{n}".encode(),
                    serial=f"R{n}",
                    officer_no="001",
                    start_at=now + timedelta(seconds=n),
                ),
            )[0].id
            for n in range(12)
        ]


def drawn(catalogue, inspectors, purpose="2026年第一次", seed="沪指3141.59", count=4):
    with catalogue.write() as uow:
        return random_checks.draw_recordings(
            uow, seed=seed, purpose=purpose, count=count, inspectors=inspectors, actor=WHO
        )


def test_a_draw_is_repeated_from_what_was_published(catalogue, office, footage, third):
    row = drawn(catalogue, third)
    assert len(row.drawn) == 4
    assert {one for one, _who in row.drawn} <= set(footage)
    assert random_checks.is_reproducible(row)
    other = next(one for one in footage if one not in {taken for taken, _who in row.drawn})
    row.drawn = [[other, []], *row.drawn[1:]]
    assert not random_checks.is_reproducible(row)


def test_nobody_draws_until_he_likes_it(catalogue, office, footage, third):
    drawn(catalogue, third)
    with pytest.raises(ConflictError):
        drawn(catalogue, third, seed="another seed")


def test_who_made_the_footage_never_inspects_it(catalogue, office, footage, third):
    everybody = [office.first.id, office.second.id, *third]
    row = drawn(catalogue, everybody, count=12)
    for _recording, inspectors in row.drawn:
        assert len(inspectors) == random_checks.PER_RECORDING
        assert office.first.id not in inspectors


def test_only_who_was_drawn_enters_a_result_and_only_once(catalogue, office, footage, third):
    row = drawn(catalogue, third)
    recording, (first, *_rest) = row.drawn[0]
    facts = {"good": True, "note": "", "actor": WHO}
    with pytest.raises(ConflictError), catalogue.write() as uow:
        random_checks.record_check(uow, row.id, recording, office.second.id, **facts)
    with catalogue.write() as uow:
        random_checks.record_check(uow, row.id, recording, first, **facts)
    with pytest.raises(ConflictError), catalogue.write() as uow:
        random_checks.record_check(uow, row.id, recording, first, **facts)
    with catalogue.read() as session:
        assert [one.good for one in random_checks.checks_of(session, footage)] == [True]


def test_an_inspector_whom_the_recording_concerns_by_now_enters_nothing(
    catalogue, office, footage, third, now
):
    row = drawn(catalogue, third)
    recording, (first, second) = row.drawn[0]
    with catalogue.write() as uow:
        case = cases.open_case(
            uow, number="1", title="t", party="p", township=office.township, actor=WHO
        )
        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.INSPECTION,
            place="x",
            start_at=now,
            end_at=now + timedelta(seconds=100),
            officers=[first],
            actor=WHO,
        )
        cases.link_by_hand(uow, action.id, recording, actor=WHO)
    facts = {"good": True, "note": "", "actor": WHO}
    with pytest.raises(InvolvedError), catalogue.write() as uow:
        random_checks.record_check(uow, row.id, recording, first, **facts)
    with catalogue.write() as uow:
        random_checks.record_check(uow, row.id, recording, second, **facts)


@pytest.mark.parametrize("seed", ["", "two\nlines"])
def test_a_seed_is_one_line_of_text(catalogue, office, footage, third, seed):
    with pytest.raises(ConflictError):
        drawn(catalogue, third, seed=seed)
