"""The subjects of an entry, by the rows whose states it holds. Pure data.

A change of a row continues the chain of each subject in `CONTINUES`, and names the head of each in
`NAMES`: that somebody took part in an action stands in the action's chain and does not lengthen
his own. Writer and verifier both ask here, so an entry that hides from a chain is named
(docs/spec/custody-log.md section 1). A column that may be empty names nobody where it is.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from policies.identifiers import Subject
from storage.custody.entries.acting import named_sessions

RULEBOOK = Subject("rulebook:office")  # the rules by which this office judges, in whatever edition
CLOCK = Subject("system:clock")  # by which clock the log goes on after one ran ahead
ALWAYS_CARRIED = frozenset({RULEBOOK, CLOCK})  # every bundle has these chains
INTEGRITY = Subject("system:integrity")  # the office's own state: checks of it all, and alarms
OFFICE_KEYS = Subject("office:keys")  # every key that the office ever had, whatever it is for
_A_CASES_OWN = ("case", "action")
State = Mapping[str, Any]  # a row as entries hold it: its columns by name

# By table: columns, and the kind of subject that each holds the id of.
CONTINUES: Mapping[str, Mapping[str, str]] = {
    "account": {"id": "account"},
    "action": {"id": "action", "case_id": "case"},
    "action_officer": {"action_id": "action"},
    "assignment": {"person_id": "person"},
    "case_": {"id": "case"},
    "case_part": {"case_id": "case"},
    "certificate": {"person_id": "person"},
    "clock_reading": {"recording_id": "recording"},
    "decision": {"case_id": "case"},
    "disposition": {"id": "disposition"},
    "disposition_approval": {"disposition_id": "disposition"},
    "disposition_item": {"disposition_id": "disposition", "recording_id": "recording"},
    "document": {"case_id": "case", "action_id": "action", "recording_id": "recording"},
    "doubt": {"recording_id": "recording"},
    "draw": {"id": "draw"},
    "enrolment": {"station_id": "station"},
    "exhibit": {"action_id": "action", "recording_id": "recording"},
    "footage_class": {"recording_id": "recording"},
    "hold": {
        "id": "hold",
        "recording_id": "recording",
        "action_id": "action",
        "case_id": "case",
        "proceeding_id": "proceeding",
    },
    "hold_release": {"hold_id": "hold", "proceeding_id": "proceeding"},
    "later_look": {"recording_id": "recording"},
    "moment": {"action_id": "action"},
    "person": {"id": "person"},
    "proceeding": {"id": "proceeding", "case_id": "case"},
    "quality_check": {"draw_id": "draw", "recording_id": "recording"},
    "reclassification": {"recording_id": "recording"},
    "recording": {"id": "recording"},
    "rendition": {"recording_id": "recording"},
    "review": {"case_id": "case"},
    "source": {"id": "source"},
    "station": {"id": "station"},
    "tombstone": {"recording_id": "recording", "disposition_id": "disposition"},
    "training": {"person_id": "person"},
    "waiver": {"case_id": "case", "action_id": "action"},
}
NAMES: Mapping[str, Mapping[str, str]] = {
    "account": {"person_id": "person"},
    "action_officer": {"person_id": "person"},
    "case_part": {"person_id": "person"},
    "decision": {"person_id": "person"},
    "doubt": {"person_id": "person"},
    "recording": {"officer_id": "person", "station": "station"},
    "review": {"person_id": "person"},
    "waiver": {"person_id": "person", "decided_by": "person"},
}

# What belongs to a case: from the chain of a subject of this kind, entries lead on to those kinds.
REACHES: Mapping[str, frozenset[str]] = {
    "case": frozenset({"action", "person", "proceeding", "hold", "rulebook"}),
    "action": frozenset({"recording", "person", "hold", "rulebook"}),
    "recording": frozenset({"person", "station", "key", "hold"}),
    "station": frozenset({"key"}),
    "proceeding": frozenset({"hold"}),
}
# What decides whether footage may go, and who may say so: from the footage upwards.
FOOTAGE_REACHES: Mapping[str, frozenset[str]] = {
    "recording": frozenset({"action", "case", "hold", "disposition"}),
    "action": frozenset({"case", "hold"}),
    "case": frozenset({"hold", "proceeding"}),
    "proceeding": frozenset({"hold"}),
}


def list_continued_subjects(rows: Iterable[tuple[str, State]]) -> set[str]:
    """Return the subjects whose chains a change of these rows, each by its table, continues."""
    return _list_subjects(rows, CONTINUES)


def list_named_subjects(rows: Iterable[tuple[str, State]]) -> set[str]:
    """Return the subjects that these rows name beside them."""
    return _list_subjects(rows, NAMES)


def list_touched_subjects(entry: Mapping[str, Any], details: Mapping[str, Any] | None) -> set[str]:
    """Return the subjects that an entry continues or names: as it says itself.

    One of version 1 says nothing: its rows do, as far as its details (None: not at hand) hold them.
    """
    # Its own word is enough: that it hides nothing is asked by `find_hidden_subjects`.
    if entry["v"] != 1:
        return {*entry["chains"], *entry["heads"]}
    rows = states_in(details or {})
    return {entry["subject"], *list_continued_subjects(rows), *list_named_subjects(rows)}


def find_hidden_subjects(
    entry: Mapping[str, Any],
    details: Mapping[str, Any],
    before: Iterable[tuple[str, State]] = (),
) -> set[str]:
    """Return the subjects that an entry's details are about, and whose chain or head it hides.

    `before` are the same rows as they were until then: what removes a row, or has it be about
    something else, continues the chains of what the row was about, too.
    """
    rows = states_in(details)
    # Rows continue chains; a head alone would leave their subject's history without this entry.
    wrong = (list_continued_subjects(rows) | list_continued_subjects(before)) - set(entry["chains"])
    beside = list_named_subjects(rows) | named_sessions(details)
    return wrong | (beside - {*entry["chains"], *entry["heads"]})


def states_in(details: Mapping[str, Any]) -> list[tuple[str, State]]:
    """Return the rows that an entry's details hold, by table; a row that is gone has no state."""
    return [(row["table"], row["state"]) for row in details.get("rows", ()) if row["state"]]


def find_related_subjects(
    start: Iterable[str],
    touched_by: Callable[[Collection[str]], Mapping[str, Iterable[Collection[str]]]],
    reaches: Mapping[str, frozenset[str]] = REACHES,
) -> set[str]:
    """Return every subject that belongs to some, themselves included, by `reaches`.

    `touched_by` returns for each of some subjects what each entry in its chain touches.
    """
    subjects = new = set(start)
    # Ends, since only subjects that were not met before are asked about again.
    while new:
        met = {
            other
            for subject, entries in touched_by(new).items()
            for entry in entries
            for other in entry
            # Not every name leads on: a person's other cases are no part of this one.
            if kind_of(other) in reaches.get(kind_of(subject), ())
        }
        new = met - subjects
        subjects = subjects | new
    return subjects


def should_open_entry(
    entry: Mapping[str, Any], subjects: Collection[str], recordings: Collection[str]
) -> bool:
    """Tell whether a case's bundle opens an entry in one of its chains, or leaves it closed.

    `subjects` belong to the case, `shown` are those of its recordings that are evidence in it. What
    a recording's chain says of another case is that case's to tell; what was proposed for this one
    and not confirmed is nobody's evidence here.
    """
    about = {entry["subject"], *entry.get("chains", ())}
    # All cases and actions must be ours: an entry about two cases would tell of the other one.
    if own := {subject for subject in about if kind_of(subject) in _A_CASES_OWN}:
        return own <= set(subjects)
    return all(subject in recordings for subject in about if kind_of(subject) == "recording")


def kind_of(subject: str) -> str:
    """Return the kind of a subject: `case` of `case:<id>`."""
    return subject.partition(":")[0]


def _list_subjects(
    rows: Iterable[tuple[str, State]], columns: Mapping[str, Mapping[str, str]]
) -> set[str]:
    return {
        Subject.of_kind(kind, state[column])
        for table, state in rows
        for column, kind in columns.get(table, {}).items()
        # An empty column is about nobody; it must not make a subject of its own.
        if state.get(column) is not None
    }
