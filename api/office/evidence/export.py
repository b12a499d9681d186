"""Export a case as a bundle: authorise, log, gather from the catalogue, let storage write it.

The export and every original that leaves with it are in the log before the first byte; the
bundle's checkpoint covers those entries too.
"""

import errno
import os
import shutil
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from api.office.evidence.export_slots import PART, ExportSlot, holding_slot
from api.office.identity import Visitor
from api.office.service import Service
from api.office.system import software_version
from api.office.wiring import Office
from api.problems import ApiError
from policies.access.access import Act
from policies.facts.states import ExhibitState
from policies.identifiers import CaseId, Subject
from policies.rules.rules import Rulebook
from storage.bundle.bag import MANIFEST, BagTally
from storage.bundle.contents import BundledAction, BundledEntry, BundledRecording, Contents
from storage.bundle.packing import stream_zip, write_folder, write_zip
from storage.bundle.write import stream_members
from storage.catalogue.cases import cases
from storage.catalogue.cases.judgements import judgement_of
from storage.catalogue.log import custody_log
from storage.catalogue.people import people
from storage.catalogue.proofs import case_chains, proven_rows
from storage.catalogue.proofs.publish import publish_head
from storage.catalogue.proofs.rulebooks import judged_by, rulebook_files
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import ActionRow, CaseRow, RecordingRow
from storage.catalogue.unit_of_work import Attempt, UnitOfWork, View
from storage.custody.checkpoint import untrusted_checkpoint
from storage.custody.entries.event import PremisType, parse_leaf
from storage.custody.entries.subjects import ALWAYS_CARRIED, should_open_entry
from storage.custody.merkle.partial_tree import Place, nodes_beside
from storage.custody.merkle.proof import Proof
from storage.custody.origin import SUBJECT as ORIGIN_SUBJECT
from storage.durable import sync_folder
from storage.errors import ConflictError
from storage.recording import RecordingId
from storage.signed import canonical
from storage.signed.signing import SigningKey, VerifyKey, signer_of
from storage.vault.keys import SealKey
from storage.vault.objects import PAYLOAD, ObjectStore, key_of

_BLOCK = 4 << 20
_BESIDE_ORIGINALS = 64 << 20  # bytes: records, custody part and pages of a bundle, amply

Progress = Callable[[str, int], None]  # a recording's id, and the bytes of it that are written


def export_bundle(
    service: Service,
    visitor: Visitor,
    case_id: CaseId,
    target: Path,
    *,
    sealed: bool = False,
    zipped: bool = False,
    progress: Progress = lambda _name, _size: None,
) -> str:
    """Write the case's bundle to a new folder or zip; return its manifest's SHA-256 as hex.

    `sealed` gives ciphertext instead of originals. Until it is whole it lies beside the target,
    under its name with `.part`. Raises: ApiError(forbidden, exports-busy, export-space),
    NotFoundError, ConflictError (a recording without a receipt yet, links that changed meanwhile),
    FixityError, FileExistsError, OSError.
    """
    settings = service.office.settings
    request = _authorise_export(service, visitor, case_id, sealed=sealed)
    part = target.with_name(f"{target.name}{PART}")
    _require_absent(target)
    _require_absent(part)
    with holding_slot(settings.home, settings.exports_at_once, part):
        # Before anything is decrypted or logged: a full disk would break off amid the originals.
        _require_space(target, sum(row.size for row in request.rows))
        contents = _gather_contents(service, request)
        bag = BagTally()
        members = stream_members(bag, contents, _centre_key(service), progress)
        if zipped:
            write_zip(part, name_bundle(case_id), members, contents.made_at)
        else:
            write_folder(part, members)
        _require_absent(target)  # a rename would put a zip in another file's place
        part.rename(target)
        sync_folder(target.parent)
    return bag.digest_of(MANIFEST)


def stream_bundle(
    service: Service, visitor: Visitor, case_id: CaseId, *, sealed: bool = False
) -> tuple[Generator[bytes], ExportSlot]:
    """Return the case's bundle as a zip that is made while it is read, and the slot it holds.

    Nothing is written to any disk. Whoever sends the blocks gives the slot back afterwards.
    Raises: as `export_bundle` before the first block; FixityError, OSError amid the blocks, which
    then end without the zip's directory.
    """
    settings = service.office.settings
    request = _authorise_export(service, visitor, case_id, sealed=sealed)
    slot = ExportSlot.acquire(settings.home, settings.exports_at_once)
    try:
        contents = _gather_contents(service, request)
    except BaseException:
        slot.release()
        raise
    members = stream_members(BagTally(), contents, _centre_key(service))
    return stream_zip(name_bundle(case_id), members, contents.made_at), slot


def name_bundle(case_id: CaseId) -> str:
    """Return the name of a case's bundle: of its folder in a zip, and of the zip."""
    return f"bundle-{case_id}"


def _centre_key(service: Service) -> SigningKey:
    return service.office.ring.get_signing_key("centre")


@dataclass(frozen=True, slots=True)
class _Request:
    """An export that was authorised; `rows` are the recordings that the case's bundle holds."""

    visitor: Visitor
    case_id: CaseId
    rows: Sequence[RecordingRow]
    sealed: bool


def _authorise_export(
    service: Service, visitor: Visitor, case_id: CaseId, *, sealed: bool
) -> _Request:
    """Authorise the export, or refuse it and log the refusal."""
    with service.office.catalogue.read() as session:
        case = cases.get_case(session, case_id)
        rows = _list_linked_recordings(session, case.id)
    service.authorise(visitor, Act.EXPORT, case.township, Subject.of_case(case.id))
    if waiting := [row.id for row in rows if row.receipt_text is None]:
        raise ConflictError(problem="no receipt yet", recordings=waiting)
    return _Request(visitor, case_id, rows, sealed)


def _require_absent(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))


def _require_space(target: Path, size: int) -> None:
    folder = next(parent for parent in target.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    needed = size + _BESIDE_ORIGINALS
    if free < needed:
        raise ApiError("export-space", needed_mb=-(-needed // 10**6), free_mb=free // 10**6)


def _gather_contents(service: Service, request: _Request) -> Contents:
    """Log the export and every original that leaves with it, and return what goes into it."""
    office, visitor, rows = service.office, request.visitor, request.rows
    originals: dict[str, Callable[[], Iterable[bytes]]] = {}
    if not request.sealed:
        # Every decryption is authorised and logged now, before any byte of the bundle exists.
        originals = {row.id: _open_original(service, visitor, row) for row in rows}
    service.publish_checkpoint()
    with office.catalogue.write() as uow:  # what is told is as it stands at the export's entry
        case = _log_export(uow, office, request, originals)
    # Signed after the export's entry, so that the bundle proves its own export.
    checkpoint = publish_head(office.catalogue, office.signer, office.settings.home / "log")
    with office.catalogue.read() as session:
        footage_subjects = {Subject.of_recording(recording.id) for recording in case.recordings}
        entries = list(_list_entries(session, case.subjects, footage_subjects, case.entry))
        digests = {(entry.details or {}).get("rulebook") for entry in entries} - {None}
        return Contents(
            case=case.facts,
            actions=case.actions,
            recordings=case.recordings,
            entries=entries,
            nodes=_collect_nodes(session, entries, case.recordings, checkpoint),
            export=case.entry,
            checkpoint=checkpoint,
            stations=_list_signers(office, rows),
            centre=office.ring.get_verify_key("centre"),
            log=office.ring.get_verify_key("log"),
            recipients=office.ring.recipients,
            rulebooks={
                digest: rulebook_files(session, digest) for digest in sorted(map(str, digests))
            },
            made_at=office.clock(),
            made_by=visitor.name,
            software=software_version(),
        )


@dataclass(frozen=True, slots=True)
class _CaseAtExport:
    """The case as it stood at its export's entry, and the chains that the entry names."""

    entry: int
    subjects: Collection[str]
    facts: Mapping[str, Any]
    actions: Sequence[BundledAction]
    recordings: Sequence[BundledRecording]


def _log_export(
    uow: UnitOfWork,
    office: Office,
    request: _Request,
    originals: Mapping[str, Callable[[], Iterable[bytes]]],
) -> _CaseAtExport:
    """Log the export; the case is read in the same transaction."""
    session, case_id = uow.session, request.case_id
    ids = [row.id for row in request.rows]
    kind, subject = PremisType.INFORMATION_PACKAGE_CREATION, Subject.of_case(case_id)
    attempt = Attempt("bundle.export", kind, request.visitor.actor, subject)
    proven_rows.require_case(uow, case_id, attempt)
    linked = _list_linked_recordings(session, case_id)
    # A link confirmed in between would be in the bundle without a logged access, or missing.
    if (now := {row.id for row in linked}) != set(ids):
        raise ConflictError(problem="links changed meanwhile", recordings=sorted(now))
    # The heads of these chains go into the entry: a verifier sees which entries are absent.
    subjects = case_chains.belonging_to(session, case_id) | {ORIGIN_SUBJECT, *ALWAYS_CARRIED}
    subjects |= {Subject.of_key(key.kid) for key in _office_keys(office)}
    return _CaseAtExport(
        subjects=subjects,
        facts=_describe_case(cases.get_case(session, case_id)),
        actions=[
            _bundle_action(session, office.rulebook, row, uow.at)
            for row in cases.list_actions(session, case_id)
        ],
        recordings=[
            _bundle_recording(session, office.objects, row, originals.get(row.id)) for row in linked
        ],
        entry=_record_heads(
            uow,
            attempt,
            subjects,
            recordings=ids,
            sealed=request.sealed,
            **judged_by(office.rulebook),
        ),
    )


def _record_heads(
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
    return [ring.get_verify_key("centre"), ring.get_verify_key("log"), *ring.recipients]


def _list_signers(office: Office, rows: Iterable[RecordingRow]) -> list[VerifyKey]:
    """Return the stations' keys that signed these recordings, and no other."""
    signers = {signer_of(row.record_text.encode()) for row in rows}
    return [key for key in office.station_keys if key.kid in signers]


def _list_linked_recordings(session: View, case_id: CaseId) -> list[RecordingRow]:
    rows_by_id: dict[str, RecordingRow] = {}
    for action in cases.list_actions(session, case_id):
        for exhibit in cases.list_exhibits(session, action.id):
            if exhibit.state == ExhibitState.CONFIRMED:
                rows_by_id[exhibit.recording_id] = recordings.by_id(session, exhibit.recording_id)
    return sorted(rows_by_id.values(), key=lambda row: (row.start_at is None, row.start_at, row.id))


def _open_original(
    service: Service, visitor: Visitor, row: RecordingRow
) -> Callable[[], Iterable[bytes]]:
    reader = service.open_plaintext(visitor, row, "bundle")
    return lambda: reader.read(0, reader.size)


def _describe_case(row: CaseRow) -> dict[str, Any]:
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


def _bundle_action(
    session: View, rulebook: Rulebook, row: ActionRow, made_at: datetime
) -> BundledAction:
    judgement = judgement_of(session, row, rulebook, made_at)
    return BundledAction(
        id=row.id,
        facts=judgement.facts,
        verdict=judgement.verdict,
        later=judgement.later,
        about={
            "status": row.status,
            "place": row.place,
            "judged_at": judgement.at.isoformat(),
            "officers": [person.name for person in cases.list_officers(session, row.id)],
            "exhibits": [
                {
                    "recording": exhibit.recording_id,
                    "shown_from": exhibit.shown_from.isoformat(),
                    "shown_to": exhibit.shown_to.isoformat(),
                    "how": exhibit.how,
                }
                for exhibit in cases.list_exhibits(session, row.id)
                if exhibit.state == ExhibitState.CONFIRMED
            ],
        },
    )


def _bundle_recording(
    session: View,
    objects: ObjectStore,
    row: RecordingRow,
    original: Callable[[], Iterable[bytes]] | None,
) -> BundledRecording:
    officer = people.get_person(session, row.officer_id).name if row.officer_id else row.officer_no
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
        payload=lambda: _read_payload(objects, row.id),
    )


def _read_payload(objects: ObjectStore, recording: str) -> Iterator[bytes]:
    key = key_of(RecordingId(UUID(recording)), PAYLOAD)
    offset = 0
    while block := objects.read(key, offset, _BLOCK):
        yield block
        offset += len(block)


def _list_entries(
    session: View, subjects: Collection[str], footage_subjects: Collection[str], export: int
) -> Iterator[BundledEntry]:
    """Yield the chains' entries up to the export; what only concerns other cases stays closed."""
    log = custody_log.LogReader(session)
    places = log.chain_entries(subjects)
    indexes = sorted({number for chain in places.values() for number in chain if number <= export})
    for index, leaf, event in log.read_readable_halves(indexes):
        entry = parse_leaf(leaf.encode())
        # Other cases' details stay closed: their salted digest alone goes into the bundle.
        is_open = should_open_entry(entry, subjects, footage_subjects)
        yield BundledEntry(
            index=index,
            leaf=leaf,
            details=event.details if is_open else None,
            salt=event.salt if is_open else None,
        )


def _collect_nodes(
    session: View,
    entries: Iterable[BundledEntry],
    footage: Iterable[BundledRecording],
    checkpoint: str,
) -> dict[Place, bytes]:
    """Return what proves the entries, and the heads of the receipts, under the checkpoint."""
    size = untrusted_checkpoint(checkpoint).size
    receipts = [canonical.decode(recording.receipt)["body"] for recording in footage]
    heads = [
        untrusted_checkpoint(Proof.parse(receipt["proof"]).checkpoint).size for receipt in receipts
    ]
    log = custody_log.LogReader(session)
    places = nodes_beside([entry.index for entry in entries], heads, size)
    log.warm_places(places)
    return {(level, index): log.get_node(level, index) for level, index in places}
