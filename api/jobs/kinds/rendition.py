"""`rendition`: a small picture of a film, made for whoever may play it, kept sealed.

It shows footage, so it is encrypted to the same keys as the evidence; who looks at it is in the
log. Each attempt seals under an id of its own: a worker that comes late leaves an object that
nobody refers to and `sweep` removes.
"""

import hashlib
import io
from uuid import UUID

from api.jobs.kind import Facts, Kind, Queue, Step, recording_of
from api.jobs.unwrapped_original import unwrap_original
from api.office.identity import Visitor
from api.office.service import Service
from api.office.wiring import Office
from ingest.media.sandbox import MediaToolError
from policies.access.access import Act
from storage.catalogue.jobs import recording_upkeep
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


def run_job(office: Office, job: Job, _step: Step) -> Facts:
    """Make the picture, seal it, and store it. Raises: NoPictureError, as unwrapping."""
    with unwrap_original(office, job, "rendition") as (_row, file):
        try:
            picture = office.sandbox.render_poster(file, _row.size)
        except MediaToolError as error:
            raise NoPictureError(recording=recording_of(job), reason=error.reason) from error
    # A fresh id per attempt: a late worker cannot overwrite the object a row refers to.
    own, station = new_recording_id(office.clock(), office.entropy(10)), office.settings.station
    data_key = office.entropy(DATA_KEY)
    sealer = Sealer(io.BytesIO(picture), data_key=data_key, context=context_of(own, station))
    # Before its row: a kill here leaves an object that no row refers to, and `sweep` removes it
    # after a day. The other way round a row would name nothing.
    stored = office.objects.put(key_of(own, RENDITION), sealer)
    return {
        "id": str(own),
        "size": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
        "sealed_sha256": stored.digest.hex,
        "envelope": seal_envelope(data_key, own, station, office.ring.recipients).decode(),
    }


def settle_job(_office: Office, uow: UnitOfWork, job: Job, facts: Facts) -> Facts:
    """Insert the rendition's row and log its making.

    Raises: DestroyedError: the recording went while the picture was made.
    """
    # Inside the settling transaction: no picture may outlive a destroyed recording.
    recordings.get_present_recording(uow.session, recording_of(job))
    row = RenditionRow(
        id=facts["id"],
        recording_id=recording_of(job),
        kind=POSTER,
        at=uow.at,
        asked_by=job.asked_by,
        size=facts["size"],
        sha256=facts["sha256"],
        sealed_sha256=facts["sealed_sha256"],
        envelope_text=facts["envelope"],
    )
    uow.session.add(row)
    uow.record(
        "recording.rendition", PremisType.CREATION, row, actor=job.asked_by, subject=job.subject
    )
    return {"sha256": facts["sha256"], "size": facts["size"]}


def read_poster(service: Service, visitor: Visitor, recording: UUID) -> bytes | None:
    """Return the newest picture of a recording as a JPEG, None where none was made.

    Who asks is in the log before this returns.
    Raises: ApiError(forbidden), NotFoundError, as `_opened`.
    """
    office = service.office
    row = service.authorise_recording(visitor, recording, Act.PLAY)
    # A picture of a destroyed recording is footage of it: refused, even where its object is left.
    with office.catalogue.read() as session:
        recordings.get_present_recording(session, row.id)
        rendition = recording_upkeep.newest_rendition(session, row.id, POSTER)
    if rendition is None:
        return None
    # Where there is no picture nothing is read, so that only now there is something to log.
    with office.catalogue.write() as uow:
        recordings.log_access(
            uow, row.id, actor=visitor.actor, purpose="rendition", outcome=Outcome.SUCCESS
        )
    return _open_rendition(office, rendition)


def _open_rendition(office: Office, rendition: RenditionRow) -> bytes:
    """Decrypt a sealed rendition and verify its digest.

    Raises: FixityError (also where it is missing), ArchiveAwayError, KeyRingError, EnvelopeError,
    VaultError.
    """
    own = RecordingId(UUID(rendition.id))
    key = key_of(own, RENDITION)
    try:
        size = size_of(office.objects, key)
    except ObjectMissingError as error:
        raise FixityError(part=RENDITION, rendition=rendition.id, problem="missing") from error
    envelope = rendition.envelope_text.encode()
    opened = open_envelope(envelope, office.ring.open_key(recipients_of(envelope, own)), own)
    reader = PlainReader(
        lambda offset, length: office.objects.read(key, offset, length),
        size,
        opened.data_key,
        opened.context,
    )
    picture = b"".join(reader.read(0, reader.size))
    # The row's digest is logged: a rendition swapped in the store is refused.
    if hashlib.sha256(picture).hexdigest() != rendition.sha256:
        raise FixityError(part=RENDITION, rendition=rendition.id)
    return picture


KIND = Kind(
    name="rendition",
    zh="生成缩略图",
    work=run_job,
    settle=settle_job,
    queue=Queue.LONG,
    recording=True,
    person=True,
)
