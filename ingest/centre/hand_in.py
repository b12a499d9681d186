"""Hand-in: upload of a file by a logged-in person, and its way into a bay.

Bytes arrive as any upload does (`uploads.py`), in plaintext, in the intake folder. Order: whole
and read back, its digest the announced one -> row and log entry say that this person handed it in
-> renamed into the bay, from where the station takes it like any other file: sealed, accessioned,
cleared against its receipt. Each step finds out by itself whether it was done before; the name in
the bay carries the row's id, so that the station can say who it was from.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from ingest.bays.bay_names import HANDED_IN
from ingest.bays.settle import is_temporary_name
from ingest.centre.uploads import Offset, Uploads
from ingest.sources.profile import ALONE
from ingest.sources.profile import read_source_facts as read_profile
from policies.identifiers import PersonId, Subject
from storage.catalogue.recordings import hand_ins, uploads
from storage.catalogue.stations.tables import HandedInRow
from storage.catalogue.unit_of_work import Catalogue, View
from storage.custody.entries.acting import PersonActing
from storage.digest import Digest
from storage.durable import sync_folder
from storage.errors import ConflictError, LiuhenError, StorageFullError
from storage.recording import RecordingId, new_recording_id
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import PAYLOAD, key_of

BAY = HANDED_IN
_NAME = 255  # bytes
_MARK = "_"  # no serial begins so: the folder is never taken for a device's


class HandInError(LiuhenError):
    """A file cannot be handed in: `reason` says why, and is part of the public code."""

    def __init__(self, reason: str, **facts: object) -> None:
        """Make the code `hand-in-<reason>`: name, size, many, digest."""
        super().__init__(**facts)
        self.code = f"hand-in-{reason}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Bytes of one file, files in hand of one person, bytes that stay free, days to finish in."""

    size: int
    files: int
    reserve: int
    idle: timedelta


@dataclass(slots=True)
class Reception:
    """Hand-in of files, over one catalogue and one home; several processes may share both."""

    catalogue: Catalogue
    home: Path
    entropy: Callable[[int], bytes]
    uploads: Uploads
    allowance: Allowance
    on_step: Callable[[str], None]

    @classmethod
    def open_home(
        cls,
        catalogue: Catalogue,
        home: Path,
        entropy: Callable[[int], bytes],
        allowance: Allowance,
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> "Reception":
        """Open the reception in its own folder, made where it is not there yet."""
        for folder in (home, home / "intake", home / "bay"):
            # Plaintext lies here until it is sealed: no other user of the machine may read it.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Neither locked nor immutable: what is whole is renamed away.
        intake = FolderObjects(home / "intake", entropy, immutable=False)
        arriving = Uploads(catalogue, intake, home / "tails", HandedInRow)
        return cls(catalogue, home, entropy, arriving, allowance, on_step)

    @property
    def bay_folder(self) -> Path:
        """The folder that the station sweeps."""
        return self.home / "bay"

    def begin_hand_in(
        self,
        by: PersonActing,
        name: bytes,
        size: int,
        sha256: Digest,
        modified_ms: int | None,
    ) -> HandedInRow:
        """Begin to hand a file in, or find the one with these bytes that this person began before.

        Raises: HandInError (name, size, many), StorageFullError.
        """
        self._check_name(name)
        if not 0 < size <= self.allowance.size:
            raise HandInError("size", size=size, limit_gb=round(self.allowance.size / (1 << 30), 2))
        intake, person = self.uploads.objects, PersonId(by.removeprefix("person:"))
        # Counted and entered in one turn of the writers: of two requests at once only one can be
        # the last allowed.
        with self.catalogue.write() as uow:
            row = hand_ins.find_same_bytes(uow.session, person, sha256.hex, size)
            if row is None:
                if self._in_hand(uow.session, person) >= self.allowance.files:
                    raise HandInError("many", limit=self.allowance.files)
                if shutil.disk_usage(self.home).free < size + self.allowance.reserve:
                    raise StorageFullError(where="intake")
                fresh = new_recording_id(uow.at, self.entropy(10))
                row = uploads.add_upload(
                    uow,
                    HandedInRow,
                    name=str(fresh),
                    owner=person,
                    size=size,
                    sha256=sha256.hex,
                    # Within the transaction, since it is a local folder; a kill before the commit
                    # leaves an empty attempt, which the sweep removes.
                    handle=intake.begin(key_of(fresh, PAYLOAD)),
                    file_name=name.decode(),
                    modified_ms=modified_ms,
                    received_at=None,
                    session=by.session,
                    address=by.address,
                )
        # An upload that was found again may be complete: its last answer was lost, or the centre
        # died before the move.
        return self._received_if_whole(row)

    def get_hand_in(self, person: PersonId, name: UUID) -> HandedInRow:
        """Return this person's row. Raises: NotFoundError, also for another's."""
        with self.catalogue.read() as session:
            return uploads.of_owner(session, HandedInRow, name, person)

    def list_hand_ins(
        self, person: PersonId, after: Sequence[Any], limit: int
    ) -> list[HandedInRow]:
        """Return what this person handed in, newest first, from a place of that list on."""
        with self.catalogue.read() as session:
            return hand_ins.of_person(session, person, after=after, limit=limit)

    def receive_file(self, person: PersonId, name: UUID) -> HandedInRow:
        """Move a complete upload into the bay; an incomplete one stays as it is.

        Raises: HandInError(digest): it begins anew from 0. NotFoundError.
        """
        return self._received_if_whole(self.get_hand_in(person, name))

    def give_up(self, person: PersonId, name: UUID) -> None:
        """Drop what is not received yet. Raises: NotFoundError, ConflictError (it is received)."""
        self.get_hand_in(person, name)
        with self._lock_file(str(name)):
            # Asked again: until the lock was ours, the station's sweep may have received it.
            if self.get_hand_in(person, name).received_at is not None:
                raise ConflictError(problem="received", id=str(name))
            self._drop_upload(RecordingId(name))

    def has_waiting_files(self) -> bool:
        """Tell whether there is anything for a station to do."""
        # A file may lie in the bay, stand joined in the intake (killed before the rename), or be a
        # complete row.
        if any(self.bay_folder.glob("*/*")) or any(self._list_whole_ids()):
            return True
        with self.catalogue.read() as session:
            return bool(hand_ins.list_complete(session))

    def collect_leftovers(self) -> None:
        """Move into the bay the files that a crash left in the intake; locked files stay."""
        with self.catalogue.read() as session:
            complete_ids = {row.id for row in hand_ins.list_complete(session)}
        for name in sorted(complete_ids.union(self._list_whole_ids())):
            # One file that fails keeps no other from the bay; the next sweep tries it again.
            with suppress(BlockingIOError, LiuhenError), self._lock_file(name, wait=False):
                self._take_in(name)

    def find_submitter(self, parts: Sequence[bytes]) -> str | None:
        """Find the person who handed in the file at this path, as the log names persons."""
        name = submission_at([os.fsdecode(part) for part in parts])
        if name is None:
            return None
        with self.catalogue.read() as session:
            row = uploads.find_upload(session, HandedInRow, name)
        return Subject.of_person(row.person_id) if row is not None else None

    def path_of(self, row: HandedInRow) -> bytes:
        """Return where in the bay the station finds this file."""
        return f"{_MARK}{row.id}/{row.file_name}".encode()

    def sweep_idle(self, now: datetime) -> int:
        """Drop idle uploads and forget received ones; return the number dropped."""
        before = now - self.allowance.idle
        with self.catalogue.read() as session:
            idle = uploads.untouched_since(session, HandedInRow, before)
            received_rows = hand_ins.received_before(session, before)
        count = 0
        for row in idle:
            with suppress(BlockingIOError), self._lock_file(row.id, wait=False):
                count += self._drop_idle(row.id, before)
        for row in received_rows:
            # Under its lock: between these looks it could move from the intake into the bay.
            with suppress(BlockingIOError), self._lock_file(row.id, wait=False):
                self._forget_received(row.id)
        # Attempts whose row was never committed.
        self.uploads.objects.sweep(before)
        return count

    def _check_name(self, untrusted_name: bytes) -> None:
        """Raise: HandInError(name) for what is no file's name, or what the station leaves alone."""
        try:
            text = untrusted_name.decode()
        except UnicodeDecodeError as error:
            raise HandInError("name") from error
        # A separator or a dot name would lead out of the folder, U+0000 would end the name early.
        strange = text in {"", ".", ".."} or any(char in text for char in "/\\\0")
        if strange or len(untrusted_name) > _NAME or is_temporary_name(text):
            raise HandInError("name")
        # The station passes over such files: it would lie in the bay for ever, in plaintext.
        if read_profile((untrusted_name,), ALONE, self.catalogue.now()).ignorable is not None:
            raise HandInError("name")

    def _in_hand(self, session: View, person: PersonId) -> int:
        rows = hand_ins.of_person(session, person, limit=10_000)
        return sum(
            # What was received counts until the station took it: it still fills the disk.
            row.received_at is None or (self.bay_folder / os.fsdecode(self.path_of(row))).exists()
            for row in rows
        )

    def _received_if_whole(self, row: HandedInRow) -> HandedInRow:
        if row.received_at is not None or row.offset < row.size:
            return row
        with self._lock_file(row.id):
            return self._take_in(row.id) or row

    def _take_in(self, name: str) -> HandedInRow | None:
        """Verify, write down, rename: whatever of it was not done yet. The caller holds it alone.

        Raises: HandInError(digest), VaultError, OSError.
        """
        with self.catalogue.read() as session:
            row = uploads.find_upload(session, HandedInRow, name)
        if row is None:
            return None
        if row.received_at is None:
            if not Offset(row.offset, row.size).is_complete:
                return row
            try:
                self.uploads.assemble_payload(row.person_id, RecordingId(UUID(name)))
            except ConflictError as error:
                if error.facts.get("problem") != "digest":
                    raise
                raise HandInError("digest", offset=0) from error
            self.on_step("whole")
            # Entry before rename: once the file is in the bay, the station may seal it at any
            # moment.
            with self.catalogue.write() as uow:
                row = hand_ins.receive_hand_in(uow, name)
            self.on_step("received")
        # A link that dropped may have left bytes in a tail; the payload has them now.
        self.uploads.drop_tail(RecordingId(UUID(name)))
        self._move_into_bay(row)
        return row

    def _move_into_bay(self, row: HandedInRow) -> None:
        source = self._intake_folder(row.id) / PAYLOAD
        if not source.exists():
            return  # it went before
        target = self.bay_folder / os.fsdecode(self.path_of(row))
        target.parent.mkdir(mode=0o700, exist_ok=True)
        # The folder's own name must be durable before a file moves into it.
        sync_folder(self.bay_folder)
        if row.modified_ms is not None:
            # The time is the client's word: one that the file system cannot hold is left out.
            with suppress(OverflowError, OSError):
                os.utime(source, ns=(row.modified_ms * 1_000_000,) * 2)
        source.rename(target)
        # Both folders: after a power cut the file is in one of them, and not in both.
        sync_folder(target.parent)
        sync_folder(source.parent)
        self.on_step("renamed")

    def _drop_upload(self, name: RecordingId) -> None:
        # The joined payload first: killed before the row goes, its owner gives it up once more;
        # without the row nobody would, and it would lie here in plaintext for ever.
        self.uploads.objects.delete(key_of(name, PAYLOAD), self.catalogue.now())
        self.uploads.discard_upload(name)

    def _drop_idle(self, name: str, before: datetime) -> bool:
        """Drop an upload that came to nothing, if nobody went on with it since it was listed."""
        with self.catalogue.write() as uow:
            # Asked and dropped in one turn of the writers: who hands in holds no lock while bytes
            # arrive, and a complete upload waits for the station, however long.
            row = uploads.find_upload(uow.session, HandedInRow, name)
            if row is None or row.touched_at >= before or row.offset == row.size:
                return False
            uploads.forget_upload(uow, HandedInRow, name)
        # A kill before leaves parts without a row, which the sweep of attempts removes.
        self.uploads.drop_parts(RecordingId(UUID(name)), row.handle)
        return True

    def _forget_received(self, name: str) -> None:
        """Forget who handed a file in once it is nowhere here: till then the station asks."""
        folder = self.bay_folder / f"{_MARK}{name}"
        with suppress(OSError):
            folder.rmdir()  # not while the file is in it
        if not folder.exists() and not (self._intake_folder(name) / PAYLOAD).exists():
            with self.catalogue.write() as uow:
                hand_ins.forget_hand_in(uow, name)

    def _list_whole_ids(self) -> Iterator[str]:
        """Yield the ids whose bytes are joined and not in the bay yet."""
        yield from (path.parent.name for path in (self.home / "intake").glob(f"*/{PAYLOAD}"))

    @contextmanager
    def _lock_file(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Hold one file's way into the bay, among all threads and processes of this home.

        Raises: BlockingIOError when another holds it and this one does not wait.
        """
        folder = self._intake_folder(name)
        folder.mkdir(mode=0o700, exist_ok=True)
        # The lock is on a folder that is there anyway: the kernel lets go of it when a process
        # dies, and no lock file is left over.
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(handle)

    def _intake_folder(self, name: str) -> Path:
        return self.home / "intake" / name


def submission_at(parts: Sequence[str]) -> UUID | None:
    """Return which submission lies at this path of the reception's bay."""
    if len(parts) != 2 or not parts[0].startswith(_MARK):  # noqa: PLR2004 - folder and name
        return None
    with suppress(ValueError):
        return UUID(parts[0].removeprefix(_MARK))
    return None
