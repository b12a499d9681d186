"""Duties with a clock: upload, disclosure, decision, holding of goods, answers."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.facts.facts import (
    ActionFacts,
    CaseFacts,
    DecisionFact,
    Document,
    Footage,
    ProceedingFacts,
)
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import DocumentKind, Feature, ProceedingKind
from policies.requirements.deadlines.answer_within import AnswerWithin
from policies.requirements.deadlines.decide_within import DecideWithin
from policies.requirements.deadlines.disclose_within import DiscloseWithin
from policies.requirements.deadlines.hold_within import HoldWithin
from policies.requirements.deadlines.upload_within import UploadWithin
from policies.requirements.outcome import Deadline
from policies.time.calendar import county_day, end_of_day, last_known_day, start_of_day
from policies.time.wording import COUNTY_TIME

BEYOND = last_known_day() - timedelta(days=2)  # counting from here runs into an unknown year


def county(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=COUNTY_TIME).astimezone(UTC)


def eve(year: int, month: int, day: int) -> datetime:
    return end_of_day(date(year, month, day))


LATER, MARCH = county(2026, 3, 31, 12), county(2026, 3, 1)
START, END = county(2026, 1, 21, 9, 43), county(2026, 1, 21, 11)


def clip(name: str, accessioned: datetime | None, docked: datetime | None = None) -> Footage:
    return Footage(
        recording=name,
        source="A",
        start=START,
        end=END,
        uncertainty_s=0.0,
        has_video=True,
        has_audio=True,
        docked_at=docked,
        accessioned_at=accessioned,
    )


def action(*footage: Footage, end=END, kind=ActionKind.SEIZURE, documents=()) -> ActionFacts:
    return ActionFacts(
        action="a",
        case="c",
        kind=kind,
        stage=Stage.INVESTIGATION,
        start=START,
        end=end,
        township="x",
        footage=footage,
        documents=tuple(documents),
    )


class TestUpload:
    rule = UploadWithin()

    def test_all_footage_within_a_day_is_in_time(self):
        facts = action(clip("1", END + timedelta(hours=1)), clip("2", END + timedelta(hours=24)))
        assert self.rule.check_facts(facts).passed
        assert self.rule.find_deadline(facts) == Deadline(
            END + timedelta(hours=24), END + timedelta(hours=24)
        )

    def test_one_recording_a_second_late_is_named(self):
        late = END + timedelta(hours=24, seconds=1)
        outcome = self.rule.check_facts(action(clip("1", END), clip("2", late)))
        assert not outcome.passed
        assert outcome.facts["late"] == ["2"]
        assert "1 段录像" in outcome.message_zh
        assert "晚 1秒" in outcome.message_zh

    def test_what_was_docked_in_time_and_delayed_after_it_is_told_apart(self):
        late = END + timedelta(hours=30)
        outcome = self.rule.check_facts(action(clip("1", late, docked=END + timedelta(hours=2))))
        assert not outcome.passed
        assert "按时接入采集站" in outcome.message_zh

    def test_docked_on_the_very_hour_is_docked_in_time(self):
        hour, late = END + timedelta(hours=24), END + timedelta(hours=30)
        on_time = self.rule.check_facts(action(clip("1", late, docked=hour)))
        slow = self.rule.check_facts(action(clip("1", late, docked=hour + timedelta(seconds=1))))
        assert "按时接入采集站" in on_time.message_zh
        assert "按时接入采集站" not in slow.message_zh

    def test_a_recording_of_unknown_arrival_is_not_taken_for_granted(self):
        facts = action(clip("1", END), clip("2", None))
        outcome = self.rule.check_facts(facts)
        assert not outcome.passed
        assert "入库时间不明" in outcome.message_zh
        assert self.rule.find_deadline(facts).done_at is None

    def test_nothing_linked_is_not_done(self):
        facts = action()
        assert "尚无关联录像" in self.rule.check_facts(facts).message_zh
        assert self.rule.find_deadline(facts) == Deadline(END + timedelta(hours=24), None)

    def test_the_clock_has_not_begun_before_the_action_ends(self):
        facts = action(clip("1", END), end=None)
        assert self.rule.find_deadline(facts) is None
        assert "尚未起算" in self.rule.check_facts(facts).message_zh

    @given(st.integers(-3600, 200_000), st.integers(1, 48))
    def test_late_is_exactly_what_came_after_the_deadline(self, seconds, hours):
        rule = UploadWithin(hours=hours)
        came = END + timedelta(seconds=seconds)
        assert rule.check_facts(action(clip("1", came))).passed is (seconds <= hours * 3600)


def case(*, at=LATER, decided=None, disclosed=None, penalty=False, **more) -> CaseFacts:
    decision = decided and DecisionFact(
        at=decided, by="d", penalty=penalty, signed_by_head=True, disclosed_at=disclosed
    )
    facts = {"stage": Stage.EXECUTION if decided else Stage.INVESTIGATION} | more
    return CaseFacts(
        case="c",
        township="x",
        opened_at=county(2026, 1, 4, 9),
        at=at,
        decision=decision,
        **facts,
    )


class TestDisclosure:
    rule = DiscloseWithin()

    def test_a_penalty_has_seven_working_days_over_the_spring_festival(self):
        # 2026-02-12: Fri 13, Sat 14 (worked), then Tue 24 to Fri 27, Sat 28 (worked).
        facts = case(decided=county(2026, 2, 12, 10), penalty=True)
        assert self.rule.find_deadline(facts).at == eve(2026, 2, 28)

    def test_other_decisions_have_twenty(self):
        facts = case(decided=county(2026, 3, 2, 10))
        assert self.rule.find_deadline(facts).at == eve(2026, 3, 30)

    def test_disclosed_on_the_last_evening_is_in_time_and_a_second_later_late(self):
        decided, last = county(2026, 3, 2, 10), eve(2026, 3, 30)
        assert self.rule.check_facts(case(decided=decided, disclosed=last)).passed
        late = self.rule.check_facts(case(decided=decided, disclosed=last + timedelta(seconds=1)))
        assert not late.passed
        assert "已逾期" in late.message_zh

    def test_what_is_not_due_yet_has_not_failed(self):
        outcome = self.rule.check_facts(case(decided=county(2026, 3, 2, 10), at=eve(2026, 3, 30)))
        assert outcome.passed
        assert "最迟 2026-03-30 23:59:59" in outcome.message_zh

    def test_what_is_overdue_has_failed(self):
        at = eve(2026, 3, 30) + timedelta(seconds=1)
        outcome = self.rule.check_facts(case(decided=county(2026, 3, 2, 10), at=at))
        assert not outcome.passed
        assert "至今没有公开" in outcome.message_zh
        assert outcome.mend_zh

    def test_a_case_exempt_by_law_passes_and_says_so(self):
        facts = case(decided=county(2026, 1, 5, 10), features=(Feature.SECRET,))
        outcome = self.rule.check_facts(facts)
        assert outcome.passed
        assert "依法不公开" in outcome.message_zh
        assert self.rule.find_deadline(facts) is None

    def test_without_a_decision_nothing_is_due(self):
        assert self.rule.check_facts(case()).passed
        assert self.rule.find_deadline(case()) is None

    def test_an_unknown_year_is_not_passed_and_has_no_time(self):
        decided = start_of_day(BEYOND)
        facts = case(decided=decided, at=decided + timedelta(days=2))
        outcome = self.rule.check_facts(facts)
        assert not outcome.passed
        assert f"{BEYOND.year + 1} 年节假日安排尚未收录" in outcome.message_zh
        assert "更新节假日数据" in outcome.mend_zh
        assert self.rule.find_deadline(facts) == Deadline(None)

    def test_disclosed_within_as_many_plain_days_is_in_time_whatever_the_year(self):
        decided = start_of_day(BEYOND)
        prompt = case(decided=decided, disclosed=decided + timedelta(days=20, hours=3))
        unsure = case(decided=decided, disclosed=decided + timedelta(days=21))
        assert self.rule.check_facts(prompt).passed
        assert not self.rule.check_facts(unsure).passed

    def test_disclosed_before_it_was_decided_is_a_mistake(self):
        decided = county(2026, 3, 2, 10)
        outcome = self.rule.check_facts(
            case(decided=decided, disclosed=decided - timedelta(days=1))
        )
        assert not outcome.passed
        assert "登记有误" in outcome.message_zh

    def test_disclosed_in_the_moment_of_deciding_is_in_time(self):
        decided = county(2026, 3, 2, 10)
        assert self.rule.check_facts(case(decided=decided, disclosed=decided)).passed

    def test_a_decision_before_a_leap_day_counts_it(self):
        facts = case(decided=county(2024, 2, 28, 10), penalty=True)
        assert self.rule.find_deadline(facts).at == eve(2024, 3, 8)

    def test_a_decision_late_at_night_belongs_to_the_countys_day(self):
        before = case(decided=county(2026, 3, 2, 23, 59, 59), penalty=True)
        after = case(decided=county(2026, 3, 3, 0), penalty=True)
        assert self.rule.find_deadline(before).at == eve(2026, 3, 11)
        assert self.rule.find_deadline(after).at == eve(2026, 3, 12)


class TestDecision:
    rule = DecideWithin()
    filed = county(2026, 1, 5, 15)

    def test_ninety_days_do_not_count_the_day_of_filing(self):
        assert self.rule.find_deadline(case(filed_at=self.filed)).at == eve(2026, 4, 5)

    def test_over_a_leap_day_ninety_days_end_a_day_earlier(self):
        leap, plain = county(2024, 1, 5, 15), county(2025, 1, 5, 15)
        assert self.rule.find_deadline(case(filed_at=leap)).at == eve(2024, 4, 4)
        assert self.rule.find_deadline(case(filed_at=plain)).at == eve(2025, 4, 5)

    def test_suspended_time_is_not_counted(self):
        facts = case(filed_at=self.filed, suspended_s=10 * 86400.0)
        assert self.rule.find_deadline(facts).at == eve(2026, 4, 15)

    def test_a_decision_on_the_last_evening_is_in_time(self):
        last = eve(2026, 4, 5)
        assert self.rule.check_facts(case(filed_at=self.filed, decided=last)).passed
        late = case(filed_at=self.filed, decided=last + timedelta(seconds=1))
        assert not self.rule.check_facts(late).passed

    def test_no_decision_by_the_last_day_is_overdue(self):
        open_case = case(filed_at=self.filed, at=eve(2026, 4, 5))
        overdue = case(filed_at=self.filed, at=county(2026, 4, 6, 0))
        assert self.rule.check_facts(open_case).passed
        assert "至今没有作出" in self.rule.check_facts(overdue).message_zh
        assert not self.rule.check_facts(overdue).passed

    def test_a_suspended_case_says_that_its_time_stands_still(self):
        facts = case(filed_at=self.filed, stage=Stage.SUSPENSION, suspended_s=86400.0 * 80)
        assert "中止" in self.rule.check_facts(facts).message_zh

    @pytest.mark.parametrize("stage", [Stage.TRANSFER, Stage.CLOSING])
    def test_a_case_that_ended_without_a_decision_has_no_such_duty(self, stage):
        facts = case(filed_at=self.filed, stage=stage, at=county(2027, 1, 1))
        assert self.rule.check_facts(facts).passed
        assert self.rule.find_deadline(facts) is None

    def test_a_closed_case_is_still_judged_by_its_late_decision(self):
        facts = case(
            filed_at=self.filed,
            stage=Stage.CLOSING,
            decided=county(2026, 5, 1),
            at=county(2027, 1, 1),
        )
        assert not self.rule.check_facts(facts).passed

    def test_decided_in_the_moment_of_filing_is_in_time(self):
        assert self.rule.check_facts(case(filed_at=self.filed, decided=self.filed)).passed

    def test_before_filing_the_clock_has_not_begun(self):
        assert self.rule.find_deadline(case()) is None
        assert "尚未立案" in self.rule.check_facts(case()).message_zh

    def test_a_decision_before_filing_is_a_mistake(self):
        facts = case(filed_at=self.filed, decided=self.filed - timedelta(days=1))
        assert "登记有误" in self.rule.check_facts(facts).message_zh

    @given(st.floats(0, 1e8), st.floats(0, 1e8))
    def test_longer_suspension_never_shortens_the_time(self, some, more):
        a, b = sorted((some, more))
        shorter = self.rule.find_deadline(case(filed_at=self.filed, suspended_s=a))
        longer = self.rule.find_deadline(case(filed_at=self.filed, suspended_s=b))
        assert shorter.at <= longer.at


def papers(*told: tuple[DocumentKind, datetime]) -> tuple[Document, ...]:
    return tuple(Document(f"d{n}", kind, at) for n, (kind, at) in enumerate(told))


class TestHolding:
    rule = HoldWithin()
    first, second = eve(2026, 2, 20), eve(2026, 3, 22)

    def test_goods_are_held_for_thirty_days_after_the_day_of_seizure(self):
        assert self.rule.find_deadline(action()) == Deadline(self.first)
        outcome = self.rule.check_facts(action())
        assert outcome.passed
        assert "2026-02-20 23:59:59" in outcome.message_zh
        assert "尚未处理或者解除" in outcome.message_zh

    def test_an_extension_in_time_gives_thirty_more(self):
        facts = action(documents=papers((DocumentKind.SEIZURE_EXTENSION, self.first)))
        assert self.rule.find_deadline(facts) == Deadline(self.second)
        assert self.rule.check_facts(facts).facts["extended"] is True

    def test_an_extension_after_the_period_extends_nothing_and_is_found(self):
        late = self.first + timedelta(seconds=1)
        facts = action(documents=papers((DocumentKind.SEIZURE_EXTENSION, late)))
        assert self.rule.find_deadline(facts) == Deadline(self.first)
        outcome = self.rule.check_facts(facts)
        assert not outcome.passed
        assert "延长无效" in outcome.message_zh

    @pytest.mark.parametrize("kind", [DocumentKind.SEIZURE_RELEASE, DocumentKind.DECISION])
    def test_a_release_or_a_decision_ends_the_holding(self, kind):
        facts = action(documents=papers((kind, self.first)))
        assert self.rule.find_deadline(facts) == Deadline(self.first, self.first)
        assert self.rule.check_facts(facts).passed

    def test_a_release_after_the_period_is_late(self):
        late = self.first + timedelta(seconds=1)
        outcome = self.rule.check_facts(
            action(documents=papers((DocumentKind.SEIZURE_RELEASE, late)))
        )
        assert not outcome.passed
        assert "已逾期" in outcome.message_zh

    def test_a_release_in_the_extended_period_is_in_time(self):
        facts = action(
            documents=papers(
                (DocumentKind.SEIZURE_EXTENSION, self.first - timedelta(days=1)),
                (DocumentKind.SEIZURE_RELEASE, self.second),
            )
        )
        assert self.rule.check_facts(facts).passed

    def test_a_decision_before_the_seizure_ends_nothing(self):
        facts = action(documents=papers((DocumentKind.DECISION, START - timedelta(days=1))))
        assert self.rule.find_deadline(facts) == Deadline(self.first)

    def test_goods_released_in_the_moment_of_seizure_are_released(self):
        facts = action(documents=papers((DocumentKind.SEIZURE_RELEASE, START)))
        assert self.rule.find_deadline(facts).done_at == START

    def test_no_extension_is_told_as_none(self):
        assert self.rule.check_facts(action()).facts["extended"] is False
        late = papers((DocumentKind.SEIZURE_EXTENSION, self.first + timedelta(seconds=1)))
        assert self.rule.check_facts(action(documents=late)).facts["extended"] is False

    def test_other_actions_hold_nothing(self):
        facts = action(kind=ActionKind.INSPECTION)
        assert self.rule.find_deadline(facts) is None
        assert self.rule.check_facts(facts).passed

    def test_a_seizure_on_a_leap_day_ends_thirty_days_later(self):
        leap = ActionFacts(
            action="a",
            case="c",
            kind=ActionKind.SEIZURE,
            stage=Stage.INVESTIGATION,
            start=county(2024, 2, 29, 9),
            end=None,
            township="x",
        )
        assert county_day(self.rule.find_deadline(leap).at) == date(2024, 3, 30)


def proceeding(*, answered=None, summary=False, at=MARCH, received=None):
    return ProceedingFacts(
        proceeding="p",
        kind=ProceedingKind.RECONSIDERATION,
        township="x",
        received_at=received or county(2026, 2, 10, 9),
        at=at,
        answered_at=answered,
        summary=summary,
    )


class TestAnswer:
    rule = AnswerWithin()

    def test_ten_days_and_five_in_the_short_procedure(self):
        assert self.rule.find_deadline(proceeding()).at == eve(2026, 2, 20)
        assert self.rule.find_deadline(proceeding(summary=True)).at == eve(2026, 2, 15)

    def test_working_days_skip_the_holiday(self):
        # 11, 12, 13, Sat 14 (worked), 24, 25, 26, 27, Sat 28 (worked), 2 March.
        working = AnswerWithin(working=True)
        assert working.find_deadline(proceeding()).at == eve(2026, 3, 2)
        assert "个工作日" in working.check_facts(proceeding()).message_zh

    def test_an_answer_on_the_last_evening_is_in_time(self):
        last = eve(2026, 2, 20)
        assert self.rule.check_facts(proceeding(answered=last)).passed
        assert not self.rule.check_facts(proceeding(answered=last + timedelta(seconds=1))).passed

    def test_no_answer_is_open_until_the_last_day_and_then_overdue(self):
        last = eve(2026, 2, 20)
        assert self.rule.check_facts(proceeding(at=last)).passed
        overdue = self.rule.check_facts(proceeding(at=last + timedelta(seconds=1)))
        assert not overdue.passed
        assert "行政复议" in overdue.message_zh

    def test_an_answer_before_receipt_is_a_mistake(self):
        outcome = self.rule.check_facts(proceeding(answered=county(2026, 2, 9)))
        assert not outcome.passed
        assert "登记有误" in outcome.message_zh

    def test_answered_in_the_moment_of_receipt_is_in_time(self):
        assert self.rule.check_facts(proceeding(answered=county(2026, 2, 10, 9))).passed

    def test_working_days_in_an_unknown_year_are_not_guessed(self):
        working = AnswerWithin(working=True)
        received = start_of_day(BEYOND)
        facts = proceeding(received=received, at=received + timedelta(days=1))
        outcome = working.check_facts(facts)
        assert not outcome.passed
        assert "尚未收录" in outcome.message_zh
        assert working.find_deadline(facts) == Deadline(None)
        assert self.rule.check_facts(facts).passed

    def test_a_prompt_answer_needs_no_published_year(self):
        received = start_of_day(BEYOND)
        facts = proceeding(received=received, answered=received + timedelta(days=10))
        assert AnswerWithin(working=True).check_facts(facts).passed
