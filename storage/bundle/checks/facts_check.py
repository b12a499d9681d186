"""Compare the facts under a verdict with the custody log and the sealed records.

The log holds the whole state of each row after every act; the sealed record holds what the
station saw in the file. A fact that neither supports is named.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from policies.facts.facts import ActionFacts, Footage
from policies.facts.states import ExhibitState, WaiverState
from policies.time.wording import COUNTY_TIME
from storage.record import SealedRecord

States = Mapping[tuple[str, str], Mapping[str, Any]]


def against_log(action_id: str, facts: ActionFacts, states: States) -> Iterator[str]:
    """Yield what the last logged states contradict: the action, its officers, its exhibits."""
    action = states.get(("action", action_id), {})
    if facts.action != action_id or not action:
        yield f"action {action_id}: no such action in the log"
        return
    claim = (facts.case, facts.kind.value, facts.stage.value, facts.start, facts.end)
    logged = (
        action["case_id"],
        action["kind"],
        action["stage"],
        _parse_time(action["start_at"]),
        _parse_time(action["end_at"]),
    )
    # The interval above all: a shortened one would have no gap.
    if claim != logged:
        yield f"action {action_id}: case, kind, stage or interval is not as logged"
    present = {
        state["person_id"]
        for (table, _key), state in states.items()
        if table == "action_officer" and state and state["action_id"] == action_id
    }
    # Also nobody more: an officer too many could cover what another one missed.
    if {officer.id for officer in facts.officers} != present:
        yield f"action {action_id}: the officers are not those logged"
    for officer in facts.officers:
        if _derive_qualification(officer.id, facts.start, states) != (
            officer.certified,
            officer.auxiliary,
        ):
            yield f"action {action_id}: officer {officer.id} is not as logged"
    yield from _compare_proceedings(facts, states)
    confirmed = {
        state["recording_id"]
        for (table, _key), state in states.items()
        if table == "exhibit"
        and state
        and state["action_id"] == action_id
        and state["state"] == ExhibitState.CONFIRMED
    }
    # Neither more nor less than confirmed: what was only proposed proves nothing.
    if {footage.recording for footage in facts.footage} != confirmed:
        yield f"action {action_id}: the footage is not that confirmed in the log"
    for footage in facts.footage:
        yield from _compare_attribution(footage, states.get(("recording", footage.recording), {}))


def _compare_proceedings(facts: ActionFacts, states: States) -> Iterator[str]:
    """Yield which of the moments, documents, explanations and features are not as logged."""
    case = states.get(("case_", facts.case), {})
    action = states.get(("action", facts.action), {})
    moments = sorted((moment.kind.value, moment.at, moment.note) for moment in facts.moments)
    if moments != sorted(
        (s["kind"], _parse_time(s["at"]), s["note"]) for s in _list_rows(states, "moment", facts)
    ):
        yield f"action {facts.action}: the moments are not those logged"
    documents = {
        document.id: (document.kind.value, document.at, document.served_at, document.manner)
        for document in facts.documents
    }
    logged = {
        s["id"]: (s["kind"], _parse_time(s["at"]), _parse_time(s["served_at"]), s["manner"])
        for s in _list_rows(states, "document", facts)
    }
    if documents != logged:
        yield f"action {facts.action}: the documents are not those logged"
    waivers = {
        waiver.id: (
            waiver.rule,
            waiver.reason.value,
            waiver.by,
            waiver.at,
            waiver.approved_by,
            waiver.approver,
        )
        for waiver in facts.waivers
    }
    if waivers != {s["id"]: _flatten_waiver(s) for s in _list_rows(states, "waiver", facts)}:
        yield f"action {facts.action}: the explanations are not those logged"
    claim = (sorted(facts.features), facts.manner)
    if claim != (sorted(case.get("features") or ()), action.get("manner")):
        yield f"action {facts.action}: features or manner are not as logged"


def _list_rows(states: States, table: str, facts: ActionFacts) -> list[Mapping[str, Any]]:
    return [
        state
        for (name, _key), state in states.items()
        if name == table and state and state["action_id"] == facts.action
    ]


def _flatten_waiver(state: Mapping[str, Any]) -> tuple[Any, ...]:
    approved = state["state"] == WaiverState.APPROVED
    return (
        state["rule"],
        state["reason"],
        state["person_id"],
        _parse_time(state["at"]),
        # A decision counts only when it approved; who refused appears in no fact.
        state["decided_by"] if approved else None,
        state["approver"] if approved else None,
    )


def _compare_doubts(footage: Footage, record: SealedRecord, states: States) -> Iterator[str]:
    """Yield doubts that differ from the station's inspection and the persons' decisions."""
    station_doubts = {
        (observation["kind"], float(observation.get("start_s") or 0))
        for observation in record.inspection
        if observation.get("weight") == "doubt"
    }
    decisions = {
        (s["kind"], s["start_s"]): s["confirmed"]
        for (table, _key), s in states.items()
        if table == "doubt" and s and s["recording_id"] == footage.recording
    }
    faulty = {(kind, start) for start, _end, kind in footage.faulty}
    open_doubts = {(kind, start) for start, _end, kind in footage.doubtful}
    # Confirmed doubts are faults, undecided ones stay open, dismissed ones are gone.
    if faulty != {
        key for key in station_doubts if decisions.get(key)
    } or open_doubts != station_doubts - set(decisions):
        problem = "doubts are not those that the station and persons saw"
        yield f"recording {footage.recording}: {problem}"


def _derive_qualification(person: str, at: datetime, states: States) -> tuple[bool, bool]:
    """Return (certified, auxiliary) of a person on that day, from the logged certificates."""
    auxiliary = states.get(("person", person), {}).get("kind") == "auxiliary"
    # Certificates are valid by the county's days; a day in UTC ends at eight in the morning there.
    day = at.astimezone(COUNTY_TIME).date().isoformat()
    certificates = [
        state
        for (table, _key), state in states.items()
        if table == "certificate" and state and state["person_id"] == person
    ]
    good = any(
        (certificate["valid_from"] or "") <= day
        and (certificate["valid_to"] is None or day <= certificate["valid_to"])
        and (certificate["ended_on"] is None or day < certificate["ended_on"])
        for certificate in certificates
    )
    return good and not auxiliary, auxiliary


def _compare_attribution(footage: Footage, state: Mapping[str, Any]) -> Iterator[str]:
    claim = (footage.source, footage.officer, footage.start, footage.end, footage.uncertainty_s)
    logged = (
        state.get("source_serial"),
        state.get("officer_id"),
        _parse_time(state.get("start_at")),
        _parse_time(state.get("end_at")),
        state.get("clock_uncertainty_s"),
    )
    if claim != logged:
        yield f"recording {footage.recording}: source, officer or time is not as logged"


def against_records(
    facts: ActionFacts, records: Mapping[str, SealedRecord], states: States
) -> Iterator[str]:
    """Yield what the stations' signed records contradict: tracks, spans, doubts, the length."""
    for footage in facts.footage:
        record = records.get(footage.recording)
        if record is None:
            yield f"recording {footage.recording}: not in this bundle"
            continue
        media = record.media
        claim = (
            footage.kind,
            footage.has_video,
            footage.has_audio,
            footage.missing_video,
            footage.missing_audio,
        )
        tracks = (
            media["kind"],
            media["has_video"],
            media["has_audio"],
            _parse_spans(media["missing_video"]),
            _parse_spans(media["missing_audio"]),
        )
        if claim != tracks:
            yield f"recording {footage.recording}: picture or sound is not as the station saw it"
        yield from _compare_doubts(footage, record, states)
        length = media["duration_s"]
        if footage.span and (length is None or abs(footage.span.seconds - length) > 0.001):  # noqa: PLR2004 - a millisecond
            yield f"recording {footage.recording}: its length is not what the station saw"


def _parse_spans(pairs: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(start), float(end)) for start, end in pairs)


def _parse_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
