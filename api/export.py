"""Export a case as a bundle: authorise, log, gather from the catalogue, let storage write it.

The export and every original that leaves with it are in the log before the first byte; the
bundle's checkpoint covers those entries too.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from api.identity import Visitor
from api.service import Service
from api.wiring import software
from policies.access import Act
from policies.rulebook import SHIPPED, areas_of
from storage.bundle.contents import BundledAction, BundledEntry, BundledRecording, Contents
from storage.bundle.write import write
from storage.catalogue import cases, custody_log, people, recordings
from storage.catalogue.publish import publish
from storage.catalogue.tables import ActionRow, CaseRow, RecordingRow
from storage.catalogue.unit_of_work import View
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.event import PremisType
from storage.errors import ConflictError
from storage.recording import RecordingId
from storage.vault.objects import PAYLOAD, ObjectStore, key_of

_BLOCK = 4 << 20


def export(
    service: Service,
    visitor: Visitor,
    case_id: str,
    folder: Path,
    *,
    sealed: bool = False,
    progress: Callable[[str, int], None] = lambda _what, _size: None,
) -> str:
    """Write the case's bundle into a new folder; return its manifest's SHA-256 as hex.

    `sealed` gives ciphertext instead of originals. Raises: ApiError(forbidden), NotFoundError,
    ConflictError (a recording without a receipt yet), FixityError, FileExistsError, OSError.
    """
    office = service.office
    with office.catalogue.read() as session:
        case = cases.case(session, case_id)
        rows = _linked(session, case.id)
    service.authorise(visitor, Act.EXPORT, case.township, f"case:{case.id}")
    if waiting := [row.id for row in rows if row.receipt_text is None]:
        raise ConflictError(problem="no receipt yet", recordings=waiting)
    with office.catalogue.write() as uow:
        uow.record(
            "bundle.export",
            PremisType.INFORMATION_PACKAGE_CREATION,
            actor=visitor.actor,
            subject=f"case:{case.id}",
            recordings=[row.id for row in rows],
            sealed=sealed,
        )
    originals = {} if sealed else {row.id: _original(service, visitor, row) for row in rows}
    checkpoint = publish(office.catalogue, office.signer, office.settings.home / "log")
    with office.catalogue.read() as session:
        log = custody_log.LogReader(session)
        contents = Contents(
            case=_case(case),
            actions=[_action(service, session, row) for row in cases.actions(session, case.id)],
            recordings=[
                _recording(session, office.objects, row, originals.get(row.id)) for row in rows
            ],
            entries=(),
            leaves=log.leaves(0, untrusted_checkpoint(checkpoint).size),
            checkpoint=checkpoint,
            stations=office.stations,
            centre=office.ring.verifying("centre"),
            log=office.ring.verifying("log"),
            recipients=office.ring.recipients,
            rulebook=areas_of(office.settings.rulebook or SHIPPED, office.settings.county),
            made_at=office.clock(),
            made_by=visitor.name,
            software=software(),
        )
        entries = _entries(session, contents.subjects, checkpoint)
        return write(
            folder, replace(contents, entries=entries), office.ring.signing("centre"), progress
        )


def _linked(session: View, case_id: str) -> list[RecordingRow]:
    found: dict[str, RecordingRow] = {}
    for action in cases.actions(session, case_id):
        for exhibit in cases.exhibits(session, action.id):
            if exhibit.state == "confirmed":
                found[exhibit.recording_id] = recordings.by_id(session, exhibit.recording_id)
    return sorted(found.values(), key=lambda row: (row.start_at is None, row.start_at, row.id))


def _original(
    service: Service, visitor: Visitor, row: RecordingRow
) -> Callable[[], Iterable[bytes]]:
    reader = service.plaintext(visitor, row, "bundle")
    return lambda: reader.read(0, reader.size)


def _case(row: CaseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "number": row.number,
        "title": row.title,
        "party": row.party,
        "township": row.township,
        "stage": row.stage,
        "opened_at": row.opened_at.isoformat(),
        "closed_at": row.closed_at.isoformat() if row.closed_at else None,
    }


def _action(service: Service, session: View, row: ActionRow) -> BundledAction:
    facts = cases.facts_of(session, row.id)
    return BundledAction(
        id=row.id,
        facts=facts,
        verdict=service.office.rulebook.evaluate(facts),
        status=row.status,
        place=row.place,
        officers=[person.name for person in cases.officers(session, row.id)],
        exhibits=[
            {
                "recording": one.recording_id,
                "shown_from": one.shown_from.isoformat(),
                "shown_to": one.shown_to.isoformat(),
                "how": one.how,
            }
            for one in cases.exhibits(session, row.id)
            if one.state == "confirmed"
        ],
    )


def _recording(
    session: View,
    objects: ObjectStore,
    row: RecordingRow,
    original: Callable[[], Iterable[bytes]] | None,
) -> BundledRecording:
    officer = people.person(session, row.officer_id).name if row.officer_id else row.officer_no
    return BundledRecording(
        id=row.id,
        record=row.record_text.encode(),
        envelope=row.envelope_text.encode(),
        receipt=(row.receipt_text or "").encode(),
        name=row.name,
        about={
            "source": row.source_serial,
            "start_at": row.start_at.isoformat() if row.start_at else None,
            "duration_s": row.duration_s,
            "officer": officer,
            "sha256": row.sha256,
            "size": row.size,
        },
        original=original,
        payload=lambda: _stored(objects, row.id),
    )


def _stored(objects: ObjectStore, recording: str) -> Iterator[bytes]:
    key = key_of(RecordingId(UUID(recording)), PAYLOAD)
    offset = 0
    while block := objects.read(key, offset, _BLOCK):
        yield block
        offset += len(block)


def _entries(session: View, subjects: Iterable[str], checkpoint: str) -> list[BundledEntry]:
    log = custody_log.LogReader(session)
    size = untrusted_checkpoint(checkpoint).size
    events = [event for subject in subjects for event in log.events_of(subject)]
    return [
        BundledEntry(
            index=event.index,
            leaf=log.leaf(event.index),
            details=event.details,
            salt=event.salt,
            proof=custody_log.proof_for(session, event.index, checkpoint),
        )
        for event in sorted(events, key=lambda event: event.index)
        if event.index < size
    ]
