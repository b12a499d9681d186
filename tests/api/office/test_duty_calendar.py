"""The calendar of duties that people subscribe to, read back as RFC 5545 says."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.office.reports.duty_calendar import format_calendar
from policies.duties import Duty, DutyState, derive_duties
from tests.policies.test_duties import END, RULES, seizure


def unfolded(text: str) -> list[str]:
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n")
    return text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def events(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for line in unfolded(text):
        if line == "BEGIN:VEVENT":
            found.append({})
        elif found and ":" in line:
            name, value = line.split(":", 1)
            found[-1].setdefault(name, value)
    return found


def unescaped(value: str) -> str:
    plain, rest = "", iter(value)
    for char in rest:
        if char == "\\":
            escaped = next(rest)
            plain += "\n" if escaped in "nN" else escaped
        else:
            assert char not in ";,"
            plain += char
    return plain


def duty(what="录像上传", **more) -> Duty:
    told = {
        "subject": "action:a1",
        "township": "安子岭乡",
        "person": None,
        "what_zh": what,
        "what_en": "Upload",
        "rule": "upload.24h",
        "due_at": END,
        "done_at": None,
        "state": DutyState.OPEN,
    }
    return Duty(**told | more)


def test_the_feed_is_the_same_text_for_the_same_duties():
    found = derive_duties(RULES, seizure(), END)
    assert format_calendar(found, END) == format_calendar(reversed(found), END)
    assert format_calendar(found, END) != format_calendar(found, END + timedelta(seconds=1))


def test_an_hour_is_told_in_utc_and_a_day_as_a_whole_day():
    upload, hold = events(format_calendar(derive_duties(RULES, seizure(), END), END))
    assert upload["DTSTART"] == "20260122T030000Z"
    assert hold["DTSTART;VALUE=DATE"] == "20260220"
    assert hold["DTEND;VALUE=DATE"] == "20260221"
    assert upload["DTSTAMP"] == "20260121T030000Z"


def test_an_event_keeps_its_identity_while_its_state_and_time_change():
    (before,) = events(format_calendar([duty()], END))
    later = duty(state=DutyState.OVERDUE, due_at=END + timedelta(days=1))
    (after,) = events(format_calendar([later], END + timedelta(days=2)))
    assert before["UID"] == after["UID"]
    assert before["SUMMARY"] != after["SUMMARY"]


def test_each_person_has_an_event_of_its_own():
    told = events(format_calendar([duty(person="o1"), duty(person="o2"), duty()], END))
    assert len({one["UID"] for one in told}) == 3


def test_what_is_done_or_of_unknown_time_is_no_event():
    text = format_calendar([duty(done_at=END, state=DutyState.COMPLETED), duty(due_at=None)], END)
    assert events(text) == []
    assert unfolded(text)[0] == "BEGIN:VCALENDAR"
    assert unfolded(text)[-1] == "END:VCALENDAR"


def test_a_name_cannot_break_out_of_its_line():
    evil = "甲\r\nEND:VEVENT\nATTACH:http://x\x00;,\\n"
    (event,) = events(format_calendar([duty(evil)], END))
    assert "ATTACH" not in event
    assert unescaped(event["SUMMARY"]).count("END:VEVENT") == 1
    assert "\x00" not in format_calendar([duty(evil)], END)


def test_a_line_of_exactly_75_octets_is_not_folded():
    name = "x" * (75 - len("X-WR-CALNAME:"))
    assert f"\r\nX-WR-CALNAME:{name}\r\n" in format_calendar([], END, name)
    assert f"\r\nX-WR-CALNAME:{name}\r\n y\r\n" in format_calendar([], END, f"{name}y")


@given(st.text(max_size=200))
def test_any_text_is_folded_at_75_octets_and_read_back(text):
    text = text.encode("utf-8", "replace").decode()
    told = format_calendar([duty(text)], END)
    assert all(len(line.encode()) <= 75 for line in told.split("\r\n"))
    (event,) = events(told)
    plain = "".join(c for c in text.replace("\r\n", "\n").replace("\r", "\n"))
    plain = "".join(c for c in plain if c in "\n\t" or (ord(c) >= 32 and ord(c) != 127))
    assert unescaped(event["SUMMARY"]) == f"安子岭乡 {plain}(未到期)"
