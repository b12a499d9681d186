"""Let footage link itself: by the scene codes that its source filmed.

Codes that verify measure the source's clock, set right all that came in with the same docking,
and link every one of those recordings that shows the action. Codes that do not are kept as
troubles of the recording, for a person. Told again, nothing is done twice: a crash in between is
mended by the next accession of the same record.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest.centre.linking import LinkContext, extend_retention, lock_recording
from policies.facts.states import ActionStatus, ExhibitState
from policies.identifiers import SYSTEM, ActionId
from policies.scene_code import (
    Kind,
    Parsed,
    Sighting,
    Trouble,
    is_authentic,
    measure_clock_offset,
    parse_scene_code,
)
from policies.time.clocks import Reading
from policies.time.intervals import Span
from storage.catalogue.cases import cases, exhibits
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings import clocks, recordings
from storage.catalogue.tables import ActionRow, RecordingRow
from storage.catalogue.unit_of_work import Catalogue, View
from storage.upkeep import legal_hold_sync

EARLY = timedelta(minutes=2)  # a station's and a centre's clock may differ by so much


@dataclass(slots=True)
class _CodeFindings:
    """Findings from the scene codes of one recording."""

    good: list[tuple[Parsed, Sighting]] = field(default_factory=list)
    troubles: set[Trouble] = field(default_factory=set)
    actions: dict[ActionId, list[Parsed]] = field(default_factory=dict)
    reading: Reading | None = None


def self_link(context: LinkContext, row: RecordingRow, key: bytes) -> list[str]:
    """Read a recording's scene codes and draw the consequences; return what is linked now.

    Nothing comes of it without codes of its own, or of another that came with it.
    Raises: VaultError when a lock cannot be made; everything before it is kept.
    """
    with context.catalogue.read() as session:
        findings = _read_codes(session, row, key)
    _enter_findings(context.catalogue, row.id, findings)
    return _link_companions(context, row.id)


def _read_codes(session: View, row: RecordingRow, key: bytes) -> _CodeFindings:
    findings = _CodeFindings()
    earliest = clocks.last_docking(session, row)
    # No code is younger than the docking that brought it (scene-code.md section 4).
    latest = (row.docked_at or row.accessioned_at) + EARLY
    codes = row.media.get("codes")
    # A station's word: what is no list tells of no code, and must not cost it its receipt.
    for code in codes if isinstance(codes, list) else ():
        run = Sighting.from_report(code)
        parsed = parse_scene_code(run.text) if run is not None else None
        if run is None or parsed is None:
            continue  # some other code of the world
        trouble = _find_trouble(parsed, key, earliest, latest)
        if trouble is not None:
            findings.troubles.add(trouble)
            continue
        findings.good.append((parsed, run))
        action = clocks.action_by_tag(session, parsed.tag)
        if action is not None:
            findings.actions.setdefault(action.id, []).append(parsed)
        elif parsed.kind is not Kind.TIME:
            # Not said of the kind `time`, which names no action (scene-code.md section 2).
            findings.troubles.add(Trouble.UNKNOWN_ACTION)
    if findings.good and row.file_start is not None:
        measured = measure_clock_offset(row.file_start, findings.good)
        if isinstance(measured, Trouble):
            # Codes that stood still are a picture of a screen: they link nothing either.
            findings.troubles.add(measured)
            findings.actions.clear()
        else:
            findings.reading = measured
    return findings


def _find_trouble(
    parsed: Parsed, key: bytes, earliest: datetime | None, latest: datetime
) -> Trouble | None:
    """Judge one code: forged, or shown at a time when its recorder lay in a dock."""
    # Before its time is judged: anybody can write any time into a code without a MAC.
    if not is_authentic(parsed, key):
        return Trouble.FORGED
    if parsed.at > latest:
        return Trouble.FUTURE
    if earliest is not None and parsed.at < earliest - EARLY:
        return Trouble.STALE
    return None


def _enter_findings(catalogue: Catalogue, recording: str, findings: _CodeFindings) -> None:
    with catalogue.write() as uow:
        row = recordings.by_id(uow.session, recording)
        for trouble in sorted(findings.troubles):
            clocks.refuse_code(uow, row, trouble)
        if findings.reading is not None:
            clocks.enter_reading(uow, row, findings.reading, list(findings.actions))
        # Nobody can have set the clock between the files of one docking (scene-code.md section 5).
        for companion in clocks.came_with(uow.session, row):
            clocks.set_right(uow, companion)
        for action_id, codes in findings.actions.items():
            action = case_queries.get_action(uow.session, action_id)
            stops = [code.at for code in codes if code.kind is Kind.STOP]
            if stops and action.end_at is None and action.status == ActionStatus.OPEN:
                # The screen shows the code of a second until that second is over.
                end = max(stops) + timedelta(seconds=1)
                # A stop that was filmed before the action began ends nothing.
                if end > action.start_at:
                    cases.set_action_end(uow, action.id, end, actor=SYSTEM)


def _link_companions(context: LinkContext, recording: str) -> list[str]:
    """Link the recordings of the same docking to each action whose code their source filmed."""
    # Read anew: the entries just made moved the times that decide what overlaps.
    with context.catalogue.read() as session:
        row = recordings.by_id(session, recording)
        action_ids = {
            linked_action
            for reading in clocks.readings_with(session, row)
            for linked_action in reading.actions
        }
        pairs = [
            (action_id, companion.id)
            for action_id in sorted(action_ids)
            for companion in clocks.came_with(session, row)
            if companion.destroyed_at is None
            and _shows_action(case_queries.get_action(session, action_id), companion)
            and not _is_decided(session, action_id, companion.id)
        ]
    linked = []
    for action_id, one_id in pairs:
        # Locks before the link, as in `linking.py`; each link by itself, so that a store that fails
        # midway undoes none.
        until = lock_recording(context, action_id, one_id)
        with context.catalogue.write() as uow:
            exhibit = exhibits.link_by_code(uow, action_id, one_id, actor=SYSTEM)
            if exhibit is not None:
                extend_retention(uow, exhibit, until, SYSTEM)
                linked.append(one_id)
    legal_hold_sync.sync_legal_holds(context.catalogue, context.objects, linked)
    return linked


def _shows_action(action: ActionRow, row: RecordingRow) -> bool:
    if row.start_at is None or row.end_at is None or row.start_at >= row.end_at:
        return False
    # While the action goes on it reaches as far as the footage does.
    end = action.end_at or row.end_at
    overlap = Span(row.start_at, row.end_at).intersection(Span(action.start_at, end))
    return overlap is not None and action.status == ActionStatus.OPEN


def _is_decided(session: View, action_id: ActionId, recording: str) -> bool:
    """Tell whether a person, or an earlier code, decided this link already."""
    return any(
        exhibit.action_id == action_id and exhibit.state != ExhibitState.PROPOSED
        for exhibit in case_queries.exhibits_of(session, recording)
    )
