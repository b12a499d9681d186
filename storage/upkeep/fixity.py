"""Are the objects still what was sealed? Reads every byte; repairs nothing, trusts no row.

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
    checked,
    key_of,
    lockable,
)

_WRITE_ONCE = 0o400  # the mode of an object's file
_WRITING = 0o222


class Problem(StrEnum):
    """What is wrong with a kept recording."""

    MISSING = "missing-object"
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
class Kept:
    """What the catalogue says it keeps of one recording."""

    recording: str
    record: bytes
    envelope: bytes
    receipt: bytes | None
    retain_until: datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was sealed; `subject` names it: `<id>/payload`."""

    what: Problem
    recording: str
    part: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The object's key."""
        return f"{self.recording}/{self.part}" if self.part else self.recording

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"what": self.what.value, "subject": self.subject, "facts": self.facts}


@dataclass(frozen=True, slots=True)
class Fixity:
    """The check, with whom it trusts."""

    objects: ObjectStore
    stations: Sequence[VerifyKey]
    centre: VerifyKey
    log: VerifyKey
    progress: Callable[[str, int], None] = lambda _recording, _size: None

    def check(self, kept: Iterable[Kept]) -> Iterator[Fault]:
        """Yield every fault, recording by recording; nothing when all is as sealed."""
        everything = list(kept)
        owners = dict(self._owners(everything))
        for one in everything:
            yield from self._one(one, owners)

    def fences(self, kept: Iterable[Kept]) -> Iterator[Fault]:
        """Yield what is wrong with how objects are kept, and read none: modes, flags, locks.

        What lies in an archive that is away is not asked for.
        """
        for one in kept:
            for part in PARTS:
                try:
                    facts = self._facts(checked(f"{one.recording}/{part}"))
                except ArchiveAwayError:
                    continue
                except ObjectMissingError:
                    yield Fault(Problem.MISSING, one.recording, part)
                except LiuhenError as error:
                    yield Fault(Problem.UNREADABLE, one.recording, part, error.facts)
                else:
                    yield from self._fenced(one, part, facts)
                    yield from self._locked(one, part, facts)

    def leftovers(self, gone: Mapping[str, Iterable[str]]) -> Iterator[Fault]:
        """Yield what is left, or may be, of recordings whose destruction is said to be complete.

        `gone` has the keys of each one's objects.
        """
        for recording, keys in gone.items():
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

    def strangers(self) -> Iterator[Fault]:
        """Yield what lies in the store and is none of its objects. Raises: VaultError."""
        for found in self.objects.strangers():
            recording, _, part = found.name.partition("/")
            facts = {name: value for name, value in found.to_json().items() if name != "name"}
            yield Fault(Problem.STRANGER, recording, part, facts)

    def orphans(self, known: Iterable[str]) -> Iterator[str]:
        """Yield the keys of objects that belong to no known recording: attempts cut short."""
        ids = set(known)
        yield from (key for key in self.objects.keys() if key.partition("/")[0] not in ids)  # noqa: SIM118 - a store, not a dict

    def _owners(self, everything: Iterable[Kept]) -> Iterator[tuple[str, str]]:
        for one in everything:
            yield str(Digest.of(one.record)), one.recording
            try:
                record = SealedRecord.verify(one.record, self.stations)
            except LiuhenError:
                continue
            yield str(record.payload_digest), one.recording
            yield str(record.envelope_digest), one.recording

    def _one(self, kept: Kept, owners: dict[str, str]) -> Iterator[Fault]:
        try:
            record = SealedRecord.verify(kept.record, self.stations)
        except LiuhenError as error:
            yield Fault(Problem.RECORD, kept.recording, RECORD, error.facts)
            return
        if record.recording != kept.recording:
            yield Fault(Problem.RECORD, kept.recording, RECORD, {"found": record.recording})
            return
        expected = {
            RECORD: Digest.of(kept.record),
            ENVELOPE: Digest.of(kept.envelope),
            PAYLOAD: record.payload_digest,
        }
        for part in PARTS:
            yield from self._object(kept, record, part, expected[part], owners)
        if Digest.of(kept.envelope) != record.envelope_digest:
            yield Fault(Problem.CHANGED, kept.recording, ENVELOPE, {"where": "catalogue"})
        yield from self._receipt(kept, record)
        self.progress(kept.recording, record.size)

    def _object(
        self,
        kept: Kept,
        record: SealedRecord,
        part: str,
        expected: Digest,
        owners: dict[str, str],
    ) -> Iterator[Fault]:
        key = key_of(record.id, part)
        try:
            found = self.objects.digest(key)
            facts = self._facts(key)
        except ObjectMissingError:
            yield Fault(Problem.MISSING, kept.recording, part)
            return
        except LiuhenError as error:
            yield Fault(Problem.UNREADABLE, kept.recording, part, error.facts)
            return
        if found != expected:
            told = {"expected": str(expected), "found": str(found)}
            owner = owners.get(str(found))
            if owner not in {None, kept.recording}:
                yield Fault(Problem.SWAPPED, kept.recording, part, told | {"belongs_to": owner})
            else:
                yield Fault(Problem.CHANGED, kept.recording, part, told)
        else:
            yield from self._fenced(kept, part, facts)
        yield from self._locked(kept, part, facts)

    def _fenced(self, kept: Kept, part: str, facts: ObjectFacts | LockLostError) -> Iterator[Fault]:
        if isinstance(facts, LockLostError):
            return
        if facts.immutable is False:
            yield Fault(Problem.MUTABLE, kept.recording, part)
        if facts.permissions is None or facts.permissions == _WRITE_ONCE:
            return
        mode = {"mode": f"{facts.permissions:04o}"}
        what = Problem.WRITABLE if facts.permissions & _WRITING else Problem.MODE
        yield Fault(what, kept.recording, part, mode)

    def _locked(self, kept: Kept, part: str, facts: ObjectFacts | LockLostError) -> Iterator[Fault]:
        wanted = lockable(kept.retain_until)
        promised = {"promised": wanted.isoformat()}
        if isinstance(facts, LockLostError):
            why = {"problem": facts.facts["problem"]}
            yield Fault(Problem.LOCK_LOST, kept.recording, part, why | promised)
        elif (locked := facts.retain_until) is None or locked < wanted:
            until = {"locked_until": locked.isoformat() if locked else None}
            yield Fault(Problem.LOCK, kept.recording, part, until | promised)

    def _facts(self, key: str) -> ObjectFacts | LockLostError:
        try:
            return self.objects.facts(key)
        except LockLostError as error:
            return error

    def _receipt(self, kept: Kept, record: SealedRecord) -> Iterator[Fault]:
        if kept.receipt is None:
            yield Fault(Problem.NO_RECEIPT, kept.recording, "receipt")
            return
        try:
            receipt = Receipt.verify(kept.receipt, self.centre, self.log)
        except LiuhenError as error:
            yield Fault(Problem.RECEIPT, kept.recording, "receipt", error.facts)
            return
        if not receipt.covers(kept.record, record.original, record.size):
            yield Fault(Problem.RECEIPT, kept.recording, "receipt", {"problem": "another record's"})
