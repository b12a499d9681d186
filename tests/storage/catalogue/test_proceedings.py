"""Complaints, reconsiderations, lawsuits: what they hold, and until when."""

from datetime import timedelta

import pytest

from policies.access.access import Role
from policies.facts.terms import ProceedingKind
from storage.catalogue.cases import cases
from storage.catalogue.holds import holds, proceedings, releases
from storage.catalogue.holds.proceedings import NewProceeding
from storage.catalogue.holds.releases import ReleaseError
from storage.catalogue.recordings import recordings
from storage.errors import ConflictError, NotFoundError
from tests.keeping import add_keeper

WHO = "person:p1"


@pytest.fixture
def film(catalogue, new, now):
    def make(start, seconds=60.0, **more):
        with catalogue.write() as uow:
            facts = {"start_at": now + timedelta(seconds=start), "duration_s": seconds} | more
            return recordings.accession_recordings(uow, new(f"{start} {more}".encode(), **facts))[
                0
            ].id

    return make


@pytest.fixture
def brought(catalogue, office, now):
    def make(**more):
        facts = {
            "kind": ProceedingKind.COMPLAINT,
            "number": "信访1号",
            "township": office.township,
            "about": "粗暴执法",
            "brought_by": "孙某",
            "received_at": now,
            "since": now,
            "until": now + timedelta(minutes=10),
        }
        with catalogue.write() as uow:
            return proceedings.register_proceeding(uow, NewProceeding(**facts | more), actor=WHO)

    return make


def held(catalogue, row):
    with catalogue.read() as session:
        return set(proceedings.list_held_recordings(session, row.id))


def test_a_complaint_holds_what_was_filmed_then_and_there(catalogue, film, brought):
    inside, before, elsewhere = film(30), film(-600), film(40, township="别处镇")
    row = brought()
    assert held(catalogue, row) == {inside}
    assert {before, elsewhere} & held(catalogue, row) == set()


def test_what_comes_in_later_is_held_too(catalogue, film, brought):
    row = brought()
    late = film(60)
    with catalogue.write() as uow:
        assert [one.recording_id for one in proceedings.hold_more(uow, row.id, actor=WHO)] == [late]
        assert proceedings.hold_more(uow, row.id, actor=WHO) == []


def test_a_hold_is_released_by_its_own_answered_proceeding_alone(catalogue, office, film, brought):
    recording = film(30)
    complaint, other = brought(), brought(number="信访2号")
    with catalogue.write() as uow:
        head = add_keeper(uow, "head", Role.HEAD, office.township)
        reviewer = add_keeper(uow, "reviewer", Role.REVIEWER, office.township)
    with pytest.raises(ReleaseError), catalogue.write() as uow:
        releases.propose_for_proceeding(uow, complaint.id, "结束", by=head)
    with catalogue.write() as uow:
        proceedings.answer_proceeding(uow, complaint.id, "查无此事", by=head)
        proposed = releases.propose_for_proceeding(uow, complaint.id, "结束", by=head)
    with catalogue.write() as uow:
        releases.approve_release(uow, proposed.id, by=reviewer)
    with catalogue.read() as session:
        assert [h.proceeding_id for h in holds.list_holds_of_recording(session, recording)] == [
            other.id
        ]
    with pytest.raises(ConflictError), catalogue.write() as uow:
        releases.propose_for_proceeding(uow, complaint.id, "结束", by=head)
    with pytest.raises(ConflictError), catalogue.write() as uow:
        proceedings.answer_proceeding(uow, complaint.id, "再答", by=head)


def test_a_reconsideration_holds_the_cases_footage(catalogue, office, film, brought, now):
    recording = film(30)
    with catalogue.write() as uow:
        case = cases.open_case(
            uow, number="1", title="t", party="p", township=office.township, actor=WHO
        )
        from policies.facts.stages import ActionKind

        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.INSPECTION,
            place="x",
            start_at=now,
            end_at=now + timedelta(seconds=90),
            officers=[office.first.id],
            actor=WHO,
        )
        cases.link_by_hand(uow, action.id, recording, actor=WHO)
    row = brought(kind=ProceedingKind.RECONSIDERATION, case_id=case.id, since=None, until=None)
    assert held(catalogue, row) == {recording}


def test_what_cannot_be_is_refused(brought, now):
    with pytest.raises(ConflictError):
        brought(kind=ProceedingKind.LITIGATION, case_id=None)
    with pytest.raises(ConflictError):
        brought(until=now - timedelta(seconds=1))
    with pytest.raises(NotFoundError):
        brought(case_id="nothing")
    with pytest.raises(NotFoundError):
        brought(handler_id="nobody")
