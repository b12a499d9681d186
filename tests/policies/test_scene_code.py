"""Scene codes: one spelling, a MAC that holds, and clocks measured from what was filmed."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.scene_code import (
    LATENCY_S,
    LENGTH,
    Kind,
    Sighting,
    Trouble,
    day_key,
    encode_scene_code,
    is_authentic,
    measure_clock_offset,
    parse_scene_code,
    tag_of,
)
from policies.time.clocks import MAX_DRIFT, Reading, offset_at

VECTORS = json.loads(
    (Path(__file__).parents[2] / "docs/spec/vectors/scene-code.json").read_text(encoding="utf-8")
)
MASTER = bytes.fromhex(VECTORS["master"])
T0 = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
KEY = day_key(MASTER, date(2026, 3, 2))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2053, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize("vector", VECTORS["good"], ids=lambda v: v["at"])
def test_a_published_code_is_made_and_read(vector):
    at, day = datetime.fromisoformat(vector["at"]), date.fromisoformat(vector["day"])
    assert day_key(MASTER, day).hex() == vector["day_key"]
    text = encode_scene_code(
        tag_of(vector["action"]), Kind(vector["kind"]), at, day_key(MASTER, day)
    )
    assert text == vector["text"]
    parsed = parse_scene_code(text)
    assert parsed is not None
    assert (parsed.tag, parsed.kind, parsed.at) == (tag_of(vector["action"]), vector["kind"], at)
    assert is_authentic(parsed, MASTER)


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["why"])
def test_what_is_no_code_of_ours_is_refused(vector):
    parsed = parse_scene_code(vector["text"])
    assert parsed is None or not is_authentic(parsed, MASTER)


@given(st.binary(min_size=8, max_size=8), st.sampled_from(Kind), moments)
def test_a_code_is_read_back_as_it_was_made(tag, kind, at):
    from policies.time.wording import COUNTY_TIME

    at = at.replace(microsecond=0)
    text = encode_scene_code(tag, kind, at, day_key(MASTER, at.astimezone(COUNTY_TIME).date()))
    parsed = parse_scene_code(text)
    assert len(text) == LENGTH
    assert parsed is not None
    assert (parsed.tag, parsed.kind, parsed.at) == (tag, kind, at)
    assert is_authentic(parsed, MASTER)
    assert not is_authentic(parsed, bytes(32))


@given(st.text(max_size=40))
def test_no_text_of_the_world_breaks_the_reader(text):
    parsed = parse_scene_code(text)
    assert parsed is None or not is_authentic(parsed, MASTER)


def test_a_days_key_is_good_for_its_day_alone():
    text = encode_scene_code(tag_of("a"), Kind.START, T0, day_key(MASTER, date(2026, 3, 3)))
    parsed = parse_scene_code(text)
    assert parsed is not None
    assert not is_authentic(parsed, MASTER)


def filmed(offset, first_s, rate, seconds, lag=0.0):
    """Return what a camera at `rate` sees from `first_s` on of a screen that lags by `lag`."""
    start = T0 - timedelta(seconds=offset)  # what the recorder thinks when it is T0
    runs = {}
    for n in range(int(seconds * rate)):
        at = first_s + n / rate
        shown = int(at - lag + 1000) - 1000  # the second that the screen shows then
        run = runs.setdefault(shown, [at, at])
        run[1] = at
    seen = []
    for shown, (first, last) in runs.items():
        parsed = parse_scene_code(
            encode_scene_code(tag_of("a"), Kind.START, T0 + timedelta(seconds=shown), KEY)
        )
        seen.append((parsed, Sighting("", first, last, 1 / rate)))
    return start, seen


@given(
    st.floats(-90_000, 90_000),
    st.floats(0, 3),
    st.sampled_from([10, 15, 25, 30]),
    st.floats(0.4, 4),
    st.floats(0, LATENCY_S),
)
def test_the_true_offset_lies_within_what_is_claimed(offset, first_s, rate, seconds, lag):
    start, seen = filmed(offset, first_s, rate, seconds, lag)
    found = measure_clock_offset(start, seen)
    assert isinstance(found, Reading)
    assert abs(found.offset_s - offset) <= found.uncertainty_s + 1e-5
    if seconds > 2.2:  # a change of code was filmed, and a whole second of it
        assert found.uncertainty_s <= (LATENCY_S + 3 / rate) / 2 + 1e-5


def test_a_code_that_stands_still_is_a_replay():
    parsed = parse_scene_code(encode_scene_code(tag_of("a"), Kind.START, T0, KEY))
    assert measure_clock_offset(T0, [(parsed, Sighting("", 1.0, 3.0, 0.04))]) is Trouble.REPLAYED


def test_codes_that_run_backwards_are_a_replay():
    one, other = (
        parse_scene_code(encode_scene_code(tag_of("a"), Kind.START, T0 + timedelta(seconds=n), KEY))
        for n in (9, 2)
    )
    seen = [(one, Sighting("", 1.0, 1.8, 0.04)), (other, Sighting("", 2.0, 2.8, 0.04))]
    assert measure_clock_offset(T0, seen) is Trouble.REPLAYED


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"text": "A", "first_s": "x", "last_s": 1, "frame_s": 1},
        {"text": "A", "first_s": 5, "last_s": 1, "frame_s": 1},
        {"text": "A", "first_s": float("nan"), "last_s": 1, "frame_s": 1},
        {"text": "A", "first_s": 0, "last_s": 1e9, "frame_s": 1},
        {"text": "A", "first_s": 0, "last_s": 1, "frame_s": 99},
        {"text": "x", "first_s": 10**400, "last_s": 10**400, "frame_s": 0.04},
        7,
        "x",
    ],
)
def test_a_malformed_sighting_is_none(told):
    assert Sighting.from_report(told) is None


readings = st.lists(
    st.tuples(st.floats(0, 86_400), st.floats(0.02, 1.0), st.floats(-1, 1)), min_size=1, max_size=6
)


@given(
    readings, st.floats(-500, 500), st.floats(-MAX_DRIFT / 2, MAX_DRIFT / 2), st.floats(-9e4, 9e4)
)
def test_a_clock_that_drifts_as_quartz_does_is_never_claimed_better_than_known(
    drawn, offset, drift, asked
):
    def true(at):
        return offset + drift * at

    known = [
        Reading(T0 + timedelta(seconds=at), true(at) + unsure * error, unsure, "scene-code")
        for at, unsure, error in drawn
    ]
    found = offset_at(known, T0 + timedelta(seconds=asked))
    assert found is not None
    assert abs(found.offset_s - true(asked)) <= found.uncertainty_s + 1e-3


def test_readings_that_contradict_each_other_are_widened_not_averaged():
    at = T0 + timedelta(seconds=10)
    near, far = Reading(T0, 5.0, 0.1, "scene-code"), Reading(at, 65.0, 0.1, "scene-code")
    found = offset_at([near, far], T0)
    assert found is not None
    assert found.offset_s == 5.0
    assert found.uncertainty_s > 30


def test_without_readings_nothing_is_known():
    assert offset_at([], T0) is None
