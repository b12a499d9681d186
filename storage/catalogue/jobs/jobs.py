"""The queue of durable jobs: asked for, claimed by a worker, finished or tried again.

A job is asked for in the transaction of whoever wants it, claimed by a worker, and finished in one
transaction with its effect. A claim gives a turn; only the holder of the last turn can finish
(`finish_job`, `fail_job`), so a worker that was slow, and was thought dead, changes nothing. A
worker is dead once its row says so (`declare_dead`): no decision here compares two machines'
clocks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CursorResult, Executable, delete, func, or_, select, true, update
from sqlalchemy.orm import Session

from storage.catalogue.engine.keyset import Place, page_by_keys
from storage.catalogue.jobs.tables import (
    JobRow,
    JobStepRow,
    RenditionRow,
    VerifiedRow,
    WorkerRow,
)
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import Catalogue, UnitOfWork
from storage.custody.entries.acting import PersonActing
from storage.errors import ConflictError, LiuhenError, NotFoundError

TRIES = 8  # failures, deaths of workers among them, until a person is asked
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)
_FOREMAN = 0x6C6975_6A6F62  # one advisory lock for all workers of a catalogue on PostgreSQL
_ERROR = 40
_WINDOW = 100  # jobs looked at in one go


class State(StrEnum):
    """State of a job."""

    WAITING = "waiting"  # to be started, at its time
    RUNNING = "running"  # a worker has taken it up
    DONE = "done"
    FAILED = "failed"  # tried often enough: a person decides


MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset({State.RUNNING, State.FAILED}),
    State.RUNNING: frozenset({State.RUNNING, State.WAITING, State.DONE, State.FAILED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset({State.WAITING}),
}


class WorkerBusyError(LiuhenError):
    """A living worker has this name already."""

    code = "worker-busy"


class TurnLostError(LiuhenError):
    """Somebody else has taken this job up since: nothing of what was done here counts."""

    code = "turn-lost"


@dataclass(frozen=True, slots=True)
class Job:
    """A job in the hands of a worker: everything it may know of it."""

    id: str
    kind: str
    subject: str
    slot: str | None
    asked_by: str
    attempt: int
    failures: int
    turn: int

    @property
    def last_try(self) -> bool:
        """Whether one more failure ends it."""
        return self.failures + 1 >= TRIES


def request_job(
    uow: UnitOfWork,
    kind: str,
    subject: str,
    *,
    actor: str,
    slot: str | None = None,
    due_at: datetime | None = None,
) -> JobRow:
    """Request a job; it exists if, and only if, the transaction is committed.

    With a slot it is asked for once: the same again gives the same job.
    """
    if slot is not None and (row := _of_slot(uow.session, kind, subject, slot)) is not None:
        return row
    row = JobRow(
        id=uow.new_id(),
        kind=kind,
        subject=subject,
        slot=slot,
        state=State.WAITING,
        asked_by=str(actor),
        asked_at=uow.at,
        **_origin_columns(actor, uow.at),
        due_at=due_at or uow.at,
        attempt=1,
        failures=0,
        turn=0,
        owner=None,
        error=None,
        ended_at=None,
        result=None,
    )
    uow.session.add(row)
    return row


def expedite_job(uow: UnitOfWork, kind: str, subject: str) -> JobRow | None:
    """Return the job of this kind that is under way for this subject; its pause ends now."""
    query = select(JobRow).where(
        JobRow.kind == kind,
        JobRow.subject == subject,
        JobRow.state.in_((State.WAITING, State.RUNNING)),
    )
    row = uow.session.scalar(query.order_by(JobRow.id).limit(1))
    if row is not None and row.state == State.WAITING:
        row.due_at = min(row.due_at, uow.at)
    return row


def claim_job(uow: UnitOfWork, job_id: str, attempt: int, life: str) -> Job | None:
    """Claim a job for a running worker.

    None where there is nothing to do: done, another attempt, or a living worker has it. Taking
    over from a dead worker counts as a failure, for the job may be what killed it.
    """
    row = uow.session.get(JobRow, job_id)
    if row is None or row.attempt != attempt or State(row.state) in {State.DONE, State.FAILED}:
        return None
    if row.state == State.RUNNING and _is_alive(uow.session, row.owner):
        return None
    return _claim_row(uow, row, life)


def claim_next_job(uow: UnitOfWork, kinds: Sequence[str], life: str) -> Job | None:
    """Claim the job of these kinds that is due first and that no living worker has.

    None where there is none. A unit of work holds the writers' lock, so no two claim one job.
    """
    for row in list_due_jobs(uow.session, uow.at, kinds):
        if (job := _claim_row(uow, row, life)) is not None:
            return job
    return None


def list_due_jobs(
    session: Session, at: datetime, kinds: Sequence[str], limit: int = _WINDOW
) -> list[JobRow]:
    """Return jobs of these kinds that should be under way and that no living worker has."""
    living = select(WorkerRow.life).where(WorkerRow.ended_at.is_(None))
    query = select(JobRow).where(
        JobRow.kind.in_(kinds),
        or_(
            (JobRow.state == State.WAITING) & (JobRow.due_at <= at),
            (JobRow.state == State.RUNNING) & JobRow.owner.not_in(living),
        ),
    )
    return list(session.scalars(query.order_by(JobRow.due_at, JobRow.id).limit(limit)))


def _claim_row(uow: UnitOfWork, row: JobRow, life: str) -> Job | None:
    """Give the job its next turn; None when its worker died with it for the last time."""
    if row.state == State.RUNNING:
        row.failures += 1
        row.error = "worker-died"
        if row.failures >= TRIES:
            _end_job(uow.session, row, State.FAILED, uow.at)
            return None
    _move_job(row, State.RUNNING)
    row.turn, row.owner = row.turn + 1, life
    return _to_job(row)


def recall_step(session: Session, job: Job, name: str) -> JobStepRow | None:
    """Return what this attempt's step gave, where it was written down."""
    return session.get(JobStepRow, (job.id, job.attempt, name))


def remember_step(uow: UnitOfWork, job: Job, name: str, outcome: Any) -> None:
    """Write down what a step gave, as plain JSON. Raises: TurnLostError."""
    _get_running_row(uow.session, job)
    uow.session.add(JobStepRow(job_id=job.id, attempt=job.attempt, name=name, result=outcome))


def finish_job(uow: UnitOfWork, job: Job, outcome: dict[str, Any]) -> None:
    """Write down that a job is done. Raises: TurnLostError."""
    row = _get_running_row(uow.session, job)
    row.error, row.result = None, outcome
    _end_job(uow.session, row, State.DONE, uow.at)


def fail_job(uow: UnitOfWork, job: Job, error: str, *, final: bool = False) -> State:
    """Write a failed attempt down; it is tried again later, or is given up. Raises: TurnLostError.

    Pauses double from half a minute to an hour.
    """
    row = _get_running_row(uow.session, job)
    row.failures, row.error = row.failures + 1, error[:_ERROR]
    if final or row.failures >= TRIES:
        _end_job(uow.session, row, State.FAILED, uow.at)
    else:
        _move_job(row, State.WAITING)
        _forget_steps(uow.session, row)
        row.owner, row.attempt = None, row.attempt + 1
        row.due_at = uow.at + min(_FIRST_PAUSE * 2 ** (row.failures - 1), _LONGEST_PAUSE)
    return State(row.state)


def retry_job(uow: UnitOfWork, job_id: str) -> JobRow:
    """Try a job again that failed; it stays in the name of who asked for it.

    Raises: NotFoundError, ConflictError when it did not fail.
    """
    row = by_id(uow.session, job_id)
    if row.state != State.FAILED:
        raise ConflictError(problem="job has not failed", job=row.id, state=row.state)
    _move_job(row, State.WAITING)
    row.attempt, row.failures = row.attempt + 1, 0
    row.owner, row.ended_at, row.due_at = None, None, uow.at
    return row


def let_go(uow: UnitOfWork, life: str, at_work: Sequence[str]) -> int:
    """Put back what this life took up and no longer works on; return how many."""
    rows = uow.session.scalars(
        select(JobRow).where(
            JobRow.state == State.RUNNING, JobRow.owner == life, JobRow.id.not_in(at_work)
        )
    ).all()
    for row in rows:
        _move_job(row, State.WAITING)
        row.owner = None
    return len(rows)


def left_behind(session: Session, life: str, at_work: Sequence[str]) -> bool:
    """Tell whether `let_go` would find anything."""
    query = select(JobRow.id).where(
        JobRow.state == State.RUNNING, JobRow.owner == life, JobRow.id.not_in(at_work)
    )
    return session.scalar(query.limit(1)) is not None


def by_id(session: Session, job_id: str) -> JobRow:
    """Return one job. Raises: NotFoundError."""
    row = session.get(JobRow, job_id)
    if row is None:
        raise NotFoundError(what="job", id=job_id)
    return row


def list_jobs(
    session: Session,
    *,
    kind: str | None = None,
    state: State | None = None,
    subject: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[JobRow]:
    """Return jobs, the newest first; with `before`, those asked for before that one."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(JobRow.kind == kind)
    if state is not None:
        query = query.where(JobRow.state == state)
    if subject is not None:
        query = query.where(JobRow.subject == subject)
    if before is not None:
        query = query.where(JobRow.id < before)
    return list(session.scalars(query))


def count_by_state(session: Session) -> dict[str, int]:
    """Return how many jobs there are in each state that has any."""
    query = select(JobRow.state, func.count()).group_by(JobRow.state)
    return {row.state: row[1] for row in session.execute(query)}


def failures_by_kind(session: Session) -> dict[str, int]:
    """Return how many jobs of each kind failed and wait for a person."""
    query = select(JobRow.kind, func.count()).where(JobRow.state == State.FAILED)
    return {row.kind: row[1] for row in session.execute(query.group_by(JobRow.kind))}


def newest_done(session: Session, kind: str) -> JobRow | None:
    """Return the job of this kind that was done last."""
    query = select(JobRow).where(JobRow.kind == kind, JobRow.state == State.DONE)
    return session.scalar(query.order_by(JobRow.ended_at.desc(), JobRow.id.desc()).limit(1))


def forget_done(uow: UnitOfWork, before: datetime) -> int:
    """Delete jobs that were done before then, but of each kind the last; return how many.

    What failed stays until a person asks again.
    """
    last = (
        select(func.max(JobRow.id)).where(JobRow.state == State.DONE).group_by(JobRow.kind)
    ).scalar_subquery()
    statement = delete(JobRow).where(
        JobRow.state == State.DONE, JobRow.ended_at < before, JobRow.id.not_in(last)
    )
    return _count_changed_rows(uow.session, statement)


def register_worker(uow: UnitOfWork, name: str, *, over: str | None) -> str:
    """Register a worker under this name and return the id of its session (`life`).

    `over` is the life that the caller knows to be dead, or None where it found none.
    Raises: WorkerBusyError when another life holds the name.
    """
    row = uow.session.get(WorkerRow, name)
    if row is not None and row.ended_at is None and row.life != over:
        raise WorkerBusyError(worker=name)
    life = uow.new_id()
    if row is None:
        row = WorkerRow(name=name, life=life, beats=0, beat_at=uow.at, started_at=uow.at)
        uow.session.add(row)
    row.life, row.beats, row.beat_at = life, 0, uow.at
    row.started_at, row.ended_at = uow.at, None
    return life


def record_heartbeat(uow: UnitOfWork, life: str) -> bool:
    """Record a worker's heartbeat; False if it was declared dead, or another holds its name."""
    alive = update(WorkerRow).where(WorkerRow.life == life, WorkerRow.ended_at.is_(None))
    return (
        _count_changed_rows(uow.session, alive.values(beats=WorkerRow.beats + 1, beat_at=uow.at))
        == 1
    )


def declare_dead(uow: UnitOfWork, life: str, beats: int) -> bool:
    """End a life that has not beaten since it was seen with so many beats; tell whether it had."""
    silent = update(WorkerRow).where(
        WorkerRow.life == life, WorkerRow.beats == beats, WorkerRow.ended_at.is_(None)
    )
    return _count_changed_rows(uow.session, silent.values(ended_at=uow.at)) == 1


def deregister_worker(uow: UnitOfWork, life: str) -> None:
    """Deregister a worker; its unfinished jobs are free for others at once."""
    mine = update(WorkerRow).where(WorkerRow.life == life, WorkerRow.ended_at.is_(None))
    uow.session.execute(mine.values(ended_at=uow.at))


def list_workers(
    session: Session,
    *,
    at_work: bool = False,
    after: Place = (),
    limit: int | None = None,
) -> list[WorkerRow]:
    """Return the workers there ever were, by name; `at_work` leaves out those that ended."""
    query = select(WorkerRow)
    if at_work:
        query = query.where(WorkerRow.ended_at.is_(None))
    return list(session.scalars(page_by_keys(query, (WorkerRow.name,), after, limit)))


@contextmanager
def lead_reconciliation(catalogue: Catalogue) -> Iterator[bool]:
    """Hold the lead of reconciliation until the block ends; False while another holds it.

    On PostgreSQL an advisory lock that its holder's death releases; on SQLite, where one process
    alone runs jobs, always True.
    """
    with catalogue.read() as session:
        if session.get_bind().dialect.name == "sqlite":
            yield True
        else:
            yield bool(session.scalar(select(func.pg_try_advisory_xact_lock(_FOREMAN))))


def note_verified(uow: UnitOfWork, recording_id: str, wrong: list[Any], at: datetime) -> None:
    """Write down when a recording was read whole, and what was wrong."""
    row = uow.session.get(VerifiedRow, recording_id)
    if row is None:
        row = VerifiedRow(recording_id=recording_id, at=at, wrong=wrong)
        uow.session.add(row)
    row.at, row.wrong = at, wrong


def list_damaged(session: Session) -> list[VerifiedRow]:
    """Return the recordings whose last verification failed, the latest first."""
    query = select(VerifiedRow).where(VerifiedRow.wrong != [])
    return list(session.scalars(query.order_by(VerifiedRow.at.desc())))


def longest_unread(
    session: Session, share: int, before: datetime, *, archived: bool = True
) -> list[str]:
    """Return the recordings that were read whole longest ago: so many, and all before then.

    Without `archived`, what lies in an archive that is away is left out.

    At accession everything was read back: until the first verification that is the time.
    """
    read_at = func.coalesce(VerifiedRow.at, RecordingRow.accessioned_at)
    query = (
        select(RecordingRow.id, read_at < before)
        .outerjoin(VerifiedRow, VerifiedRow.recording_id == RecordingRow.id)
        .where(RecordingRow.destroyed_at.is_(None))
        .where(true() if archived else RecordingRow.archived_at.is_(None))
        .order_by(read_at, RecordingRow.id)
    )
    recording_ids = []
    for number, (recording, late) in enumerate(session.execute(query)):
        if number >= share and not late:
            break
        recording_ids.append(recording)
    return recording_ids


def newest_rendition(session: Session, recording_id: str, kind: str) -> RenditionRow | None:
    """Return the last rendition of this kind that was made from a recording."""
    query = select(RenditionRow).where(
        RenditionRow.recording_id == recording_id, RenditionRow.kind == kind
    )
    return session.scalar(query.order_by(RenditionRow.at.desc(), RenditionRow.id.desc()).limit(1))


def renditions_of(session: Session, recording_id: str) -> list[RenditionRow]:
    """Return everything that was made from a recording, the oldest first."""
    query = select(RenditionRow).where(RenditionRow.recording_id == recording_id)
    return list(session.scalars(query.order_by(RenditionRow.id)))


def is_rendition(session: Session, untrusted_id: str) -> bool:
    """Tell whether this is the id of a rendition."""
    return session.get(RenditionRow, untrusted_id) is not None


def recordings_kept(session: Session) -> int:
    """Return how many recordings are kept; destroyed ones are not."""
    query = select(func.count()).select_from(RecordingRow)
    return session.scalar(query.where(RecordingRow.destroyed_at.is_(None))) or 0


def object_ids(session: Session) -> Iterator[str]:
    """Yield every id that objects may lie under: of recordings that ever were, and renditions."""
    for own in (RecordingRow.id, RenditionRow.id):
        yield from session.scalars(select(own).execution_options(yield_per=1000))


def recordings_after(session: Session, recording_id: str, limit: int) -> list[RecordingRow]:
    """Return the next recordings after this id, oldest first; destroyed ones left out."""
    query = select(RecordingRow).where(
        RecordingRow.id > recording_id, RecordingRow.destroyed_at.is_(None)
    )
    return list(session.scalars(query.order_by(RecordingRow.id).limit(limit)))


def _of_slot(session: Session, kind: str, subject: str, slot: str) -> JobRow | None:
    query = select(JobRow).where(
        JobRow.kind == kind, JobRow.subject == subject, JobRow.slot == slot
    )
    return session.scalar(query)


def asked_for(session: Session, kind: str, subject: str, slot: str) -> bool:
    """Tell whether the job of this slot was asked for already."""
    return _of_slot(session, kind, subject, slot) is not None


def _get_running_row(session: Session, job: Job) -> JobRow:
    row = session.get(JobRow, job.id)
    if row is None or row.turn != job.turn or row.state != State.RUNNING:
        raise TurnLostError(job=job.id)
    return row


def _is_alive(session: Session, life: str | None) -> bool:
    query = select(WorkerRow.name).where(WorkerRow.life == life, WorkerRow.ended_at.is_(None))
    return session.scalar(query) is not None


def _move_job(row: JobRow, state: State) -> None:
    if state not in MOVES[State(row.state)]:
        raise ConflictError(subject="job", was=row.state, wanted=state)
    row.state = state


def _end_job(session: Session, row: JobRow, state: State, at: datetime) -> None:
    _move_job(row, state)
    _forget_steps(session, row)
    row.ended_at, row.owner = at, None


def _forget_steps(session: Session, row: JobRow) -> None:
    session.execute(delete(JobStepRow).where(JobStepRow.job_id == row.id))


def _to_job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        slot=row.slot,
        asked_by=_requester_of(row),
        attempt=row.attempt,
        failures=row.failures,
        turn=row.turn,
    )


def _origin_columns(actor: str, at: datetime) -> dict[str, Any]:
    """Return what the job keeps of the act that it follows from, a job's own job included."""
    if not isinstance(actor, PersonActing):
        return {}
    return {
        "session": actor.session,
        "address": actor.address,
        "acted_at": actor.asked_at or at,
    }


def _requester_of(row: JobRow) -> str:
    if not row.asked_by.startswith("person:"):
        return row.asked_by
    asked_at = row.acted_at or row.asked_at
    return PersonActing(row.asked_by, row.session, row.address or "unknown", asked_at=asked_at)


def _count_changed_rows(session: Session, statement: Executable) -> int:
    outcome = session.execute(statement)
    return outcome.rowcount if isinstance(outcome, CursorResult) else 0
