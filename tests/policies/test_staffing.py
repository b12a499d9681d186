"""Townships: enough people, trained this year, with certificates that hold (第四至六条)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from policies.facts.facts import TownshipFacts, Trained
from policies.requirements.outcome import Deadline
from policies.requirements.persons.certificates import Certificates
from policies.requirements.persons.staffing import Staffing
from policies.requirements.persons.training import Training
from policies.time.calendar import end_of_day
from policies.time.wording import COUNTY_TIME

FOUR = {"安子岭": 4, "陡子峪": 4, "南天门": 4, "上石洞": 4}
STAFFING = Staffing(reduced=FOUR)
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def township(*officers: Trained, name="半壁山镇", full_time=6, at=NOON) -> TownshipFacts:
    return TownshipFacts(township=name, at=at, full_time=full_time, officers=officers)


def officer(n: int = 1, hours: float = 40, special: int = 1, until=date(2028, 1, 1)) -> Trained:
    return Trained(f"o{n}", f"张{n}", hours, special, until)


@pytest.mark.parametrize(
    ("name", "full_time", "passed"),
    [
        ("半壁山镇", 6, True),
        ("半壁山镇", 5, False),
        ("安子岭乡", 4, True),
        ("安子岭乡", 3, False),
        ("南天门满族乡", 4, True),
        ("陡子峪", 4, True),
        ("上石洞乡", 3, False),
    ],
)
def test_six_are_needed_and_four_in_the_four_named_townships(name, full_time, passed):
    assert STAFFING.check_facts(township(name=name, full_time=full_time)).passed is passed


def test_the_finding_says_how_many_are_missing():
    outcome = STAFFING.check_facts(township(full_time=4))
    assert "不少于 6 名" in outcome.message_zh
    assert "缺 2 名" in outcome.message_zh
    assert outcome.facts == {"full_time": 4, "required": 6}


def test_the_longest_name_that_fits_wins():
    rule = Staffing(reduced={"南": 2, "南天门": 4})
    assert rule.count_required("南天门满族乡") == 4
    assert rule.count_required("南山") == 2
    assert Staffing(reduced={"": 1}).count_required("任一") == 6


def test_training_not_yet_done_in_march_is_due_and_not_failed():
    facts = township(officer(1), officer(2, hours=12))
    outcome = Training().check_facts(facts)
    assert outcome.passed
    assert "年底前还需完成" in outcome.message_zh
    assert "张2(已 12 学时、1 次)" in outcome.message_zh
    assert Training().find_deadline(facts) == Deadline(end_of_day(date(2026, 12, 31)))


def test_training_missing_on_the_last_day_of_the_year_has_failed():
    last = datetime(2026, 12, 31, 0, tzinfo=COUNTY_TIME)
    eve = last - timedelta(seconds=1)
    assert Training().check_facts(township(officer(hours=39.5), at=eve)).passed
    outcome = Training().check_facts(township(officer(hours=39.5), at=last))
    assert not outcome.passed
    assert outcome.facts["lacking"] == {"o1": [39.5, 1]}


def test_the_year_of_training_is_the_countys():
    utc_eve = datetime(2026, 12, 31, 17, tzinfo=UTC)  # already 2027 in the county
    facts = township(officer(hours=0), at=utc_eve)
    assert Training().check_facts(facts).facts["year"] == 2027
    assert Training().find_deadline(facts) == Deadline(end_of_day(date(2027, 12, 31)))


def test_hours_alone_do_not_make_a_special_training():
    facts = township(officer(special=0))
    assert Training().check_facts(facts).facts["lacking"] == {"o1": [40, 0]}


def test_hours_that_are_no_number_are_not_enough():
    assert Training().check_facts(township(officer(hours=float("nan")))).facts["lacking"]


def test_who_is_trained_is_done_and_who_is_not_is_due():
    facts = township(officer(1), officer(2, hours=0))
    done = {one.id: due.done_at for one, due in Training().list_deadlines(facts)}
    assert done == {"o1": NOON, "o2": None}
    assert Training().find_deadline(township(officer(1))).done_at == NOON
    assert Training().find_deadline(township()) is None


def test_certificates_that_hold_long_enough_pass():
    assert Certificates().check_facts(township(officer(until=date(2026, 5, 2)))).passed


def test_a_certificate_that_ends_in_sixty_days_is_told():
    outcome = Certificates().check_facts(township(officer(until=date(2026, 5, 1))))
    assert not outcome.passed
    assert "60 日内到期:张1(2026-05-01)" in outcome.message_zh
    assert outcome.facts["expired"] == {}


def test_a_certificate_holds_on_its_last_day_and_not_after():
    last, after = date(2026, 3, 2), date(2026, 3, 1)
    assert "已过期" not in Certificates().check_facts(township(officer(until=last))).message_zh
    outcome = Certificates().check_facts(township(officer(until=after)))
    assert "证件已过期:张1(2026-03-01)" in outcome.message_zh
    assert outcome.mend_zh


def test_a_certificate_without_a_last_day_is_not_taken_for_granted():
    outcome = Certificates().check_facts(township(officer(until=None)))
    assert not outcome.passed
    assert "未登记证件" in outcome.message_zh


def test_all_three_wants_are_told_in_one_finding():
    officers = (
        officer(1, until=None),
        officer(2, until=date(2026, 1, 1)),
        officer(3, until=date(2026, 4, 1)),
        officer(4),
    )
    outcome = Certificates().check_facts(township(*officers))
    assert outcome.facts["none"] == ["o1"]
    assert list(outcome.facts["expired"]) == ["o2"]
    assert list(outcome.facts["expiring"]) == ["o3"]
    assert "张4" not in outcome.message_zh


def test_a_certificate_that_ends_on_a_leap_day_holds_through_it():
    facts = township(officer(until=date(2028, 2, 29)))
    ((_, due),) = Certificates().list_deadlines(facts)
    assert due.at == end_of_day(date(2028, 2, 29))


def test_the_first_certificate_to_end_is_the_townships_due():
    facts = township(officer(1), officer(2, until=date(2026, 4, 1)), officer(3, until=None))
    assert Certificates().find_deadline(facts) == Deadline(end_of_day(date(2026, 4, 1)))
    assert Certificates().find_deadline(township(officer(until=None))) is None
