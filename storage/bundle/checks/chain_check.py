"""L2 of a bundle's chains: each is whole, from its first entry to the head that the export names.

Which subjects belong to the case follows from the entries themselves (custody/subjects.py), so
leaving one out leaves a name behind. An entry left off the end of a chain needs an export entry
that names a head of before, or a second entry of that number: signed, and named by a replay.
"""

from collections.abc import Collection, Iterable, Iterator

from storage.bundle.reading import BundleFiles, GivenEntry
from storage.custody.entries.acting import named_sessions
from storage.custody.entries.chain import ChainHead, ChainWalk, heads_from_json
from storage.custody.entries.log_time import running_back
from storage.custody.entries.subjects import (
    ALWAYS_CARRIED,
    State,
    belonging,
    hidden,
    key_subject,
    opens,
    touched,
)
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT


def chains(bundle: BundleFiles) -> Iterator[str]:
    """Yield every break of a chain that belongs to the case, and every chain that is missing."""
    case = f"case:{bundle.case()['id']}"
    export = _export(bundle, case)
    if export is None:
        yield "the entry of this export is left out"
        return
    by_subject: dict[str, list[set[str]]] = {}
    yield from _showing(bundle.entries[:-1])
    for one in bundle.entries[:-1]:
        told = touched(one.entry, one.details)
        for subject in one.entry.get("chains", {one.entry["subject"]: None}):
            by_subject.setdefault(subject, []).append(told)
    subjects = belonging(
        [case], lambda wanted: {subject: by_subject.get(subject, []) for subject in wanted}
    )
    named = _named(bundle, export)
    held = {key_subject(key.kid) for _, key in bundle.keys.signers}
    held |= {key_subject(seal.kid) for seal in bundle.keys.recipients}
    subjects |= {ORIGIN_SUBJECT, *ALWAYS_CARRIED, *held} & set(named)
    walk = ChainWalk(subjects)
    for one in bundle.entries[:-1]:
        yield from (f"entry {one.index}: {wrong}" for wrong in walk.add(one.entry, one.leaf))
    for subject in sorted(subjects):
        if subject not in named:
            yield f"{subject}: belongs to the case, and the export does not name it"
        elif walk.head(subject) != named[subject]:
            yield f"{subject}: its chain does not end where the export says"
    for subject in sorted(set(named) - subjects):
        yield f"{subject}: named by the export, and no entry leads to it"
    yield from _closed(bundle, subjects)
    for index, last in running_back((one.index, one.entry) for one in bundle.entries):
        yield f"entry {index}: time runs back behind {last}"


def _export(bundle: BundleFiles, case: str) -> GivenEntry | None:
    """Return the last entry: that of the export which made the bundle."""
    number = bundle.statement["export"]
    for one in bundle.entries[-1:]:
        told = (one.index, one.entry["act"], one.entry["subject"], one.entry["v"])
        if told == (number, "bundle.export", case, 2):
            return one
    return None


def _named(bundle: BundleFiles, export: GivenEntry) -> dict[str, ChainHead]:
    """Return the heads that the export names, with those for which its entry had no room.

    But not of the session in which it was made: that chain is no part of the case.
    """
    named = heads_from_json({**export.entry["chains"], **export.entry["heads"]})
    for one in reversed(bundle.entries[:-1]):
        if one.entry["act"] != "bundle.heads" or one.entry["subject"] != export.entry["subject"]:
            break
        named |= heads_from_json(one.entry["heads"])
    sessions = named_sessions(export.details or {})
    return {subject: head for subject, head in named.items() if subject not in sessions}


def _showing(entries: Iterable[GivenEntry]) -> Iterator[str]:
    """Yield where an entry's rows are about what it is not in the chain of, removed ones too."""
    last: dict[tuple[str, str], State] = {}
    for one in entries:
        rows = [] if one.details is None else list(one.details.get("rows", ()))
        known = {(row["table"], row["key"]): last.get((row["table"], row["key"])) for row in rows}
        if one.entry["v"] != 1 and one.details is not None:
            before = [(table, state) for (table, _), state in known.items() if state]
            for subject in sorted(hidden(one.entry, one.details, before)):
                yield f"entry {one.index}: about {subject}, and not in its chain"
            for row in rows:
                table, key = row["table"], row["key"]
                if not row["state"] and not known[table, key]:
                    yield f"entry {one.index}: removes {table} {key}, of which no entry tells"
        last |= {(row["table"], row["key"]): row["state"] for row in rows}


def _closed(bundle: BundleFiles, subjects: Collection[str]) -> Iterator[str]:
    """Yield the entries that are closed, and are this case's to tell."""
    shown = {f"recording:{folder.name}" for folder in bundle.recordings()}
    for one in bundle.entries:
        if one.details is None and opens(one.entry, subjects, shown):
            yield f"entry {one.index}: about this case, and not opened"
        if not {*one.entry.get("chains", ()), one.entry["subject"]} & set(subjects):
            yield f"entry {one.index}: not about this case"
