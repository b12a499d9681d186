"""Fixity check of sealed objects. Reads every byte; repairs nothing, trusts no row.

Each recording's three objects are compared with its signed record, its locks with what the
catalogue promises, its receipt with the centre's and the log's keys. Whether the catalogue itself
was edited is `storage/catalogue/audit/audit.py`'s business.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.digest import Digest
from storage.errors import ArchiveAwayError, LiuhenError, LockLostError, ObjectMissingError
from storage.record import Receipt, SealedRecord
from storage.signed.signing import VerifyKey
from storage.vault.objects import (
    ENVELOPE,
    PARTS,
    PAYLOAD,
    RECORD,
    ObjectFacts,
    ObjectStore,
    check_key,
    key_of,
    limit_lock_date,
)

_WRITE_ONCE = 0o400  # the mode of an object's file
_WRITING = 0o222


class Problem(StrEnum):
    """What is wrong with a kept recording."""

    MISSING_OBJECT = "missing-object"
    SWAPPED = "swapped-object"  # the object is another recording's
    CHANGED = "changed-object"
    WRITABLE = "writable-object"  # its bytes are right, and its file's mode lets somebody write
    MODE = "object-mode"  # nor is it written to, but others may read it than the service
    MUTABLE = "mutable-object"  # without the immutable flag, where its store sets it
    DIGEST = "false-digest"  # its original is not what the signed record says by another digest
    LOCK = "weak-lock"  # locked for less than promised, or not at all
    LOCK_LOST = "lost-lock"  # what the store wrote of its lock is lost: nothing deletes it
    RECORD = "bad-record"  # no trusted station signed it, or it is another's
    RECEIPT = "bad-receipt"
    NO_RECEIPT = "no-receipt"  # accession was cut short; the next sweep of its station mends it
    UNREADABLE = "unreadable-object"
    STRANGER = "strange-object"  # in the store, and put there by nobody of ours
    NOT_GONE = "not-gone"  # its destruction says that nothing is left


@dataclass(frozen=True, slots=True)
class CataloguedRecording:
    """The catalogue's copy of one recording's documents, and its retention date."""

    recording: str
    record: bytes
    envelope: bytes
    receipt: bytes | None
    retain_until: datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was sealed; `subject` names it: `<id>/payload`."""

    kind: Problem
    recording: str
    part: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The object's key."""
        return f"{self.recording}/{self.part}" if self.part else self.recording

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"what": self.kind.value, "subject": self.subject, "facts": self.facts}


@dataclass(frozen=True, slots=True)
class Fixity:
    """The fixity check, with the store and the keys that it trusts."""

    objects: ObjectStore
    stations: Sequence[VerifyKey]
    centre: VerifyKey
    log: VerifyKey
    progress: Callable[[str, int], None] = lambda _recording, _size: None

    def check_recordings(self, rows: Iterable[CataloguedRecording]) -> Iterator[Fault]:
        """Yield every fault, recording by recording; nothing when all is as sealed."""
        everything = list(rows)
        # By digest: an object that is another recording's was swapped, and did not decay.
        owners = dict(self._list_owners(everything))
        for row in everything:
            yield from self._check_recording(row, owners)

    def fences(self, rows: Iterable[CataloguedRecording]) -> Iterator[Fault]:
        """Yield what is wrong with how objects are kept, and read none: modes, flags, locks.

        What lies in an archive that is away is not asked for.
        """
        for row in rows:
            for part in PARTS:
                try:
                    # The id may come from an edited row: it must not lead anywhere else in the
                    # store.
                    facts = self._read_facts(check_key(f"{row.recording}/{part}"))
                except ArchiveAwayError:
                    continue
                except ObjectMissingError:
                    yield Fault(Problem.MISSING_OBJECT, row.recording, part)
                except LiuhenError as error:
                    yield Fault(Problem.UNREADABLE, row.recording, part, error.facts)
                else:
                    yield from self._fenced(row, part, facts)
                    yield from self._locked(row, part, facts)

    def find_leftovers(self, keys_by_recording: Mapping[str, Iterable[str]]) -> Iterator[Fault]:
        """Yield objects that remain, or may remain, of recordings recorded as destroyed.

        `gone` has the keys of each one's objects.
        """
        for recording, keys in keys_by_recording.items():
            for key in keys:
                part = key.rpartition("/")[2]
                try:
                    self.objects.facts(key)
                except ObjectMissingError:
                    continue
                except LiuhenError as error:
                    yield Fault(Problem.UNREADABLE, recording, part, error.facts)
                else:
                    yield Fault(Problem.NOT_GONE, recording, part)

    def find_strangers(self) -> Iterator[Fault]:
        """Yield what lies in the store and is none of its objects. Raises: VaultError."""
        for stranger in self.objects.strangers():
            recording, _, part = stranger.name.partition("/")
            facts = {name: fact for name, fact in stranger.to_json().items() if name != "name"}
            yield Fault(Problem.STRANGER, recording, part, facts)

    def find_orphans(self, recording_ids: Iterable[str]) -> Iterator[str]:
        """Yield the keys of objects that belong to no known recording: attempts cut short."""
        ids = set(recording_ids)
        yield from (key for key in self.objects.keys() if key.partition("/")[0] not in ids)  # noqa: SIM118 - a store, not a dict

    def _list_owners(self, everything: Iterable[CataloguedRecording]) -> Iterator[tuple[str, str]]:
        for row in everything:
            yield str(Digest.compute(row.record)), row.recording
            try:
                record = SealedRecord.verify(row.record, self.stations)
            except LiuhenError:
                # `_check_recording` names it; the other recordings still need their owners.
                continue
            yield str(record.payload_digest), row.recording
            yield str(record.envelope_digest), row.recording

    def _check_recording(self, row: CataloguedRecording, owners: dict[str, str]) -> Iterator[Fault]:
        try:
            record = SealedRecord.verify(row.record, self.stations)
        except LiuhenError as error:
            yield Fault(Problem.RECORD, row.recording, RECORD, error.facts)
            # Without a record that somebody signed there is nothing to compare the objects with.
            return
        # A good record of another recording verifies too, if somebody puts it into this row.
        if record.recording != row.recording:
            yield Fault(Problem.RECORD, row.recording, RECORD, {"found": record.recording})
            return
        expected = {
            RECORD: Digest.compute(row.record),
            ENVELOPE: Digest.compute(row.envelope),
            PAYLOAD: record.payload_digest,
        }
        for part in PARTS:
            yield from self._check_object(row, record, part, expected[part], owners)
        # Object and row agree where both were changed; only the record is signed.
        if Digest.compute(row.envelope) != record.envelope_digest:
            yield Fault(Problem.CHANGED, row.recording, ENVELOPE, {"where": "catalogue"})
        yield from self._check_receipt(row, record)
        self.progress(row.recording, record.size)

    def _check_object(
        self,
        row: CataloguedRecording,
        record: SealedRecord,
        part: str,
        expected: Digest,
        owners: dict[str, str],
    ) -> Iterator[Fault]:
        key = key_of(record.id, part)
        try:
            digest = self.objects.digest(key)
            facts = self._read_facts(key)
        except ObjectMissingError:
            yield Fault(Problem.MISSING_OBJECT, row.recording, part)
            return
        except LiuhenError as error:
            yield Fault(Problem.UNREADABLE, row.recording, part, error.facts)
            return
        if digest != expected:
            details = {"expected": str(expected), "found": str(digest)}
            owner = owners.get(str(digest))
            if owner not in {None, row.recording}:
                yield Fault(Problem.SWAPPED, row.recording, part, details | {"belongs_to": owner})
            else:
                yield Fault(Problem.CHANGED, row.recording, part, details)
        else:
            yield from self._fenced(row, part, facts)
        yield from self._locked(row, part, facts)

    def _fenced(
        self, row: CataloguedRecording, part: str, facts: ObjectFacts | LockLostError
    ) -> Iterator[Fault]:
        if isinstance(facts, LockLostError):
            return
        if facts.immutable is False:
            yield Fault(Problem.MUTABLE, row.recording, part)
        if facts.permissions is None or facts.permissions == _WRITE_ONCE:
            return
        mode = {"mode": f"{facts.permissions:04o}"}
        problem = Problem.WRITABLE if facts.permissions & _WRITING else Problem.MODE
        yield Fault(problem, row.recording, part, mode)

    def _locked(
        self, row: CataloguedRecording, part: str, facts: ObjectFacts | LockLostError
    ) -> Iterator[Fault]:
        lock_until = limit_lock_date(row.retain_until)
        promised = {"promised": lock_until.isoformat()}
        if isinstance(facts, LockLostError):
            why = {"problem": facts.facts["problem"]}
            yield Fault(Problem.LOCK_LOST, row.recording, part, why | promised)
        elif (locked := facts.retain_until) is None or locked < lock_until:
            until = {"locked_until": locked.isoformat() if locked else None}
            yield Fault(Problem.LOCK, row.recording, part, until | promised)

    def _read_facts(self, key: str) -> ObjectFacts | LockLostError:
        try:
            return self.objects.facts(key)
        except LockLostError as error:
            return error

    def _check_receipt(self, row: CataloguedRecording, record: SealedRecord) -> Iterator[Fault]:
        if row.receipt is None:
            yield Fault(Problem.NO_RECEIPT, row.recording, "receipt")
            return
        try:
            receipt = Receipt.verify(row.receipt, self.centre, self.log)
        except LiuhenError as error:
            yield Fault(Problem.RECEIPT, row.recording, "receipt", error.facts)
            return
        # Another recording's receipt verifies by itself.
        if not receipt.covers(row.record, record.original, record.size):
            yield Fault(Problem.RECEIPT, row.recording, "receipt", {"problem": "another record's"})
