"""Export a case as a bundle: authorise, log, gather from the catalogue, let storage write it.

The export and every original that leaves with it are in the log before the first byte; the
bundle's checkpoint covers those entries too.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from api.office.identity import Visitor
from api.office.service import Service
from api.office.wiring import Office, software
from policies.access.access import Act
from policies.rules.rules import Rulebook
from storage.bundle.contents import BundledAction, BundledEntry, BundledRecording, Contents
from storage.bundle.write import write
from storage.catalogue.cases import cases
from storage.catalogue.cases.judgements import judgement_of
from storage.catalogue.log import custody_log
from storage.catalogue.people import people
from storage.catalogue.proofs import case_chains, proven_rows
from storage.catalogue.proofs.publish import publish
from storage.catalogue.proofs.rulebooks import judged_by, rulebook_files
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import ActionRow, CaseRow, RecordingRow
from storage.catalogue.unit_of_work import Attempt, UnitOfWork, View
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.entries.event import PremisType, parse_leaf
from storage.custody.entries.subjects import ALWAYS_CARRIED, key_subject, opens
from storage.custody.merkle.partial_tree import Place, nodes_beside
from storage.custody.merkle.proof import Proof
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT
from storage.errors import ConflictError
from storage.recording import RecordingId
from storage.signed import canonical
from storage.signed.signing import VerifyKey, signer_of
from storage.vault.keys import SealKey
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
    ConflictError (a recording without a receipt yet, links that changed meanwhile), FixityError,
    FileExistsError, OSError.
    """
    office = service.office
    with office.catalogue.read() as session:
        case = cases.case(session, case_id)
        rows = _linked(session, case.id)
    service.authorise(visitor, Act.EXPORT, case.township, f"case:{case.id}")
    if waiting := [row.id for row in rows if row.receipt_text is None]:
        raise ConflictError(problem="no receipt yet", recordings=waiting)
    originals = {} if sealed else {row.id: _original(service, visitor, row) for row in rows}
    service.checkpoint()
    kind, subject = PremisType.INFORMATION_PACKAGE_CREATION, f"case:{case.id}"
    attempt = Attempt("bundle.export", kind, visitor.actor, subject)
    with office.catalogue.write() as uow:  # what is told is as it stands at the export's entry
        session = uow.session
        proven_rows.require_case(uow, case_id, attempt)
        now = {row.id for row in _linked(session, case_id)}
        if now != {row.id for row in rows}:
            raise ConflictError(problem="links changed meanwhile", recordings=sorted(now))
        subjects = case_chains.belonging_to(session, case_id) | {ORIGIN_SUBJECT, *ALWAYS_CARRIED}
        subjects |= {key_subject(key.kid) for key in _office_keys(office)}
        told = _case(cases.case(session, case_id))
        actions = [
            _action(session, office.rulebook, row, uow.at)
            for row in cases.actions(session, case_id)
        ]
        footage = [
            _recording(session, office.objects, row, originals.get(row.id))
            for row in _linked(session, case_id)
        ]
        export = _log_export(
            uow,
            attempt,
            subjects,
            recordings=[row.id for row in rows],
            sealed=sealed,
            **judged_by(office.rulebook),
        )
    checkpoint = publish(office.catalogue, office.signer, office.settings.home / "log")
    with office.catalogue.read() as session:
        shown = {recordings.subject_of(one.id) for one in footage}
        entries = list(_entries(session, subjects, shown, export))
        digests = {(one.details or {}).get("rulebook") for one in entries} - {None}
        contents = Contents(
            case=told,
            actions=actions,
            recordings=footage,
            entries=entries,
            nodes=_nodes(session, entries, footage, checkpoint),
            export=export,
            checkpoint=checkpoint,
            stations=_signers(office, rows),
            centre=office.ring.verifying("centre"),
            log=office.ring.verifying("log"),
            recipients=office.ring.recipients,
            rulebooks={one: rulebook_files(session, one) for one in sorted(map(str, digests))},
            made_at=office.clock(),
            made_by=visitor.name,
            software=software(),
        )
    return write(folder, contents, office.ring.signing("centre"), progress)


def _log_export(
    uow: UnitOfWork, attempt: Attempt, subjects: Collection[str], **details: Any
) -> int:
    """Log the export with the head of every chain that goes along; return its entry's number."""
    *earlier, last = case_chains.in_entries(subjects)
    kind, actor, subject = attempt.kind, attempt.actor, attempt.subject
    for some in earlier:
        uow.record("bundle.heads", kind, actor=actor, subject=subject, heads=some)
    return uow.record(attempt.act, kind, actor=actor, subject=subject, heads=last, **details)


def _office_keys(office: Office) -> list[VerifyKey | SealKey]:
    """Return the keys that every bundle of the office rests on."""
    ring = office.ring
    return [ring.verifying("centre"), ring.verifying("log"), *ring.recipients]


def _signers(office: Office, rows: Iterable[RecordingRow]) -> list[VerifyKey]:
    """Return the stations' keys that signed these recordings, and no other."""
    signers = {signer_of(row.record_text.encode()) for row in rows}
    return [key for key in office.stations if key.kid in signers]


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


def _action(session: View, rulebook: Rulebook, row: ActionRow, made_at: datetime) -> BundledAction:
    judged = judgement_of(session, row, rulebook, made_at)
    return BundledAction(
        id=row.id,
        facts=judged.facts,
        verdict=judged.verdict,
        later=judged.later,
        about={
            "status": row.status,
            "place": row.place,
            "judged_at": judged.at.isoformat(),
            "officers": [person.name for person in cases.officers(session, row.id)],
            "exhibits": [
                {
                    "recording": one.recording_id,
                    "shown_from": one.shown_from.isoformat(),
                    "shown_to": one.shown_to.isoformat(),
                    "how": one.how,
                }
                for one in cases.exhibits(session, row.id)
                if one.state == "confirmed"
            ],
        },
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
        about={
            "name": row.name,
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


def _entries(
    session: View, subjects: Collection[str], shown: Collection[str], export: int
) -> Iterator[BundledEntry]:
    """Yield the chains' entries up to the export; what only concerns other cases stays closed."""
    log = custody_log.LogReader(session)
    places = log.chain_entries(subjects)
    indexes = sorted({one for found in places.values() for one in found if one <= export})
    for index, leaf, event in log.readable(indexes):
        entry = parse_leaf(leaf.encode())
        is_open = opens(entry, subjects, shown)
        yield BundledEntry(
            index=index,
            leaf=leaf,
            details=event.details if is_open else None,
            salt=event.salt if is_open else None,
        )


def _nodes(
    session: View,
    entries: Iterable[BundledEntry],
    footage: Iterable[BundledRecording],
    checkpoint: str,
) -> dict[Place, bytes]:
    """Return what proves the entries, and the heads of the receipts, under the checkpoint."""
    size = untrusted_checkpoint(checkpoint).size
    receipts = [canonical.decode(one.receipt)["body"] for one in footage]
    heads = [untrusted_checkpoint(Proof.parse(one["proof"]).checkpoint).size for one in receipts]
    log = custody_log.LogReader(session)
    places = nodes_beside([one.index for one in entries], heads, size)
    log.warm_places(places)
    return {(level, index): log.node(level, index) for level, index in places}
