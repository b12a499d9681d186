"""L2 of what a bundle tells: case, lists, names, records and times, each as entries logged it.

What is believed are proven entries: the states of rows that they hold. A recording's station
signed its digests and its file's time; the log holds the digest of that very record.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from storage.bundle.checks.states import State, States
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.digest import Digest
from storage.record import SealedRecord

CONFIRMED = "confirmed"
_CLOCK_S = 0.001
_MEASURE = ("recording.clock", "recording.answer")

Logged = list[tuple[GivenEntry, State]]


def presence(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield what belongs to the case by the log and is not in the bundle, and the reverse."""
    case = bundle.case()["id"]
    actions = {one["id"] for one in states.of_table("action") if one["case_id"] == case}
    recordings = {
        one["recording_id"]
        for one in states.of_table("exhibit")
        if one["action_id"] in actions and one["state"] == CONFIRMED
    }
    for name, logged, held in (
        ("action", actions, {folder.name for folder in bundle.actions()}),
        ("recording", recordings, {folder.name for folder in bundle.recordings()}),
    ):
        for one in sorted(logged - held):
            yield f"{name} {one}: belongs to the case, and is not in the bundle"
        for one in sorted(held - logged):
            yield f"{name} {one}: in the bundle, and no entry puts it there"


def case_as_logged(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield what `case.json` says otherwise than the log."""
    told = bundle.case()
    yield from _differing("case.json", told, states.last.get(("case_", told["id"]), {}))


def records_as_logged(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield where a recording's documents, digests or times were ever logged otherwise."""
    for folder in bundle.recordings():
        name = folder.name
        record = bundle.record(name)
        texts = {
            "record_text": str(Digest.of((folder / "record.json").read_bytes())),
            "envelope_text": str(Digest.of((folder / "envelope.json").read_bytes())),
            "sha256": record.original.hex,
            "size": record.size,
            "source_serial": record.source["identity"],
            "station": record.station,
            "name": record.offered["name"],
            "path": record.offered["path"],
        }
        receipt = str(Digest.of((folder / "receipt.json").read_bytes()))
        logged = list(states.ever("recording", name))
        if not logged:
            yield f"recording {name}: no entry holds its row"
        for entry, state in logged:
            wrong = sorted(column for column, value in texts.items() if state[column] != value)
            if state["receipt_text"] not in {None, receipt}:
                wrong.append("receipt_text")
            if wrong:
                yield f"recording {name}: {', '.join(wrong)} not as entry {entry.index} has it"
        yield from _times(name, record, logged)


def list_as_logged(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield what the evidence list says otherwise than the log, names included."""
    told = bundle.json("evidence-list.json")
    made = {name: bundle.statement[name] for name in ("made_at", "made_by")}
    made |= {"entries": bundle.head.size}
    yield from _differing("evidence-list.json", {name: told[name] for name in made}, made)
    listed = [one["recording"] for one in told["recordings"]]
    if sorted(listed) != sorted(folder.name for folder in bundle.recordings()):
        yield "evidence-list.json: not the recordings of this bundle"
    for one in told["recordings"]:
        row = states.last.get(("recording", one["recording"]), {})
        person = states.last.get(("person", str(row.get("officer_id"))), {})
        expected = {
            "recording": row.get("id"),
            "name": row.get("name"),
            "source": row.get("source_serial"),
            "start_at": row.get("start_at"),
            "duration_s": row.get("duration_s"),
            "officer": person.get("name") or row.get("officer_no"),
            "sha256": row.get("sha256"),
            "size": row.get("size"),
        }
        yield from _differing(f"evidence-list.json, {one['recording']}", one, expected)
    if set(told["actions"]) != {folder.name for folder in bundle.actions()}:
        yield "evidence-list.json: not the actions of this bundle"
    for action, about in told["actions"].items():
        yield from _action(action, about, states)


def _action(action: str, about: Mapping[str, Any], states: States) -> Iterator[str]:
    row = states.last.get(("action", action), {})
    officers = [
        str(states.last.get(("person", one["person_id"]), {}).get("name"))
        for one in states.of_table("action_officer")
        if one["action_id"] == action
    ]
    exhibits = [
        {name: one[f"{name}_id" if name == "recording" else name] for name in _EXHIBIT}
        for one in states.of_table("exhibit")
        if one["action_id"] == action and one["state"] == CONFIRMED
    ]
    where = f"evidence-list.json, action {action}"
    told = {"status": about["status"], "place": about["place"]}
    yield from _differing(where, told, row)
    if sorted(about["officers"]) != sorted(officers):
        yield f"{where}: the officers are not those logged"
    told_exhibits = [_plain(one) for one in about["exhibits"]]
    if sorted(told_exhibits) != sorted(_plain(one) for one in exhibits):
        yield f"{where}: the exhibits are not those logged"


_EXHIBIT = ("recording", "shown_from", "shown_to", "how")


def _plain(exhibit: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(_moment(exhibit[name])) for name in _EXHIBIT)


def _differing(where: str, told: Mapping[str, Any], logged: State) -> Iterator[str]:
    for name, value in told.items():
        if name not in logged or _moment(value) != _moment(logged[name]):
            yield f"{where}: {name} is not as logged"


def _times(name: str, record: SealedRecord, logged: Logged) -> Iterator[str]:
    """Yield where a logged time is not the station's own plus what was measured or answered."""
    signed, offset = _moment(record.clocks["file_start"]), record.clocks["offset_s"]
    answered: datetime | None = None
    for one, state in logged:
        index, act = one.index, one.entry["act"]
        start = _moment(state["start_at"])
        if _moment(state["file_start"]) != signed:
            yield f"recording {name}: the file's time is not the station's in entry {index}"
        if act == "recording.answer":
            answered = start
        elif start != answered and not _follows(start, signed, state["clock_offset_s"]):
            yield f"recording {name}: moved in time by entry {index}, and nobody measured that"
        if state["clock_offset_s"] != offset and act not in _MEASURE:
            yield f"recording {name}: the clock's offset changed in entry {index}, unmeasured"
        offset = state["clock_offset_s"]


def _follows(start: Any, signed: Any, offset_s: float | None) -> bool:
    if signed is None or start is None:
        return start is signed
    late_s: float = (start - signed).total_seconds()
    return abs(late_s - (offset_s or 0.0)) <= _CLOCK_S


def _moment(value: Any) -> Any:
    """Return times as times, in whatever form; all else as it is."""
    if isinstance(value, str) and len(value) > len("2026-01-01") and value[4:5] == "-":
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value
