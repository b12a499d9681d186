"""Bytes that arrive in pieces over links that drop: the centre's side of an upload.

Bytes are gathered into parts, each part is durable in the object store before the offset row says
so, and the row alone decides where a station goes on (tus 1.0, core protocol). What is left when
a request ends in the middle of a part becomes the tail, a small file beside the catalogue, so a
link that drops every few seconds loses nothing that arrived; what comes slowly is kept so now and
then, so that a killed centre, or a drop that it does not hear of, costs little. Whether the whole
is what the station sealed is decided once, by reading it back (`assemble`).
"""

import math
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from storage.catalogue.recordings import recordings, uploads
from storage.catalogue.stations.tables import HandedInRow, UploadRow
from storage.catalogue.unit_of_work import Catalogue, View
from storage.digest import Algorithm, Digest
from storage.durable import sync_folder
from storage.errors import ConflictError, FixityError, NotFoundError, ObjectMissingError
from storage.record import payload_of
from storage.recording import RecordingId
from storage.vault.objects import LARGEST, PAYLOAD, Block, ObjectStore, Stored, key_of, size_of

PART = 8 << 20  # bytes of a part; a store with a larger smallest part is not supported
_MOST_PARTS = 10_000  # Amazon S3 User Guide, "Amazon S3 multipart upload limits"


@dataclass(frozen=True, slots=True)
class Offset:
    """How far an upload has come: durable bytes of the whole size; `done` when nothing is left."""

    offset: int
    size: int

    @property
    def is_complete(self) -> bool:
        """Whether every byte is durable."""
        return self.offset == self.size


@dataclass(slots=True)
class Uploads:
    """Uploads under way over one catalogue and one object store.

    `kind` says whose they are: a station's sealed payloads, or what persons hand in.
    """

    catalogue: Catalogue
    objects: ObjectStore
    tails: Path
    kind: type[UploadRow] | type[HandedInRow] = UploadRow

    def begin_upload(
        self, station: str, recording: RecordingId, size: int, sha256: Digest
    ) -> Offset:
        """Begin an upload, or find the one that began before; the same call again is the same.

        A recording whose payload was lost before its receipt was given is delivered again.
        Raises: ConflictError when the id is taken: by another station, with other bytes, or by an
        accessioned recording that is not this station's; DestroyedError.
        """
        if not 0 < size <= LARGEST:
            raise ConflictError(problem="size", size=size)
        with self.catalogue.read() as session:
            row, is_accessioned = self._look_up_upload(session, recording, station, sha256)
        # Nothing is left to send; the station asks for its receipt next.
        if row is None and is_accessioned:
            return Offset(size, size)
        if row is None and self._came_whole(recording, size, sha256):
            return Offset(size, size)
        if row is None:
            # Before the row, so that no row names an attempt which the store does not know; and
            # outside the transaction, for a bucket may be slow to answer.
            handle = self.objects.begin(key_of(recording, PAYLOAD))
            with self.catalogue.write() as uow:
                # Two requests may have begun at once: the first row stays, the other parts lapse.
                row = self._find_row(uow.session, recording) or uploads.add_upload(
                    uow,
                    self.kind,
                    name=str(recording),
                    owner=station,
                    size=size,
                    sha256=sha256.hex,
                    handle=handle,
                )
        # An id that is taken gives no way into another station's upload, nor to other bytes.
        if (row.owner, row.size, row.sha256) != (station, size, sha256.hex):
            raise ConflictError(problem="upload exists with other facts", recording=str(recording))
        return Offset(row.offset, row.size)

    def put_whole(
        self, station: str, recording: RecordingId, payload: Block, sha256: Digest
    ) -> Stored | None:
        """Take a payload that came in one piece of at most `PART` bytes; return it as read back.

        None when it is accessioned already: then nothing is written, and nothing read.
        Raises: as `begin`, and ConflictError when the bytes are not the digest's.
        """
        # Before anything is written: what the link garbled never reaches the store.
        if Digest.compute(payload) != sha256:
            raise ConflictError(problem="digest", recording=str(recording))
        with self.catalogue.read_uncoordinated() as session:
            row, is_accessioned = self._look_up_upload(session, recording, station, sha256)
        key = key_of(recording, PAYLOAD)
        if is_accessioned:
            return None
        if row is not None:
            if (row.owner, row.sha256) != (station, sha256.hex):
                raise ConflictError(problem="upload exists", recording=str(recording))
            self.discard_upload(recording)  # what had come in pieces before is here whole
        return self.objects.put(key, [payload])

    def get_offset(self, station: str, recording: RecordingId) -> Offset:
        """Return how far this station's upload has come. Raises: NotFoundError."""
        with self.catalogue.read() as session:
            row, is_accessioned = self._look_up_upload(session, recording, station)
            if row is None and is_accessioned:
                size = size_of(self.objects, key_of(recording, PAYLOAD))
                return Offset(size, size)
            row = uploads.of_owner(session, self.kind, recording, station)
        return Offset(row.offset, row.size)

    def open_writer(self, station: str, recording: RecordingId, offset: int) -> "Writer":
        """Open the upload for writing at this offset; an earlier writer loses its place.

        Raises: NotFoundError; ConflictError(problem=offset, offset=…) when the durable offset is
        another than the caller thinks.
        """
        with self.catalogue.read() as session:
            # `claim_upload` asks for the offset alone; whose upload it is, is asked here.
            uploads.of_owner(session, self.kind, recording, station)
        with self.catalogue.write() as uow:
            name = uow.new_id()
            row = uploads.claim_upload(uow, self.kind, str(recording), offset, name)
        return Writer(self, row, name)

    def assemble_payload(self, station: str, recording: RecordingId) -> Stored | None:
        """Join what arrived into the payload and read it back; None when there was no upload.

        Bytes that are not what the station announced begin anew from 0.
        Raises: ConflictError(problem=incomplete | digest), FixityError, VaultError.
        """
        with self.catalogue.read_uncoordinated() as session:
            row = self._find_row(session, recording)
        if row is None:
            return None
        if row.owner != station:
            raise NotFoundError(what="upload", id=str(recording))
        if row.offset != row.size:
            raise ConflictError(problem="incomplete", offset=row.offset, size=row.size)
        key = key_of(recording, PAYLOAD)
        try:
            announced = Digest(Algorithm.SHA256, bytes.fromhex(row.sha256))
            stored = self.objects.complete(key, row.handle, row.marks, row.size, announced)
        except (ObjectMissingError, FixityError) as error:
            # The attempt is gone, or a writer who had lost its place wrote once more.
            self._begin_anew(row)
            raise ConflictError(problem="incomplete", offset=0, size=row.size) from error
        # Every part is as it arrived, so nobody can say which one is wrong: all of them go.
        if (stored.digest, stored.size) != (announced, row.size):
            self._begin_anew(row)
            raise ConflictError(problem="digest", recording=str(recording))
        return stored

    def forget_upload(self, recording: RecordingId) -> None:
        """Delete an upload's row and tail, once its recording is accessioned or given up."""
        with self.catalogue.read_uncoordinated() as session:
            row = self._find_row(session, recording)
        if row is None:
            return
        # A tail without its row is passed over; a row without its tail would send the station back.
        with self.catalogue.write() as uow:
            uploads.forget_upload(uow, self.kind, recording)
        self.drop_tail(recording)

    def discard_upload(self, recording: RecordingId) -> None:
        """Give an upload up: its parts and its row. Never touches a complete object."""
        with self.catalogue.read_uncoordinated() as session:
            row = self._find_row(session, recording)
        if row is not None:
            # Bytes before the row: a kill between leaves a row whose next write finds no attempt
            # and begins anew, and no plaintext that no row tells of.
            self.drop_parts(recording, row.handle)
            self.forget_upload(recording)

    def drop_parts(self, recording: RecordingId, handle: str) -> None:
        """Delete the parts and the tail of an upload that comes to nothing."""
        self.objects.abort(key_of(recording, PAYLOAD), handle)
        self.drop_tail(recording)

    def drop_tail(self, recording: RecordingId) -> None:
        """Delete the tail of an upload whose bytes are in the payload, or wanted no more."""
        self._tail_path(str(recording)).unlink(missing_ok=True)

    def sweep_idle(self, before: datetime) -> int:
        """Discard the uploads idle since then; return their number.

        A station that comes back later begins them anew from its spool.
        """
        with self.catalogue.read() as session:
            idle_ids = [row.id for row in uploads.untouched_since(session, self.kind, before)]
        for recording in idle_ids:
            self.discard_upload(RecordingId(UUID(recording)))
        return len(idle_ids)

    def _came_whole(self, recording: RecordingId, size: int, sha256: Digest) -> bool:
        """Tell whether `put_whole` stored this payload before; its answer may have been lost."""
        key = key_of(recording, PAYLOAD)
        try:
            return (
                # Larger ones never came whole, and would be read here for nothing.
                size <= PART
                and size_of(self.objects, key) == size
                and self.objects.digest(key) == sha256
            )
        except ObjectMissingError:
            return False

    def _begin_anew(self, row: uploads.Row) -> None:
        """Drop all that arrived: it did not become the payload."""
        key = f"{row.id}/{PAYLOAD}"
        self.objects.abort(key, row.handle)
        self.objects.delete(key, self.catalogue.now())
        handle = self.objects.begin(key)
        # Last: until the row names the new attempt, whoever writes finds the old one gone and comes
        # here once more.
        with self.catalogue.write() as uow:
            uploads.restart_upload(uow, self.kind, row.id, handle)

    def _find_row(self, session: View, recording: RecordingId) -> uploads.Row | None:
        return uploads.find_upload(session, self.kind, recording)

    def _look_up_upload(
        self,
        session: View,
        recording: RecordingId,
        station: str,
        sha256: Digest | None = None,
    ) -> tuple[uploads.Row | None, bool]:
        """Return the upload, and whether this station's recording is accessioned already.

        `sha256` is what is offered now: of a recording that is to be delivered again, these bytes
        alone are taken. Raises: ConflictError when another's is; DestroyedError.
        """
        row, accessioned = uploads.find_upload_and_recording(session, self.kind, recording)
        if accessioned is None:
            return row, False
        # An id tells nothing of another station's recording, not even how far it came.
        if accessioned.station != station:
            raise ConflictError(problem="another station's recording", recording=str(recording))
        if accessioned.destroyed:
            recordings.get_present_recording(session, recording)
        if accessioned.receipted or not self._is_payload_lost(recording):
            return row, True
        if sha256 is not None:
            _as_sealed(session, recording, sha256)
        return row, False

    def _is_payload_lost(self, recording: RecordingId) -> bool:
        try:
            size_of(self.objects, key_of(recording, PAYLOAD))
        except ObjectMissingError:
            return True
        return False

    def _tail_path(self, recording: str) -> Path:
        return self.tails / f"{recording}.tail"


@dataclass(slots=True)
class Writer:
    """One request's bytes on their way into the store. Its calls come one after the other.

    Up to `parallel_parts` parts are on their way to the store at once; the row follows in order.
    """

    owner: Uploads
    row: uploads.Row
    name: str
    _buffer: bytearray = field(default_factory=bytearray)
    _received_bytes: int = 0  # bytes taken from the station, durable or not
    _parts: int = 0  # bytes in parts that the row tells of
    _least: int = 0  # bytes of a part that is not the last
    _tail_bytes: int = 0  # bytes of `_held` that are in the tail, too
    _marks: list[str] = field(default_factory=list)
    _sent: deque[tuple[int, Future[str]]] = field(default_factory=deque)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        """Read the tail that an earlier request left."""
        self._pool = ThreadPoolExecutor(self.owner.objects.parallel_parts)
        self._received_bytes, self._marks = self.row.offset, list(self.row.marks)
        # The last part may be short, so the others must do with one part less.
        few_enough = math.ceil(self.row.size / (_MOST_PARTS - 1))
        self._least = max(self.owner.objects.smallest_part, few_enough)
        self._parts = self.row.offset - self.row.tail
        self._tail_bytes = self.row.tail
        if self.row.tail:
            if self._tail_path.exists():
                # What stands beyond was written by a request that died before the row could count
                # it.
                self._buffer += self._tail_path.read_bytes()[: self.row.tail]
            if len(self._buffer) != self.row.tail:  # it was on another machine's disk
                # What is in parts is safe; the station sends the tail's bytes again.
                self._advance_row(offset=self._parts, tail=0)
                raise ConflictError(problem="offset", offset=self._parts, found=self.row.offset)

    def add_bytes(self, block: bytearray) -> None:
        """Take bytes, which are the writer's from now on; a whole part goes to the store.

        Raises: ConflictError (more bytes than announced; another writer took over), VaultError.
        """
        # Before the bytes are held: no client fills memory or store beyond what it announced.
        if self._received_bytes + len(block) > self.row.size:
            raise ConflictError(problem="more bytes than announced", size=self.row.size)
        self._received_bytes += len(block)
        if self._buffer:
            self._buffer += block
        else:
            # The block itself, which saves a copy of each part.
            self._buffer = block
        if len(self._buffer) >= max(PART, self._least):
            self._send_part()

    def flush(self) -> None:
        """Make durable all that was taken so far; more may follow. Raises: as `add`."""
        # Parts first: a new tail is written over the old one, whose bytes the row counts until the
        # part that took them in is settled.
        while self._sent:
            self._settle_part()
        if len(self._buffer) > self._tail_bytes:
            self._keep_tail()

    def close(self) -> int:
        """Make durable all that was taken, as parts and a tail; return the durable offset."""
        try:
            # A rest that is too short for the store's smallest part waits in the tail.
            enough = len(self._buffer) >= self._least
            if self._buffer and (enough or self._received_bytes == self.row.size):
                self._send_part()
            self.flush()
        finally:
            # Waits for what is on its way, also after an error: nothing is written after the
            # request.
            self._pool.shutdown()
        return self._received_bytes

    def _send_part(self) -> None:
        """Send what is held as the next part; first wait while too many are on their way."""
        if len(self._sent) < self.owner.objects.parallel_parts:
            self._check_place()
        while len(self._sent) >= self.owner.objects.parallel_parts:
            self._settle_part()  # which looks at the place too
        part, self._buffer, self._tail_bytes = self._buffer, bytearray(), 0
        number = len(self._marks) + len(self._sent) + 1
        offset = self._received_bytes - len(part)
        add, key = self.owner.objects.add_part, key_of(self._recording_id, PAYLOAD)
        future = self._pool.submit(add, key, self.row.handle, number, offset, part)
        self._sent.append((len(part), future))

    def _settle_part(self) -> None:
        """Wait for the oldest part that is on its way, and write it down."""
        size, future = self._sent.popleft()
        try:
            marks = [*self._marks, future.result()]
        except ObjectMissingError as error:
            # A writer that lost its place is told so; only the upload's own writer begins it anew.
            self._check_place()
            self.owner._begin_anew(self.row)  # noqa: SLF001 - same module
            raise ConflictError(problem="offset", offset=0, found=self.row.offset) from error
        # The part is durable by now; the row that counts it comes after, and only as its writer.
        self._advance_row(marks=marks, offset=self._parts + size, tail=0)
        self._marks, self._parts = marks, self._parts + size

    def _keep_tail(self) -> None:
        self._check_place()
        tail = self._tail_path
        tail.parent.mkdir(parents=True, exist_ok=True)
        # Not cut short: what is durable of this tail already stays as it is.
        handle = os.open(tail, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write_all(handle, self._buffer, self._tail_bytes)
            # Bytes and name are on the disk before the row counts them.
            os.fdatasync(handle)
        finally:
            os.close(handle)
        sync_folder(tail.parent)
        self._advance_row(offset=self._parts + len(self._buffer), tail=len(self._buffer))
        self._tail_bytes = len(self._buffer)

    def _check_place(self) -> None:
        """Look before writing: parts and tail are another writer's once it took the place.

        Raises: ConflictError.
        """
        with self.owner.catalogue.read_uncoordinated() as session:
            writer = uploads.writer_of(session, type(self.row), self.row.id)
        if writer != self.name:
            raise ConflictError(problem="another writer took over", recording=self.row.id)

    def _advance_row(self, **columns: object) -> None:
        with self.owner.catalogue.write() as uow:
            uploads.advance_upload(uow, self.row, self.name, **columns)

    @property
    def _recording_id(self) -> RecordingId:
        return RecordingId(UUID(self.row.id))

    @property
    def _tail_path(self) -> Path:
        return self.owner._tail_path(self.row.id)  # noqa: SLF001 - same module


def _as_sealed(session: View, recording: RecordingId, sha256: Digest) -> None:
    """Make sure that a payload which comes again is the one that the catalogue knows.

    Raises: ConflictError.
    """
    _size, sealed = payload_of(recordings.by_id(session, recording).record_text.encode())
    if sha256 != sealed:
        raise ConflictError(problem="other bytes than were sealed", recording=str(recording))


def _write_all(handle: int, block: Block, position: int) -> None:
    """Write data into the file of the same positions, from `done` on."""
    view = memoryview(block)
    while position < len(view):
        position += os.pwrite(handle, view[position:], position)
