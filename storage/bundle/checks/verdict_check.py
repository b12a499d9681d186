"""Checks of verdicts: their rulebook, their facts, and the verdict derived anew.

An entry that closes an action (or refuses to) holds its facts, its verdict, the digest of the
rulebook and the judge's edition. L2 asks whether the facts are what entries before it had logged,
and whether that rulebook was loaded; L3 judges again. A closed action stays as it was judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.facts.facts import ActionFacts
from policies.facts.states import ActionStatus
from policies.identifiers import ActionId, Subject, split_subject
from policies.rules.rules import JUDGE_EDITION
from storage.bundle.checks.facts_check import against_log, against_records
from storage.bundle.checks.states import States
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.bundle.report import Remark
from storage.custody.entries.subjects import RULEBOOK
from storage.signed import canonical


@dataclass(frozen=True, slots=True)
class _Judgement:
    """One judgement: of which action, from which facts, by what, as of which entry."""

    action: str
    as_of: int
    facts: Mapping[str, Any]
    verdict: Mapping[str, Any]
    rulebook: str
    judge: int


def check_rulebooks(bundle: BundleFiles) -> Iterator[str]:
    """Yield the rulebooks that judged here and are missing, altered, or were never loaded."""
    loaded: dict[str, Mapping[str, str]] = {}
    for entry in bundle.entries:
        details = entry.details or {}
        if entry.entry["act"] == "rulebook.load" and entry.entry["subject"] == RULEBOOK:
            loaded[details["digest"]] = details["files"]
        elif (digest := details.get("rulebook")) is not None:
            # Loaded before it judged: a rulebook that is loaded afterwards excuses nothing.
            if digest not in loaded:
                yield f"entry {entry.index}: judged by a rulebook that was not loaded before"
            elif not (bundle.data / "rulebook" / digest).is_dir():
                yield f"entry {entry.index}: the rulebook that judged is not in the bundle"
    # Every rulebook in the bundle, also one that no entry names: readers may take it for the
    # office's.
    for folder in sorted((bundle.data / "rulebook").glob("*")):
        rulebook = bundle.load_rulebook(folder.name)
        files = {name: file.sha256 for name, file in rulebook.editions_by_file.items()}
        # By its files and by its folder's name: a copy under another digest would judge in its
        # place.
        if loaded.get(folder.name) != files or rulebook.digest != folder.name:
            yield f"rulebook {folder.name[:16]}…: not the one that was loaded"


def check_facts(bundle: BundleFiles) -> Iterator[str]:
    """Yield where facts are not what the log and the sealed records held when they were judged."""
    records = {folder.name: bundle.read_record(folder.name) for folder in bundle.list_recordings()}
    for judgement in _list_judgements(bundle):
        # As of the judgement: what was logged later cannot have been its ground.
        states = States.from_entries(
            entry for entry in bundle.entries if entry.index < judgement.as_of
        )
        action_facts = ActionFacts.from_json(judgement.facts)
        for problem in (
            *against_log(judgement.action, action_facts, states.last),
            *against_records(action_facts, records, states.last),
        ):
            yield f"entry {judgement.as_of}: {problem}"


def check_findings(bundle: BundleFiles) -> Iterator[str]:
    """Yield verdicts that the rules do not reproduce, and files that state other verdicts."""
    for judgement in _list_judgements(bundle):
        # Another edition may read the same rules otherwise; that is told, and is no failure.
        if judgement.judge != JUDGE_EDITION:
            yield Remark(
                f"entry {judgement.as_of}: judged by edition {judgement.judge}, not re-derived"
            )
            continue
        again = (
            bundle.load_rulebook(judgement.rulebook)
            .judge_facts(ActionFacts.from_json(judgement.facts))
            .to_json()
        )
        if not _are_equal(again, judgement.verdict):
            problem = f"the rules find something else than entry {judgement.as_of} says"
            yield f"action {judgement.action}: {problem}"
    for folder in bundle.list_actions():
        yield from _compare_files(bundle, folder.name)


def _list_judgements(bundle: BundleFiles) -> Iterator[_Judgement]:
    """Yield every judgement on an action that can be made again: logged, and of this export."""
    export = bundle.entries[-1]
    for entry in bundle.entries:
        # Refused closings too: the verdict of each names gaps that a later one need not have.
        if entry.entry["act"] == "action.close" and "facts" in (entry.details or {}):
            details = entry.details or {}
            action = split_subject(entry.entry["subject"])[1]
            by = details["rulebook"], details["judge"]
            yield _Judgement(action, entry.index, details["facts"], details["verdict"], *by)
    by = (export.details or {})["rulebook"], (export.details or {})["judge"]
    for folder in bundle.list_actions():
        name = folder.name
        now = _read_export_judgement(bundle, name)
        if now is not None:
            yield _Judgement(name, export.index, now["facts"], now["verdict"], *by)


def _read_export_judgement(bundle: BundleFiles, action: str) -> Mapping[str, Any] | None:
    """Return facts and verdict of an action at the export; None where its closing stands."""
    if (bundle.data / "actions" / action / "later.json").exists():
        return bundle.read_json(f"actions/{action}/later.json")
    if _find_closing(bundle, action) is None:
        return _read_files(bundle, action)
    # A closing stands as it was judged; without a `later.json` nothing differs by now.
    return None


def _compare_files(bundle: BundleFiles, action: str) -> Iterator[str]:
    """Yield differences between an action's files and the verdict of its closing."""
    files, closing = _read_files(bundle, action), _find_closing(bundle, action)
    if closing is None:
        return
    details = closing.details or {}
    about = bundle.read_json("evidence-list.json")["actions"][action]
    judged_at = datetime.fromisoformat(about["judged_at"])
    if judged_at != datetime.fromisoformat(closing.entry["at"]):
        yield f"action {action}: judged at another time than the list says"
    if not _are_equal(files["verdict"], details["verdict"]):
        yield f"action {action}: findings.json is not the verdict of its closing"
    if "facts" not in details:
        yield Remark(
            f"action {action}: closed before verdicts named their rulebook, not re-derived"
        )
    elif not _are_equal(files["facts"], details["facts"]):
        yield f"action {action}: facts.json is not what its closing was judged from"


def _read_files(bundle: BundleFiles, action: str) -> Mapping[str, Any]:
    return {
        "facts": bundle.read_json(f"actions/{action}/facts.json"),
        "verdict": bundle.read_json(f"actions/{action}/findings.json"),
    }


def _find_closing(bundle: BundleFiles, action: str) -> GivenEntry | None:
    """Return the entry that closed an action, if its last logged state is closed."""
    if (
        States.from_entries(bundle.entries).last.get(("action", action), {}).get("status")
        != ActionStatus.CLOSED
    ):
        return None
    closings = [
        entry
        for entry in bundle.entries
        if entry.entry["act"] == "action.close"
        and entry.entry["subject"] == Subject.of_action(ActionId(action))
        and entry.entry["outcome"] == "success"
    ]
    return closings[-1] if closings else None


def _are_equal(first: Any, other: Any) -> bool:
    return canonical.encode(first) == canonical.encode(other)
