"""Let footage link itself: by the scene codes that its source filmed.

Codes that verify measure the source's clock, set right all that came in with the same docking,
and link every one of those recordings that shows the action. Codes that do not are kept as
troubles of the recording, for a person. Told again, nothing is done twice: a crash in between is
mended by the next accession of the same record.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ingest.centre.linking import Keeping, keep, lock
from policies.scene_code import Kind, Parsed, Sighting, Trouble, authentic, measure, parse
from policies.time.clocks import Reading
from policies.time.intervals import Span
from storage.catalogue.cases import cases, exhibits
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings import clocks, recordings
from storage.catalogue.tables import ActionRow, RecordingRow
from storage.catalogue.unit_of_work import Catalogue, View
from storage.upkeep import legal_hold_sync

EARLY = timedelta(minutes=2)  # a station's and a centre's clock may differ by so much
_OPEN = "open"


@dataclass(slots=True)
class _Seen:
    """What the codes of one recording amount to."""

    good: list[tuple[Parsed, Sighting]] = field(default_factory=list)
    troubles: set[Trouble] = field(default_factory=set)
    actions: dict[str, list[Parsed]] = field(default_factory=dict)
    reading: Reading | None = None


def self_link(kept: Keeping, row: RecordingRow, key: bytes) -> list[str]:
    """Read a recording's scene codes and draw the consequences; return what is linked now.

    Nothing comes of it without codes of its own, or of another that came with it.
    Raises: VaultError when a lock cannot be made; everything before it is kept.
    """
    with kept.catalogue.read() as session:
        seen = _seen(session, row, key)
    _enter(kept.catalogue, row.id, seen)
    return _link(kept, row.id)


def _seen(session: View, row: RecordingRow, key: bytes) -> _Seen:
    found = _Seen()
    earliest = clocks.last_docking(session, row)
    latest = (row.docked_at or row.accessioned_at) + EARLY
    for told in row.media.get("codes") or ():
        run = Sighting.of(told)
        parsed = parse(run.text) if run is not None else None
        if run is None or parsed is None:
            continue  # some other code of the world
        trouble = _trouble(parsed, key, earliest, latest)
        if trouble is not None:
            found.troubles.add(trouble)
            continue
        found.good.append((parsed, run))
        action = clocks.action_by_tag(session, parsed.tag)
        if action is not None:
            found.actions.setdefault(action.id, []).append(parsed)
        elif parsed.kind is not Kind.TIME:
            found.troubles.add(Trouble.UNKNOWN_ACTION)
    if found.good and row.file_start is not None:
        measured = measure(row.file_start, found.good)
        if isinstance(measured, Trouble):
            found.troubles.add(measured)
            found.actions.clear()
        else:
            found.reading = measured
    return found


def _trouble(
    parsed: Parsed, key: bytes, earliest: datetime | None, latest: datetime
) -> Trouble | None:
    """Judge one code: forged, or shown at a time when its recorder lay in a dock."""
    if not authentic(parsed, key):
        return Trouble.FORGED
    if parsed.at > latest:
        return Trouble.FUTURE
    if earliest is not None and parsed.at < earliest - EARLY:
        return Trouble.STALE
    return None


def _enter(catalogue: Catalogue, recording: str, seen: _Seen) -> None:
    with catalogue.write() as uow:
        row = recordings.by_id(uow.session, recording)
        for trouble in sorted(seen.troubles):
            clocks.refuse_code(uow, row, trouble)
        if seen.reading is not None:
            clocks.enter_reading(uow, row, seen.reading, list(seen.actions))
        for one in clocks.came_with(uow.session, row):
            clocks.set_right(uow, one)
        for action_id, codes in seen.actions.items():
            action = case_queries.action(uow.session, action_id)
            stops = [code.at for code in codes if code.kind is Kind.STOP]
            if stops and action.end_at is None and action.status == _OPEN:
                end = max(stops) + timedelta(seconds=1)
                if end > action.start_at:
                    cases.set_action_end(uow, action.id, end, actor=clocks.SYSTEM)


def _link(kept: Keeping, recording: str) -> list[str]:
    """Link what came in with this recording and shows an action whose code its source filmed."""
    with kept.catalogue.read() as session:
        row = recordings.by_id(session, recording)
        wanted = {one for found in clocks.readings_with(session, row) for one in found.actions}
        pairs = [
            (action_id, one.id)
            for action_id in sorted(wanted)
            for one in clocks.came_with(session, row)
            if one.destroyed_at is None
            and _shows(case_queries.action(session, action_id), one)
            and not _settled(session, action_id, one.id)
        ]
    linked = []
    for action_id, one_id in pairs:
        until = lock(kept, action_id, one_id)
        with kept.catalogue.write() as uow:
            exhibit = exhibits.link_by_code(uow, action_id, one_id, actor=clocks.SYSTEM)
            if exhibit is not None:
                keep(uow, exhibit, until, clocks.SYSTEM)
                linked.append(one_id)
    legal_hold_sync.follow(kept.catalogue, kept.objects, linked)
    return linked


def _shows(action: ActionRow, row: RecordingRow) -> bool:
    if row.start_at is None or row.end_at is None or row.start_at >= row.end_at:
        return False
    end = action.end_at or row.end_at
    shown = Span(row.start_at, row.end_at).cut(Span(action.start_at, end))
    return shown is not None and action.status == _OPEN


def _settled(session: View, action_id: str, recording: str) -> bool:
    """Tell whether a person, or an earlier code, decided this link already."""
    return any(
        one.action_id == action_id and one.state != case_queries.PROPOSED
        for one in case_queries.exhibits_of(session, recording)
    )
