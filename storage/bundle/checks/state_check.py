"""Level 2 check of a bundle's contents: case, lists, names, records and times are as logged.

What is believed are proven entries: the states of rows that they hold. A recording's station
signed its digests and its file's time; the log holds the digest of that very record.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from policies.facts.states import ExhibitState
from storage.bundle.checks.states import State, States
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.digest import Digest
from storage.record import SealedRecord

_CLOCK_S = 0.001
_MEASURE = ("recording.clock", "recording.answer")

Logged = list[tuple[GivenEntry, State]]


def check_presence(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield actions and recordings that only the log, or only the bundle, has for the case."""
    case = bundle.read_case()["id"]
    actions = {row["id"] for row in states.of_table("action") if row["case_id"] == case}
    recordings = {
        # Only confirmed links make footage evidence, by their last state.
        row["recording_id"]
        for row in states.of_table("exhibit")
        if row["action_id"] in actions and row["state"] == ExhibitState.CONFIRMED
    }
    for name, logged, folders in (
        ("action", actions, {folder.name for folder in bundle.list_actions()}),
        ("recording", recordings, {folder.name for folder in bundle.list_recordings()}),
    ):
        for identifier in sorted(logged - folders):
            yield f"{name} {identifier}: belongs to the case, and is not in the bundle"
        for identifier in sorted(folders - logged):
            yield f"{name} {identifier}: in the bundle, and no entry puts it there"


def case_as_logged(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield what `case.json` says otherwise than the log."""
    case = bundle.read_case()
    yield from _compare_fields("case.json", case, states.last.get(("case_", case["id"]), {}))


def records_as_logged(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield where a recording's documents, digests or times were ever logged otherwise."""
    for folder in bundle.list_recordings():
        name = folder.name
        record = bundle.read_record(name)
        texts = {
            "record_text": str(Digest.compute((folder / "record.json").read_bytes())),
            "envelope_text": str(Digest.compute((folder / "envelope.json").read_bytes())),
            "sha256": record.original.hex,
            "size": record.size,
            "source_serial": record.source["identity"],
            "station": record.station,
            "name": record.offered["name"],
            "path": record.offered["path"],
        }
        receipt = str(Digest.compute((folder / "receipt.json").read_bytes()))
        logged = list(states.list_states("recording", name))
        if not logged:
            yield f"recording {name}: no entry holds its row"
        # Every state that the row ever had: put back later, a swap would still stand in one.
        for entry, state in logged:
            wrong = sorted(column for column, text in texts.items() if state[column] != text)
            # Empty until the receipt was given, and never another afterwards.
            if state["receipt_text"] not in {None, receipt}:
                wrong.append("receipt_text")
            if wrong:
                yield f"recording {name}: {', '.join(wrong)} not as entry {entry.index} has it"
        yield from _compare_times(name, record, logged)


def list_as_logged(bundle: BundleFiles, states: States) -> Iterator[str]:
    """Yield the fields of the evidence list that differ from the log, names included."""
    listing = bundle.read_json("evidence-list.json")
    statement = {name: bundle.statement[name] for name in ("made_at", "made_by")}
    statement |= {"entries": bundle.head.size}
    yield from _compare_fields(
        "evidence-list.json", {name: listing[name] for name in statement}, statement
    )
    recordings = [line["recording"] for line in listing["recordings"]]
    # As lists, so that a recording that stands twice is found.
    if sorted(recordings) != sorted(folder.name for folder in bundle.list_recordings()):
        yield "evidence-list.json: not the recordings of this bundle"
    for recording in listing["recordings"]:
        row = states.last.get(("recording", recording["recording"]), {})
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
        yield from _compare_fields(
            f"evidence-list.json, {recording['recording']}", recording, expected
        )
    if set(listing["actions"]) != {folder.name for folder in bundle.list_actions()}:
        yield "evidence-list.json: not the actions of this bundle"
    for action, about in listing["actions"].items():
        yield from _compare_action(action, about, states)


def _compare_action(action: str, about: Mapping[str, Any], states: States) -> Iterator[str]:
    row = states.last.get(("action", action), {})
    officers = [
        str(states.last.get(("person", officer["person_id"]), {}).get("name"))
        for officer in states.of_table("action_officer")
        if officer["action_id"] == action
    ]
    exhibits = [
        {name: exhibit[f"{name}_id" if name == "recording" else name] for name in _EXHIBIT}
        for exhibit in states.of_table("exhibit")
        if exhibit["action_id"] == action and exhibit["state"] == ExhibitState.CONFIRMED
    ]
    where = f"evidence-list.json, action {action}"
    claim = {"status": about["status"], "place": about["place"]}
    yield from _compare_fields(where, claim, row)
    if sorted(about["officers"]) != sorted(officers):
        yield f"{where}: the officers are not those logged"
    told_exhibits = [_flatten_exhibit(exhibit) for exhibit in about["exhibits"]]
    if sorted(told_exhibits) != sorted(_flatten_exhibit(exhibit) for exhibit in exhibits):
        yield f"{where}: the exhibits are not those logged"


_EXHIBIT = ("recording", "shown_from", "shown_to", "how")


def _flatten_exhibit(exhibit: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(_parse_moment(exhibit[name])) for name in _EXHIBIT)


def _compare_fields(where: str, claims: Mapping[str, Any], logged: State) -> Iterator[str]:
    for name, claim in claims.items():
        if name not in logged or _parse_moment(claim) != _parse_moment(logged[name]):
            yield f"{where}: {name} is not as logged"


def _compare_times(name: str, record: SealedRecord, logged: Logged) -> Iterator[str]:
    """Yield logged times other than the station's plus a measured offset, or an answer."""
    signed, offset = _parse_moment(record.clocks["file_start"]), record.clocks["offset_s"]
    answer: datetime | None = None
    for entry, state in logged:
        index, act = entry.index, entry.entry["act"]
        start = _parse_moment(state["start_at"])
        if _parse_moment(state["file_start"]) != signed:
            yield f"recording {name}: the file's time is not the station's in entry {index}"
        if act == "recording.answer":
            # What a person answered is good from here on, beside what was measured.
            answer = start
        elif start != answer and not _matches_offset(start, signed, state["clock_offset_s"]):
            yield f"recording {name}: moved in time by entry {index}, and nobody measured that"
        # Carried from entry to entry, to name the one that moved it.
        if state["clock_offset_s"] != offset and act not in _MEASURE:
            yield f"recording {name}: the clock's offset changed in entry {index}, unmeasured"
        offset = state["clock_offset_s"]


def _matches_offset(start: Any, signed: Any, offset_s: float | None) -> bool:
    # Without a file's time there is none to shift: both must be empty.
    if signed is None or start is None:
        return start is signed
    late_s: float = (start - signed).total_seconds()
    return abs(late_s - (offset_s or 0.0)) <= _CLOCK_S


def _parse_moment(content: Any) -> Any:
    """Return times as times, in whatever form; all else as it is."""
    # Two spellings of one instant (`Z`, `+00:00`) are no difference; dates alone stay texts.
    if isinstance(content, str) and len(content) > len("2026-01-01") and content[4:5] == "-":
        try:
            return datetime.fromisoformat(content)
        except ValueError:
            return content
    return content
