"""Runs one attempt of a job: take it up, work, settle; or write down why not.

Nothing here knows the engine. A worker whose turn was lost meanwhile (it was slow, was thought
dead, and another took over) leaves everything as the other one made it.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from api.jobs.kind import Step
from api.jobs.registry import KINDS
from api.office.wiring import Office
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import Job, TurnLostError
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.jobs")


class Runner:
    """Runs attempts for one life (registration) of a worker, in several threads."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lock = threading.Lock()
        self._at_work: set[str] = set()
        self.life = ""

    @property
    def at_work(self) -> list[str]:
        """The jobs that this process has in hand now."""
        with self._lock:
            return sorted(self._at_work)

    def run(self, job_id: str, attempt: int, step: Step) -> str:
        """Work on an attempt; return how it went: done, again, failed, nothing or lost.

        Every error of the work ends in the job's row; only the database's own leave here.
        """
        office = self._office
        with self._in_hand(job_id):
            with office.catalogue.write() as uow:
                job = jobs.claim_job(uow, job_id, attempt, self.life)
            if job is None:
                return "nothing"
            office.on_step("job-taken")
            try:
                self._execute_job(job, step)
            except TurnLostError:
                return "lost"
            except Exception as error:  # noqa: BLE001 - the edge of the worker: see below
                return self._record_failure(job, error)
            office.on_step("job-settled")
            return "done"

    def _execute_job(self, job: Job, step: Step) -> None:
        kind = KINDS.get(job.kind)
        if kind is None:
            raise UnknownKindError(kind=job.kind)
        facts = kind.work(self._office, job, self._trace_step(step))
        self._office.on_step("job-worked")
        with self._office.catalogue.write() as uow:
            jobs.finish_job(uow, job, kind.settle(self._office, uow, job, facts))
            self._office.on_step("job-settling")

    def _trace_step(self, step: Step) -> Step:
        """Wrap a step so that `on_step` is called before and after the engine stores it."""
        on_step = self._office.on_step

        def run_traced_step(name: str, function: Callable[[], Any]) -> Any:
            def run_function() -> Any:
                output = function()
                on_step("job-step-done")
                return output

            output = step(name, run_function)
            on_step("job-step-kept")
            return output

        return run_traced_step

    def _record_failure(self, job: Job, error: Exception) -> str:
        """Write a failure down: our own errors by code; whatever else is logged here, too."""
        final = isinstance(error, LiuhenError) and not error.retryable
        code = error.code if isinstance(error, LiuhenError) else type(error).__name__
        LOG.warning("%s %s failed: %s", job.kind, job.id, code, exc_info=error)
        try:
            with self._office.catalogue.write() as uow:
                state = jobs.fail_job(uow, job, code, final=final)
        except TurnLostError:
            return "lost"
        return "failed" if state is jobs.State.FAILED else "again"

    @contextmanager
    def _in_hand(self, job_id: str) -> Iterator[None]:
        with self._lock:
            self._at_work.add(job_id)
        try:
            yield
        finally:
            with self._lock:
                self._at_work.discard(job_id)


class UnknownKindError(LiuhenError):
    """A job of a kind that this version does not know."""

    code = "unknown-kind"
