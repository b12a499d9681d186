"""What persons say of doubts: dismissed ones count no more, confirmed ones never do."""

from datetime import timedelta

import pytest

from policies.facts.findings import Cause
from policies.facts.stages import ActionKind
from policies.identifiers import Subject
from policies.requirements.footage.coverage import Coverage
from storage.catalogue.cases import cases, doubts
from storage.catalogue.holds.concerns import InvolvedError
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.reading import rule_facts
from storage.catalogue.recordings import recordings
from storage.errors import ConflictError, NotFoundError

WHO = "person:p1"
BLACK = {"kind": "black", "weight": "doubt", "start_s": 10.0, "end_s": 40.0, "detail": ""}
SILENT = {"kind": "silent", "weight": "doubt", "start_s": 60.0, "end_s": None, "detail": ""}


@pytest.fixture
def doubted(catalogue, office, new, now):
    """An inspection of 100 s by one recorder, 30 s of it black, the last 50 s silent."""
    with catalogue.write() as uow:
        (row,) = recordings.accession_recordings(
            uow,
            new(
                officer_no="001",
                start_at=now - timedelta(seconds=5),
                duration_s=110.0,
                clock_uncertainty_s=0.0,
                inspection=[BLACK, SILENT],
            ),
        )
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
            officers=[office.first.id],
            actor=WHO,
        )
        cases.link_by_hand(uow, action.id, row.id, actor=WHO)
    return row, action


def settle(catalogue, row, kind, start_s, person, **more):
    with catalogue.write() as uow:
        said = {"confirmed": False, "reason": "夜间拍摄,属实"} | more
        return doubts.settle_doubt(uow, row.id, kind, start_s, person_id=person, actor=WHO, **said)


def gaps(catalogue, action):
    with catalogue.read() as session:
        outcome = Coverage().check_facts(rule_facts.facts_of(session, action.id))
    return [(gap.cause, round(gap.span.seconds)) for gap in outcome.gaps]


def test_a_dismissed_doubt_counts_no_more_and_a_confirmed_one_is_a_fault(
    catalogue, office, doubted
):
    row, action = doubted
    assert gaps(catalogue, action) == [(Cause.DOUBTFUL, 30), (Cause.DOUBTFUL, 45)]
    settle(catalogue, row, "black", 10.0, office.second.id)
    assert gaps(catalogue, action) == [(Cause.DOUBTFUL, 45)]
    settle(catalogue, row, "silent", 60.0, office.second.id, confirmed=True, reason="")
    assert gaps(catalogue, action) == [(Cause.FAULTY, 45)]
    settle(catalogue, row, "silent", 60.0, office.second.id)  # the last word holds
    assert gaps(catalogue, action) == []
    with catalogue.read() as session:
        acts = [e.act for e in LogReader(session).events_of(Subject.of_recording(row.id))]
        assert [one.confirmed for one in doubts.list_settled_doubts(session, row.id)] == [
            False,
            False,
        ]
    assert acts[-3:] == ["doubt.dismiss", "doubt.confirm", "doubt.dismiss"]


def test_nobody_judges_his_own_footage(catalogue, office, doubted):
    with pytest.raises(InvolvedError):
        settle(catalogue, doubted[0], "black", 10.0, office.first.id)


def test_who_took_part_in_the_action_judges_none_of_its_footage(catalogue, office, doubted, now):
    row, action = doubted
    with catalogue.write() as uow:
        other = cases.add_action(
            uow,
            case_id=action.case_id,
            kind=ActionKind.INSPECTION,
            place="x",
            start_at=now,
            end_at=now + timedelta(seconds=100),
            officers=[office.second.id],
            actor=WHO,
        )
    settle(catalogue, row, "black", 10.0, office.second.id)  # not his action yet
    with catalogue.write() as uow:
        cases.link_by_hand(uow, other.id, row.id, actor=WHO)
    with pytest.raises(InvolvedError):
        settle(catalogue, row, "black", 10.0, office.second.id)


def test_a_dismissal_needs_a_reason(catalogue, office, doubted):
    with pytest.raises(ConflictError, match="reason"):
        settle(catalogue, doubted[0], "black", 10.0, office.second.id, reason="  ")


def test_what_nobody_doubted_cannot_be_settled(catalogue, office, doubted):
    with pytest.raises(NotFoundError):
        settle(catalogue, doubted[0], "black", 11.0, office.second.id)
    with pytest.raises(NotFoundError):
        settle(catalogue, doubted[0], "frozen", 10.0, office.second.id)
