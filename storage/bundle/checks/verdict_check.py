"""What was judged: by which rulebook, from which facts, and whether it comes out again.

An entry that closes an action (or refuses to) holds its facts, its verdict, the digest of the
rulebook and the judge's edition. L2 asks whether the facts are what entries before it had logged,
and whether that rulebook was loaded; L3 judges again. A closed action stays as it was judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.facts.facts import ActionFacts
from policies.rules.rules import JUDGE_EDITION
from storage.bundle.checks.facts_check import against_log, against_records
from storage.bundle.checks.states import States
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.bundle.report import Remark
from storage.custody.entries.subjects import RULEBOOK
from storage.signed import canonical

_CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class _Judged:
    """One judgement: of which action, from which facts, by what, as of which entry."""

    action: str
    as_of: int
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    rulebook: str
    judge: int


def rulebooks(bundle: BundleFiles) -> Iterator[str]:
    """Yield the rulebooks that judged here and are missing, altered, or were never loaded."""
    loaded: dict[str, Mapping[str, str]] = {}
    for one in bundle.entries:
        details = one.details or {}
        if one.entry["act"] == "rulebook.load" and one.entry["subject"] == RULEBOOK:
            loaded[details["digest"]] = details["files"]
        elif (digest := details.get("rulebook")) is not None:
            if digest not in loaded:
                yield f"entry {one.index}: judged by a rulebook that was not loaded before"
            elif not (bundle.data / "rulebook" / digest).is_dir():
                yield f"entry {one.index}: the rulebook that judged is not in the bundle"
    for folder in sorted((bundle.data / "rulebook").glob("*")):
        found = bundle.rulebook(folder.name)
        files = {name: one.sha256 for name, one in found.files.items()}
        if loaded.get(folder.name) != files or found.digest != folder.name:
            yield f"rulebook {folder.name[:16]}…: not the one that was loaded"


def facts(bundle: BundleFiles) -> Iterator[str]:
    """Yield where facts are not what the log and the sealed records held when they were judged."""
    records = {folder.name: bundle.record(folder.name) for folder in bundle.recordings()}
    for one in _judgements(bundle):
        states = States.of(entry for entry in bundle.entries if entry.index < one.as_of)
        asked = ActionFacts.from_json(one.facts)
        for problem in (
            *against_log(one.action, asked, states.last),
            *against_records(asked, records, states.last),
        ):
            yield f"entry {one.as_of}: {problem}"


def findings(bundle: BundleFiles) -> Iterator[str]:
    """Yield the judgements that do not come out again, and the files that tell of others."""
    for one in _judgements(bundle):
        if one.judge != JUDGE_EDITION:
            yield Remark(f"entry {one.as_of}: judged by edition {one.judge}, not re-derived")
            continue
        again = bundle.rulebook(one.rulebook).evaluate(ActionFacts.from_json(one.facts)).to_json()
        if not _alike(again, one.verdict):
            yield f"action {one.action}: the rules find something else than entry {one.as_of} says"
    for folder in bundle.actions():
        yield from _told(bundle, folder.name)


def _judgements(bundle: BundleFiles) -> Iterator[_Judged]:
    """Yield every judgement on an action that can be made again: logged, and of this export."""
    export = bundle.entries[-1]
    for one in bundle.entries:
        if one.entry["act"] == "action.close" and "facts" in (one.details or {}):
            told = one.details or {}
            action = one.entry["subject"].partition(":")[2]
            by = told["rulebook"], told["judge"]
            yield _Judged(action, one.index, told["facts"], told["verdict"], *by)
    by = (export.details or {})["rulebook"], (export.details or {})["judge"]
    for folder in bundle.actions():
        name = folder.name
        now = _now(bundle, name)
        if now is not None:
            yield _Judged(name, export.index, now["facts"], now["verdict"], *by)


def _now(bundle: BundleFiles, action: str) -> Mapping[str, Any] | None:
    """Return what the bundle says of an action as of its export; None where that is as before."""
    if (bundle.data / "actions" / action / "later.json").exists():
        return bundle.json(f"actions/{action}/later.json")
    if _closing(bundle, action) is None:
        return _files(bundle, action)
    return None


def _told(bundle: BundleFiles, action: str) -> Iterator[str]:
    """Yield where an action's files are not the judgement that stands."""
    told, closing = _files(bundle, action), _closing(bundle, action)
    if closing is None:
        return
    details = closing.details or {}
    about = bundle.json("evidence-list.json")["actions"][action]
    judged_at = datetime.fromisoformat(about["judged_at"])
    if judged_at != datetime.fromisoformat(closing.entry["at"]):
        yield f"action {action}: judged at another time than the list says"
    if not _alike(told["verdict"], details["verdict"]):
        yield f"action {action}: findings.json is not the verdict of its closing"
    if "facts" not in details:
        yield Remark(
            f"action {action}: closed before verdicts named their rulebook, not re-derived"
        )
    elif not _alike(told["facts"], details["facts"]):
        yield f"action {action}: facts.json is not what its closing was judged from"


def _files(bundle: BundleFiles, action: str) -> Mapping[str, Any]:
    return {
        "facts": bundle.json(f"actions/{action}/facts.json"),
        "verdict": bundle.json(f"actions/{action}/findings.json"),
    }


def _closing(bundle: BundleFiles, action: str) -> GivenEntry | None:
    """Return the entry that closed an action, if its last logged state is closed."""
    if States.of(bundle.entries).last.get(("action", action), {}).get("status") != _CLOSED:
        return None
    closings = [
        one
        for one in bundle.entries
        if one.entry["act"] == "action.close"
        and one.entry["subject"] == f"action:{action}"
        and one.entry["outcome"] == "success"
    ]
    return closings[-1] if closings else None


def _alike(one: Any, other: Any) -> bool:
    return canonical.encode(one) == canonical.encode(other)
