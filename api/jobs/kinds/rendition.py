"""`rendition`: a small picture of a film, made for whoever may play it, kept sealed.

It shows footage, so it is encrypted to the same keys as the evidence; who looks at it is in the
log. Each attempt seals under an id of its own: a worker that comes late leaves an object that
nobody refers to and `sweep` removes.
"""

import hashlib
import io
from uuid import UUID

from api.jobs.kind import Facts, Kind, Queue, Step, recording_of
from api.jobs.unwrapped_original import unwrapped
from api.office.identity import Visitor
from api.office.service import Service
from api.office.wiring import Office
from ingest.media.sandbox import MediaToolError
from policies.access.access import Act
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.jobs.tables import RenditionRow
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import UnitOfWork
from storage.custody.entries.event import Outcome, PremisType
from storage.errors import FixityError, LiuhenError, ObjectMissingError
from storage.recording import RecordingId, new_recording_id
from storage.vault.objects import RENDITION, key_of, size_of
from storage.vault.ranges import PlainReader
from storage.vault.sealing import (
    DATA_KEY,
    Sealer,
    context_of,
    open_envelope,
    recipients_of,
    seal_envelope,
)

POSTER = "poster"


class NoPictureError(LiuhenError):
    """There is no picture to be had from this recording."""

    code = "no-picture"


def work(office: Office, job: Job, _step: Step) -> Facts:
    """Make the picture, seal it, and store it. Raises: NoPictureError, as unwrapping."""
    with unwrapped(office, job, "rendition") as (_row, file):
        try:
            picture = office.sandbox.poster(file, _row.size)
        except MediaToolError as error:
            raise NoPictureError(recording=recording_of(job), reason=error.reason) from error
    own, station = new_recording_id(office.clock(), office.entropy(10)), office.settings.station
    data_key = office.entropy(DATA_KEY)
    sealer = Sealer(io.BytesIO(picture), data_key=data_key, context=context_of(own, station))
    stored = office.objects.put(key_of(own, RENDITION), sealer)
    return {
        "id": str(own),
        "size": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
        "sealed_sha256": stored.digest.hex,
        "envelope": seal_envelope(data_key, own, station, office.ring.recipients).decode(),
    }


def settle(_office: Office, uow: UnitOfWork, job: Job, found: Facts) -> Facts:
    """Refer to the object that lies there, and say in the log that it was made.

    Raises: DestroyedError: the recording went while the picture was made.
    """
    recordings.present(uow.session, recording_of(job))
    row = RenditionRow(
        id=found["id"],
        recording_id=recording_of(job),
        kind=POSTER,
        at=uow.at,
        asked_by=job.asked_by,
        size=found["size"],
        sha256=found["sha256"],
        sealed_sha256=found["sealed_sha256"],
        envelope_text=found["envelope"],
    )
    uow.session.add(row)
    uow.record(
        "recording.rendition", PremisType.CREATION, row, actor=job.asked_by, subject=job.subject
    )
    return {"sha256": found["sha256"], "size": found["size"]}


def poster(service: Service, visitor: Visitor, recording: UUID) -> bytes | None:
    """Return the newest picture of a recording as a JPEG, None where none was made.

    Who asks is in the log before this returns.
    Raises: ApiError(forbidden), NotFoundError, as `_opened`.
    """
    office = service.office
    row = service.recording(visitor, recording, Act.PLAY)
    with office.catalogue.read() as session:
        recordings.present(session, row.id)
        made = jobs.newest_rendition(session, row.id, POSTER)
    if made is None:
        return None
    with office.catalogue.write() as uow:
        recordings.log_access(
            uow, row.id, actor=visitor.actor, purpose="rendition", outcome=Outcome.SUCCESS
        )
    return _opened(office, made)


def _opened(office: Office, made: RenditionRow) -> bytes:
    """Return what was sealed, verified.

    Raises: FixityError (also where it is missing), ArchiveAwayError, KeyRingError, EnvelopeError,
    VaultError.
    """
    own = RecordingId(UUID(made.id))
    key = key_of(own, RENDITION)
    try:
        size = size_of(office.objects, key)
    except ObjectMissingError as error:
        raise FixityError(part=RENDITION, rendition=made.id, problem="missing") from error
    envelope = made.envelope_text.encode()
    opened = open_envelope(envelope, office.ring.open_key(recipients_of(envelope, own)), own)
    reader = PlainReader(
        lambda offset, length: office.objects.read(key, offset, length),
        size,
        opened.data_key,
        opened.context,
    )
    picture = b"".join(reader.read(0, reader.size))
    if hashlib.sha256(picture).hexdigest() != made.sha256:
        raise FixityError(part=RENDITION, rendition=made.id)
    return picture


KIND = Kind(
    name="rendition",
    zh="生成缩略图",
    work=work,
    settle=settle,
    queue=Queue.LONG,
    recording=True,
    person=True,
)
