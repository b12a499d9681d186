"""The one list of what is due."""

from datetime import UTC, date, datetime, timedelta

import pytest

from policies.duties import Duty, DutyState, derive_duties, in_order
from policies.facts.facts import (
    ActionFacts,
    CaseFacts,
    DecisionFact,
    Footage,
    OfficerFact,
    TownshipFacts,
    Trained,
)
from policies.facts.stages import ActionKind, Stage
from policies.requirements.deadlines.decide_within import DecideWithin
from policies.requirements.deadlines.disclose_within import DiscloseWithin
from policies.requirements.deadlines.hold_within import HoldWithin
from policies.requirements.deadlines.upload_within import UploadWithin
from policies.requirements.persons.certificates import Certificates
from policies.requirements.persons.officers import Officers
from policies.requirements.persons.training import Training
from policies.time.calendar import end_of_day, last_known_day, start_of_day

END = datetime(2026, 1, 21, 3, tzinfo=UTC)
RULES = (
    ("upload.24h", "录像上传", "Upload", UploadWithin()),
    ("hold.30", "查封扣押期限", "Holding period", HoldWithin()),
    ("officers.two", "两名执法人员", "Two officers", Officers()),
    ("disclose.7", "决定公开", "Disclosure", DiscloseWithin()),
    ("decide.90", "办案期限", "Decision", DecideWithin()),
    ("training.40", "年度培训", "Training", Training()),
    ("certificates", "证件有效期", "Certificates", Certificates()),
)


def seizure(*accessioned: datetime) -> ActionFacts:
    footage = tuple(
        Footage(str(n), "A", None, None, None, True, True, accessioned_at=at)
        for n, at in enumerate(accessioned)
    )
    return ActionFacts(
        action="a1",
        case="c1",
        kind=ActionKind.SEIZURE,
        stage=Stage.INVESTIGATION,
        start=END - timedelta(hours=1),
        end=END,
        township="安子岭乡",
        officers=(OfficerFact("o1", certified=True), OfficerFact("o2", certified=True)),
        footage=footage,
    )


def decided(at: datetime) -> CaseFacts:
    return CaseFacts(
        case="c1",
        township="安子岭乡",
        stage=Stage.SERVICE,
        opened_at=at,
        at=at,
        handlers=("o1",),
        decision=DecisionFact(at, "d", penalty=True, signed_by_head=True),
    )


def state_of(rule: str, found: tuple[Duty, ...]) -> DutyState:
    (state,) = [one.state for one in found if one.rule == rule]
    return state


@pytest.mark.parametrize(
    ("hours", "state"),
    [(0, DutyState.SOON), (24, DutyState.SOON), (24.001, DutyState.OVERDUE)],
)
def test_an_upload_is_soon_until_its_hour_and_overdue_after(hours, state):
    found = derive_duties(RULES, seizure(), END + timedelta(hours=hours))
    assert state_of("upload.24h", found) is state


def test_goods_held_too_long_are_overdue_without_anyone_asking():
    due = end_of_day(date(2026, 2, 20))
    assert state_of("hold.30", derive_duties(RULES, seizure(), END)) is DutyState.OPEN
    assert (
        state_of("hold.30", derive_duties(RULES, seizure(), due - timedelta(days=2)))
        is DutyState.SOON
    )
    late = derive_duties(RULES, seizure(), due + timedelta(seconds=1))
    assert state_of("hold.30", late) is DutyState.OVERDUE
    assert next(one for one in late if one.rule == "hold.30").is_late


def test_what_was_done_is_done_and_says_whether_it_was_late():
    at = END + timedelta(days=9)
    prompt = derive_duties(RULES[:1], seizure(END + timedelta(hours=2)), at)
    slow = derive_duties(RULES[:1], seizure(END + timedelta(hours=30)), at)
    assert [one.state for one in (*prompt, *slow)] == [DutyState.COMPLETED, DutyState.COMPLETED]
    assert [one.is_late for one in (*prompt, *slow)] == [False, True]


def test_what_was_done_in_the_last_moment_is_not_late():
    (upload,) = derive_duties(RULES[:1], seizure(END + timedelta(hours=24)), END)
    assert not upload.is_late


def test_a_duty_is_soon_from_exactly_so_many_days_before():
    due = end_of_day(date(2026, 2, 20))
    before = due - timedelta(days=3)
    assert state_of("hold.30", derive_duties(RULES, seizure(), before)) is DutyState.SOON
    earlier = before - timedelta(microseconds=1)
    assert state_of("hold.30", derive_duties(RULES, seizure(), earlier)) is DutyState.OPEN
    assert state_of("hold.30", derive_duties(RULES, seizure(), earlier, 4)) is DutyState.SOON


def test_a_duty_names_subject_township_and_whom_it_concerns():
    (upload, _) = derive_duties(RULES, seizure(), END)
    assert (upload.subject, upload.township) == ("action:a1", "安子岭乡")
    assert upload.person is None
    assert upload.persons == ("o1", "o2")
    (disclosure,) = derive_duties(RULES, decided(END), END)
    assert (disclosure.subject, disclosure.persons) == ("case:c1", ("o1",))


def test_rules_without_a_clock_and_of_other_scopes_bring_no_duty():
    assert {one.rule for one in derive_duties(RULES, seizure(), END)} == {"upload.24h", "hold.30"}


def test_a_year_that_nobody_knows_makes_an_unknown_duty_not_a_missing_one():
    at = start_of_day(last_known_day())
    (duty,) = derive_duties(RULES, decided(at), at)
    assert duty.state is DutyState.UNKNOWN
    assert duty.due_at is None
    assert not duty.is_late


def township(at: datetime) -> TownshipFacts:
    return TownshipFacts(
        township="安子岭乡",
        at=at,
        full_time=4,
        officers=(
            Trained("o1", "张一", 40, 1, date(2026, 4, 1)),
            Trained("o2", "李二", 3, 0, date(2026, 2, 1)),
            Trained("o3", "王三", 40, 1),
        ),
    )


def test_training_and_certificates_are_duties_of_each_person():
    at = datetime(2026, 2, 10, 4, tzinfo=UTC)
    found = {(one.rule, one.person): one for one in derive_duties(RULES, township(at), at)}
    states = {key: one.state for key, one in found.items()}
    assert states == {
        ("training.40", "o1"): DutyState.COMPLETED,
        ("training.40", "o2"): DutyState.OPEN,
        ("training.40", "o3"): DutyState.COMPLETED,
        ("certificates", "o1"): DutyState.SOON,  # within the rule's own sixty days
        ("certificates", "o2"): DutyState.OVERDUE,
        ("certificates", "o3"): DutyState.UNKNOWN,
    }
    assert found["certificates", "o2"].what_zh == "证件有效期:李二"
    assert found["certificates", "o2"].persons == ("o2",)


def test_overdue_stands_first_then_what_is_nearest_and_done_last():
    at = datetime(2026, 2, 10, 4, tzinfo=UTC)
    found = in_order(
        [*derive_duties(RULES, township(at), at), *derive_duties(RULES, seizure(), at)]
    )
    states = [one.state for one in found]
    assert states[:2] == [DutyState.OVERDUE, DutyState.OVERDUE]
    assert states[-2:] == [DutyState.COMPLETED, DutyState.COMPLETED]
    waiting = [one.due_at for one in found if one.state in {DutyState.SOON, DutyState.OPEN}]
    assert waiting == sorted(waiting)
    assert found == in_order(reversed(found))
