"""Compare the facts that rules were asked about with the custody log and the sealed records.

The log holds the whole state of each row after every act; the sealed record holds what the
station saw in the file. A fact that neither supports is named.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from policies.facts import ActionFacts, Footage
from policies.wording import COUNTY_TIME
from storage.record import SealedRecord

States = Mapping[tuple[str, str], Mapping[str, Any]]


def against_log(action_id: str, facts: ActionFacts, states: States) -> Iterator[str]:
    """Yield what the last logged states contradict: the action, its officers, its exhibits."""
    action = states.get(("action", action_id), {})
    if facts.action != action_id or not action:
        yield f"action {action_id}: no such action in the log"
        return
    told = (facts.case, facts.kind.value, facts.stage.value, facts.start, facts.end)
    logged = (
        action["case_id"],
        action["kind"],
        action["stage"],
        _time(action["start_at"]),
        _time(action["end_at"]),
    )
    if told != logged:
        yield f"action {action_id}: case, kind, stage or interval is not as logged"
    present = {
        state["person_id"]
        for (table, _key), state in states.items()
        if table == "action_officer" and state and state["action_id"] == action_id
    }
    if {officer.id for officer in facts.officers} != present:
        yield f"action {action_id}: the officers are not those logged"
    for officer in facts.officers:
        if _qualified(officer.id, facts.start, states) != (officer.certified, officer.auxiliary):
            yield f"action {action_id}: officer {officer.id} is not as logged"
    confirmed = {
        state["recording_id"]
        for (table, _key), state in states.items()
        if table == "exhibit"
        and state
        and state["action_id"] == action_id
        and state["state"] == "confirmed"
    }
    if {item.recording for item in facts.footage} != confirmed:
        yield f"action {action_id}: the footage is not that confirmed in the log"
    for item in facts.footage:
        yield from _attribution(item, states.get(("recording", item.recording), {}))


def _qualified(person: str, at: datetime, states: States) -> tuple[bool, bool]:
    """Judge again, from the logged certificates, whether somebody was certified on that day."""
    auxiliary = states.get(("person", person), {}).get("kind") == "auxiliary"
    day = at.astimezone(COUNTY_TIME).date().isoformat()
    held = [
        state
        for (table, _key), state in states.items()
        if table == "certificate" and state and state["person_id"] == person
    ]
    good = any(
        (one["valid_from"] or "") <= day
        and (one["valid_to"] is None or day <= one["valid_to"])
        and (one["ended_on"] is None or day < one["ended_on"])
        for one in held
    )
    return good and not auxiliary, auxiliary


def _attribution(item: Footage, state: Mapping[str, Any]) -> Iterator[str]:
    told = (item.source, item.officer, item.start, item.end, item.uncertainty_s)
    logged = (
        state.get("source_serial"),
        state.get("officer_id"),
        _time(state.get("start_at")),
        _time(state.get("end_at")),
        state.get("clock_uncertainty_s"),
    )
    if told != logged:
        yield f"recording {item.recording}: source, officer or time is not as logged"


def against_records(facts: ActionFacts, records: Mapping[str, SealedRecord]) -> Iterator[str]:
    """Yield what the stations' signed records contradict: tracks, missing spans, the length."""
    for item in facts.footage:
        record = records.get(item.recording)
        if record is None:
            yield f"recording {item.recording}: not in this bundle"
            continue
        media = record.media
        told = (item.kind, item.has_video, item.has_audio, item.missing_video, item.missing_audio)
        seen = (
            media["kind"],
            media["has_video"],
            media["has_audio"],
            _spans(media["missing_video"]),
            _spans(media["missing_audio"]),
        )
        if told != seen:
            yield f"recording {item.recording}: picture or sound is not as the station saw it"
        doubts = tuple(one["kind"] for one in record.inspection if one.get("weight") == "doubt")
        if tuple(kind for _start, _end, kind in item.doubtful) != doubts:
            yield f"recording {item.recording}: doubts are not those that the station saw"
        length = media["duration_s"]
        if item.span and (length is None or abs(item.span.seconds - length) > 0.001):  # noqa: PLR2004 - a millisecond
            yield f"recording {item.recording}: its length is not what the station saw"


def _spans(told: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(start), float(end)) for start, end in told)


def _time(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None
