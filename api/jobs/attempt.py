"""Runs one attempt of a job: take it up, work, settle; or write down why not.

A worker whose turn was lost meanwhile (it was slow, was thought dead, and another took over)
leaves everything as the other one made it.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

from api.jobs.kind import Queue, Step
from api.jobs.registry import KINDS, list_kind_names
from api.office.wiring import Office
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import Job, TurnLostError
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.jobs")


class Runner:
    """Works for one life of one worker; several threads at once."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lock = threading.Lock()
        self._jobs_in_hand: set[str] = set()
        self.life = ""

    @property
    def jobs_in_hand(self) -> list[str]:
        """The jobs that this process works on now."""
        with self._lock:
            return sorted(self._jobs_in_hand)

    def run_next(self, queue: Queue) -> str | None:
        """Work on the job of this queue that is due first; None where none is due.

        Returns how it went, as `run` does. Only the database's errors leave here.
        """
        catalogue = self._office.catalogue
        # Looked at without the writers' lock first: idle threads ask once a second, and find
        # nothing mostly (ADR 0019).
        with catalogue.read() as session:
            if not jobs.list_due_jobs(session, catalogue.now(), list_kind_names(queue), limit=1):
                return None
        # Under the lock from the taking on: a beat in between would find a job that nobody works
        # on, and put it back.
        with self._lock, catalogue.write() as uow:
            job = jobs.claim_next_job(uow, list_kind_names(queue), self.life)
            if job is not None:
                self._jobs_in_hand.add(job.id)
        # The work itself is under neither lock: it may take hours.
        return self._finish(job) if job is not None else None

    def run(self, job_id: str, attempt: int) -> str:
        """Work on an attempt; return how it went: done, again, failed, nothing or lost.

        Every error of the work ends in the job's row; only the database's own leave here.
        """
        with self._lock, self._office.catalogue.write() as uow:
            job = jobs.claim_job(uow, job_id, attempt, self.life)
            if job is not None:
                self._jobs_in_hand.add(job.id)
        return self._finish(job) if job is not None else "nothing"

    def _finish(self, job: Job) -> str:
        office = self._office
        try:
            office.on_step("job-taken")
            self._execute_job(job)
        # Another worker has the job by now: nothing of this attempt is written, not even its
        # failure.
        except TurnLostError:
            return "lost"
        except Exception as error:  # noqa: BLE001 - the edge of the worker: see below
            return self._record_failure(job, error)
        else:
            office.on_step("job-settled")
            return "done"
        finally:
            # Whatever happened: what is called in hand and is not would be put back only by a
            # restart.
            with self._lock:
                self._jobs_in_hand.discard(job.id)

    def _execute_job(self, job: Job) -> None:
        kind = KINDS.get(job.kind)
        # Asked for by a newer version: it fails for a person to see, and holds up no other job.
        if kind is None:
            raise UnknownKindError(kind=job.kind)
        # Outside any transaction, and repeatable: a kill here leaves the job running, and the next
        # worker works again.
        facts = kind.work(self._office, job, self._step_of(job))
        self._office.on_step("job-worked")
        # The effect and the job's end commit together: done twice, or ended without effect, cannot
        # be.
        with self._office.catalogue.write() as uow:
            jobs.finish_job(uow, job, kind.settle(self._office, uow, job, facts))
            self._office.on_step("job-settling")

    def _step_of(self, job: Job) -> Step:
        """Return what runs a step of this job once, and afterwards recalls what it gave."""
        office = self._office

        def step(name: str, function: Callable[[], Any]) -> Any:
            with office.catalogue.read() as session:
                row = jobs.recall_step(session, job, name)
            if row is None:
                step_result = function()
                office.on_step("job-step-done")
                # Killed before this commits, the step is done again: steps must bear that.
                with office.catalogue.write() as uow:
                    jobs.remember_step(uow, job, name, step_result)
            else:
                step_result = row.result
            office.on_step("job-step-kept")
            return step_result

        return step

    def _record_failure(self, job: Job, error: Exception) -> str:
        """Write a failure down: our own errors by code; whatever else is logged here, too."""
        # Our own errors say whether trying again can help; of a defect nobody knows, so it is
        # tried.
        final = isinstance(error, LiuhenError) and not error.retryable
        code = error.code if isinstance(error, LiuhenError) else type(error).__name__
        LOG.warning("%s %s failed: %s", job.kind, job.id, code, exc_info=error)
        try:
            with self._office.catalogue.write() as uow:
                state = jobs.fail_job(uow, job, code, final=final)
        except TurnLostError:
            return "lost"
        return "failed" if state is jobs.State.FAILED else "again"


class UnknownKindError(LiuhenError):
    """A job of a kind that this version does not know."""

    code = "unknown-kind"
