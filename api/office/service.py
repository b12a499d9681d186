"""Service layer of web, API and jobs: access decisions and logged decryption of footage.

`authorise` decides and logs refusals; `Playback` makes the entry in the log before the first byte
of plaintext leaves (promise 4), unwraps the key, and keeps it for a few minutes for the ranges
that a player asks for.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from api.office.evidence.integrity_check import IntegrityReport, list_orphans, whole_check
from api.office.evidence.originals import reader_of, unwrap
from api.office.identity import Identity, Visitor
from api.office.login_limit import Logins
from api.office.readiness import Readiness
from api.office.wiring import Office
from api.problems import ApiError
from policies.access.access import Act, decide_access
from policies.identifiers import SYSTEM, Subject
from storage.catalogue.proofs.publish import publish_head
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import RecordingRow
from storage.custody.entries.event import Outcome, PremisType
from storage.custody.entries.subjects import INTEGRITY
from storage.errors import ConflictError
from storage.vault.ranges import PlainReader
from storage.vault.sealing import OpenedEnvelope

GRANT = timedelta(minutes=10)
_ACTS = {
    "play": Act.PLAY,
    "copy": Act.COPY,
    "bundle": Act.EXPORT,
    "inspect": Act.PLAY,
    "rendition": Act.PLAY,
}


@dataclass(slots=True)
class Service:
    """One running service."""

    office: Office
    identity: Identity
    readiness: Readiness
    logins: Logins = field(init=False)
    _grants: dict[tuple[str, str], tuple[datetime, OpenedEnvelope]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Give logins a queue of their own, apart from all other requests."""
        self.logins = Logins(self.identity)

    @classmethod
    def of_office(cls, office: Office) -> "Service":
        """Build the service of an opened office."""
        identity = Identity(
            office.catalogue, office.clock, office.entropy, office.settings.session_hours
        )
        return cls(office, identity, Readiness(office))

    def authorise(
        self, visitor: Visitor, act: Act, township: str | None = None, subject: Subject = SYSTEM
    ) -> None:
        """Authorise an act, or refuse it and log the refusal.

        Raises: ApiError(forbidden).
        """
        decision = decide_access(visitor.person, act, township)
        if decision.allowed:
            return
        # Committed before the refusal leaves: whoever hears "no" is in the log already.
        self.log_refusal(visitor, act.value, subject, decision.reason)
        raise ApiError("forbidden", act=act.value, reason=decision.reason)

    def log_refusal(self, visitor: Visitor, act: str, subject: Subject, reason: str) -> None:
        """Log the refusal of an act with its reason."""
        with self.office.catalogue.write() as uow:
            uow.record(
                act,
                PremisType.VALIDATION,
                actor=visitor.actor,
                subject=subject,
                outcome=Outcome.REFUSED,
                reason=reason,
            )

    @contextmanager
    def logging_refusal(self, visitor: Visitor, act: str, subject: Subject) -> Iterator[None]:
        """Log a ConflictError raised within the block, and raise it again."""
        try:
            yield
        except ConflictError as error:
            self.log_refusal(visitor, act, subject, error.code)
            raise

    def authorise_recording(self, visitor: Visitor, recording_id: UUID, act: Act) -> RecordingRow:
        """Return a recording that this person may see. Raises: NotFoundError, ApiError."""
        with self.office.catalogue.read() as session:
            row = recordings.by_id(session, recording_id)
        self.authorise(visitor, act, row.township, Subject.of_recording(row.id))
        return row

    def open_plaintext(self, visitor: Visitor, row: RecordingRow, purpose: str) -> PlainReader:
        """Return a reader of the original; the access is in the log before this returns.

        `purpose` is play, copy, bundle, inspect or rendition.
        Raises: ApiError(forbidden), DestroyedError, KeyRingError, EnvelopeError, FixityError,
        VaultError.
        """
        # Once more, though the route has asked: jobs and exports come here without a route.
        self.authorise(visitor, _ACTS[purpose], row.township, Subject.of_recording(row.id))
        # Destroyed since the row was read: refused before an access is logged for nothing.
        with self.office.catalogue.read() as session:
            recordings.get_present_recording(session, row.id)
        return reader_of(self.office, row, self._open_grant(visitor, row, purpose))

    def publish_checkpoint(self) -> str:
        """Sign and publish the newest head of the log and return it. Raises: CustodyError."""
        office = self.office
        return publish_head(office.catalogue, office.signer, office.settings.home / "log")

    def verify_office(self, visitor: Visitor) -> IntegrityReport:
        """Run the whole integrity check and log its outcome."""
        checked_recordings: list[str] = []
        wrong = list(
            whole_check(self.office, lambda recording, _size: checked_recordings.append(recording))
        )
        # After the check, which takes hours: no transaction is open meanwhile.
        with self.office.catalogue.write() as uow:
            uow.record(
                "custody.verify",
                PremisType.FIXITY_CHECK,
                actor=visitor.actor,
                subject=SYSTEM,
                chains=[INTEGRITY],
                outcome=Outcome.FAILURE if wrong else Outcome.SUCCESS,
                whole=True,
                recordings=len(checked_recordings),
                # Two hundred in the entry: an office whose disk is gone would write an entry of
                # megabytes.
                wrong=[{"what": fault.kind, "subject": fault.subject} for fault in wrong[:200]],
            )
        return IntegrityReport(len(checked_recordings), wrong, list_orphans(self.office))

    def _open_grant(self, visitor: Visitor, row: RecordingRow, purpose: str) -> OpenedEnvelope:
        now = self.office.clock()
        # Per session and purpose: a player's range requests share one entry, a copy gets its own.
        key = (f"{visitor.actor.session}:{purpose}", row.id)
        with self._lock:
            self._grants = {k: v for k, v in self._grants.items() if v[0] > now}
            if (live := self._grants.get(key)) is not None:
                return live[1]
        # The entry first, then the key: a kill between leaves an entry without a reading, never the
        # other way round.
        with self.office.catalogue.write() as uow:
            recordings.log_access(
                uow, row.id, actor=visitor.actor, purpose=purpose, outcome=Outcome.SUCCESS
            )
        opened = unwrap(self.office, row)
        with self._lock:
            # Only a key that opened is remembered; a failure is asked for, and logged, again.
            self._grants[key] = (now + GRANT, opened)
        return opened


def stream_pieces(reader: PlainReader, start: int, stop: int) -> Iterator[bytes]:
    """Yield [start, stop) with the first piece already verified when this returns.

    Raises: FixityError before anything is sent when the first piece is not what was sealed.
    """
    stream = reader.read(start, stop)
    # The generator runs to its first piece here, while an error can still become a status.
    first = next(stream, b"")

    def yield_pieces() -> Iterator[bytes]:
        yield first
        yield from stream

    return yield_pieces()
