"""Compare the facts that rules were asked about with the custody log and the sealed records.

The log holds the whole state of each row after every act; the sealed record holds what the
station saw in the file. A fact that neither supports is named.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from policies.facts.facts import ActionFacts, Footage
from policies.time.wording import COUNTY_TIME
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
    yield from _entered(facts, states)
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


def _entered(facts: ActionFacts, states: States) -> Iterator[str]:
    """Yield which of the moments, documents, explanations and features are not as logged."""
    case = states.get(("case_", facts.case), {})
    action = states.get(("action", facts.action), {})
    moments = sorted((one.kind.value, one.at, one.note) for one in facts.moments)
    if moments != sorted(
        (s["kind"], _time(s["at"]), s["note"]) for s in _of(states, "moment", facts)
    ):
        yield f"action {facts.action}: the moments are not those logged"
    documents = {
        one.id: (one.kind.value, one.at, one.served_at, one.manner) for one in facts.documents
    }
    logged = {
        s["id"]: (s["kind"], _time(s["at"]), _time(s["served_at"]), s["manner"])
        for s in _of(states, "document", facts)
    }
    if documents != logged:
        yield f"action {facts.action}: the documents are not those logged"
    waivers = {
        one.id: (one.rule, one.reason.value, one.by, one.at, one.approved_by, one.approver)
        for one in facts.waivers
    }
    if waivers != {s["id"]: _waiver(s) for s in _of(states, "waiver", facts)}:
        yield f"action {facts.action}: the explanations are not those logged"
    told = (sorted(facts.features), facts.manner)
    if told != (sorted(case.get("features") or ()), action.get("manner")):
        yield f"action {facts.action}: features or manner are not as logged"


def _of(states: States, table: str, facts: ActionFacts) -> list[Mapping[str, Any]]:
    return [
        state
        for (name, _key), state in states.items()
        if name == table and state and state["action_id"] == facts.action
    ]


def _waiver(state: Mapping[str, Any]) -> tuple[Any, ...]:
    approved = state["state"] == "approved"
    return (
        state["rule"],
        state["reason"],
        state["person_id"],
        _time(state["at"]),
        state["decided_by"] if approved else None,
        state["approver"] if approved else None,
    )


def _doubts(item: Footage, record: SealedRecord, states: States) -> Iterator[str]:
    """Yield where doubts are not what the station saw and what persons said of it since."""
    seen = {
        (one["kind"], float(one.get("start_s") or 0))
        for one in record.inspection
        if one.get("weight") == "doubt"
    }
    said = {
        (s["kind"], s["start_s"]): s["confirmed"]
        for (table, _key), s in states.items()
        if table == "doubt" and s and s["recording_id"] == item.recording
    }
    faulty = {(kind, start) for start, _end, kind in item.faulty}
    left = {(kind, start) for start, _end, kind in item.doubtful}
    if faulty != {key for key in seen if said.get(key)} or left != seen - set(said):
        yield f"recording {item.recording}: doubts are not those that the station and persons saw"


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


def against_records(
    facts: ActionFacts, records: Mapping[str, SealedRecord], states: States
) -> Iterator[str]:
    """Yield what the stations' signed records contradict: tracks, spans, doubts, the length."""
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
        yield from _doubts(item, record, states)
        length = media["duration_s"]
        if item.span and (length is None or abs(item.span.seconds - length) > 0.001):  # noqa: PLR2004 - a millisecond
            yield f"recording {item.recording}: its length is not what the station saw"


def _spans(told: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(start), float(end)) for start, end in told)


def _time(told: str | None) -> datetime | None:
    return datetime.fromisoformat(told) if told else None
