"""Definition of a job kind: repeatable work, then one transaction that settles it.

`work` reads and does what is safe to repeat; a result that is costly and holds nothing but ids
and digests may go through `step`, and is then not worked out again when another worker resumes
the job. `settle` makes the effect in the transaction that ends the job: exactly once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from api.office.wiring import Office
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.unit_of_work import UnitOfWork

Facts = dict[str, Any]
Step = Callable[[str, Callable[[], Any]], Any]


class Queue(StrEnum):
    """Where a job waits for a worker: reading terabytes must not hold up signing a head."""

    QUICK = "quick"
    LONG = "long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of job. `every` makes it periodic, `at` moves it within its period, county time.

    `person` says that only a person with the right to the footage may ask for it; `askable` that
    an administrator may, `retriable` that he may at least have it tried again once it failed.
    """

    name: str
    zh: str
    work: Callable[[Office, Job, Step], Facts]
    settle: Callable[[Office, UnitOfWork, Job, Facts], Facts]
    queue: Queue = Queue.QUICK
    every: timedelta | None = None
    at: timedelta = timedelta()
    recording: bool = False
    person: bool = False
    askable: bool = False
    retriable: bool = False

    @property
    def may_retry(self) -> bool:
        """Whether an administrator may have it tried again; what unwraps or destroys, never."""
        return self.askable or self.retriable


def do_nothing(_office: Office, _job: Job, _step: Step) -> Facts:
    """Work for kinds that only settle."""
    return {}


def as_found(_office: Office, _uow: UnitOfWork, _job: Job, facts: Facts) -> Facts:
    """Settle for kinds whose work is all: keep what was found."""
    return facts


def recording_of(job: Job) -> str:
    """Return the id of the recording that a job is about."""
    return job.subject.removeprefix("recording:")
