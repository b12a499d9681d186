"""L2 of a bundle's chains: each is whole, from its first entry to the head that the export names.

Which subjects belong to the case follows from the entries themselves (custody/subjects.py), so
leaving one out leaves a name behind. An entry left off the end of a chain needs an export entry
that names a head of before, or a second entry of that number: signed, and named by a replay.
"""

from collections.abc import Collection, Iterable, Iterator

from policies.identifiers import Subject
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.custody.entries.acting import named_sessions
from storage.custody.entries.chain import ChainHead, ChainWalk, heads_from_json
from storage.custody.entries.log_time import running_back
from storage.custody.entries.subjects import (
    ALWAYS_CARRIED,
    State,
    find_hidden_subjects,
    find_related_subjects,
    list_touched_subjects,
    should_open_entry,
)
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT


def check_chains(bundle: BundleFiles) -> Iterator[str]:
    """Yield every break of a chain that belongs to the case, and every chain that is missing."""
    case = Subject.of_case(bundle.read_case()["id"])
    export = _find_export(bundle, case)
    if export is None:
        yield "the entry of this export is left out"
        return
    by_subject: dict[str, list[set[str]]] = {}
    # Without the export's own entry: what it says is what the others are held to (bundle.md section
    # 3, point 2).
    yield from _find_unchained_rows(bundle.entries[:-1])
    for entry in bundle.entries[:-1]:
        entry_subjects = list_touched_subjects(entry.entry, entry.details)
        # An entry of version 1 is in the chain of its subject alone.
        for subject in entry.entry.get("chains", {entry.entry["subject"]: None}):
            by_subject.setdefault(subject, []).append(entry_subjects)
    subjects = find_related_subjects(
        [case], lambda names: {subject: by_subject.get(subject, []) for subject in names}
    )
    named = _collect_heads(bundle, export)
    key_subjects = {Subject.of_key(key.kid) for _, key in bundle.keys.signers}
    key_subjects |= {Subject.of_key(seal.kid) for seal in bundle.keys.recipients}
    # Chains that every bundle carries, whatever the case, as far as the export names them.
    subjects |= {ORIGIN_SUBJECT, *ALWAYS_CARRIED, *key_subjects} & set(named)
    walk = ChainWalk(subjects)
    for entry in bundle.entries[:-1]:
        yield from (f"entry {entry.index}: {wrong}" for wrong in walk.add(entry.entry, entry.leaf))
    for subject in sorted(subjects):
        # Asked both ways: what belongs to the case is named, and what is named belongs to it.
        if subject not in named:
            yield f"{subject}: belongs to the case, and the export does not name it"
        elif walk.get_head(subject) != named[subject]:
            yield f"{subject}: its chain does not end where the export says"
    # A name without entries would claim a chain that nobody can look at.
    for subject in sorted(set(named) - subjects):
        yield f"{subject}: named by the export, and no entry leads to it"
    yield from _find_closed_entries(bundle, subjects)
    for index, last in running_back((entry.index, entry.entry) for entry in bundle.entries):
        yield f"entry {index}: time runs back behind {last}"


def _find_export(bundle: BundleFiles, case: str) -> GivenEntry | None:
    """Return the last entry: that of the export which made the bundle."""
    # As the signed statement says: another export's entries end elsewhere.
    number = bundle.statement["export"]
    for entry in bundle.entries[-1:]:
        header = (entry.index, entry.entry["act"], entry.entry["subject"], entry.entry["v"])
        if header == (number, "bundle.export", case, 2):
            return entry
    return None


def _collect_heads(bundle: BundleFiles, export: GivenEntry) -> dict[str, ChainHead]:
    """Return the heads that the export names, with those for which its entry had no room.

    But not of the session in which it was made: that chain is no part of the case.
    """
    named = heads_from_json({**export.entry["chains"], **export.entry["heads"]})
    for entry in reversed(bundle.entries[:-1]):
        if (
            # Only those right before the export are its own (bundle.md section 3, point 1).
            entry.entry["act"] != "bundle.heads"
            or entry.entry["subject"] != export.entry["subject"]
        ):
            break
        named |= heads_from_json(entry.entry["heads"])
    sessions = named_sessions(export.details or {})
    return {subject: head for subject, head in named.items() if subject not in sessions}


def _find_unchained_rows(entries: Iterable[GivenEntry]) -> Iterator[str]:
    """Yield each entry with rows about a subject whose chain it is not in, removed rows too."""
    last: dict[tuple[str, str], State] = {}
    for entry in entries:
        rows = [] if entry.details is None else list(entry.details.get("rows", ()))
        # What the rows were about until now: the entry must continue those chains, too.
        previous = {
            (row["table"], row["key"]): last.get((row["table"], row["key"])) for row in rows
        }
        if entry.entry["v"] != 1 and entry.details is not None:
            before = [(table, state) for (table, _), state in previous.items() if state]
            for subject in sorted(find_hidden_subjects(entry.entry, entry.details, before)):
                yield f"entry {entry.index}: about {subject}, and not in its chain"
            for row in rows:
                table, key = row["table"], row["key"]
                # Without an earlier state nobody can say whose chain the removal hides from.
                if not row["state"] and not previous[table, key]:
                    yield f"entry {entry.index}: removes {table} {key}, of which no entry tells"
        last |= {(row["table"], row["key"]): row["state"] for row in rows}


def _find_closed_entries(bundle: BundleFiles, subjects: Collection[str]) -> Iterator[str]:
    """Yield closed entries that this case's bundle should open, and entries of other cases."""
    recordings = {Subject.of_recording(folder.name) for folder in bundle.list_recordings()}
    for entry in bundle.entries:
        if entry.details is None and should_open_entry(entry.entry, subjects, recordings):
            yield f"entry {entry.index}: about this case, and not opened"
        # A line of another case would tell of it to whoever gets this bundle.
        if not {*entry.entry.get("chains", ()), entry.entry["subject"]} & set(subjects):
            yield f"entry {entry.index}: not about this case"
