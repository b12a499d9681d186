"""The workflow engine (DBOS) behind one class; nothing else imports it, and importing it is slow.

It dispatches and resumes; what is true about a job stands in our own table
(`storage/catalogue/jobs/jobs.py`), so the engine may forget everything. It keeps ids and the
results of steps, as plain JSON: no key, no name, no text. One engine per process.
"""

import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from storage.errors import CatalogueUnavailableError

Step = Callable[[str, Callable[[], Any]], Any]
Run = Callable[[str, int, Step], str]

_APP = "liuhen"
_VERSION = "jobs-1"  # constant: another one would strand what is under way; see docs/adr/0012
_WORKFLOW = "job"
_ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_CONNECTIONS = 5
_POLL_S = 1.0
_FORGET = 500
_LOST, _LOCKED = "Database connection failed", "database is locked"


@dataclass(frozen=True, slots=True)
class Workflow:
    """Engine state of one attempt; `running_on` names a worker, dead or alive."""

    id: str
    running_on: str | None
    ended: bool


def workflow_id(job: str, attempt: int) -> str:
    """Return the name of a job's attempt in the engine."""
    return f"job:{job}:{attempt}"


def prepare_database(url: str, home: Path, password: str | None = None) -> str:
    """Return the URL of the engine's database: PostgreSQL's schema `dbos`, or a SQLite file.

    The file is in WAL, which persists; `synchronous=FULL` is SQLite's default.
    """
    if not url.startswith("sqlite"):
        if password is None:
            return url
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}{at}{host}"))
    file = home.resolve() / "engine.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    return f"sqlite:///{file}"


class Engine:
    """The engine of this process, under a worker's stable name."""

    def __init__(self, worker: str, url: str, run: Run, queues: Mapping[str, int]) -> None:
        """`run` works on (job, attempt); `queues` says how many at once, by queue."""
        self._worker = worker
        self._url = url
        self._run = run
        self._queues = queues
        self._workflow: Any = None

    def start(self) -> None:
        """Begin to work; what this worker had under way is resumed."""
        run = self._run

        def run_step(name: str, function: Callable[[], Any]) -> Any:
            return DBOS.run_step({"name": name}, function)

        @DBOS.workflow(name=_WORKFLOW)
        def run_attempt(job: str, attempt: int) -> str:
            return run(job, attempt, run_step)

        self._workflow = run_attempt
        config: DBOSConfig = {
            "name": _APP,
            "system_database_url": self._url,
            "application_version": _VERSION,
            "executor_id": self._worker,
            "serializer": DBOSPortableJSONSerializer(),
            "sys_db_pool_size": _CONNECTIONS,
            "log_level": "WARNING",
            "run_migrations": True,
        }
        DBOS(config=config)
        log = logging.getLogger("dbos")
        log.handlers.clear()  # its own, to the error channel; ours are there already
        log.propagate = True
        log.addFilter(_lets_pass)
        DBOS.launch()
        for name, at_once in self._queues.items():
            DBOS.register_queue(
                name,
                worker_concurrency=at_once,
                polling_interval_sec=_POLL_S,
                on_conflict="always_update",
            )

    def enqueue_attempt(self, queue: str, job: str, attempt: int) -> None:
        """Have an attempt worked on by any worker; the same one again changes nothing."""
        with SetWorkflowID(workflow_id(job, attempt)):
            DBOS.enqueue_workflow(queue, self._workflow, job, attempt)

    def find_workflows(self, attempts: Sequence[tuple[str, int]]) -> dict[str, Workflow]:
        """Return what the engine knows of these attempts, by workflow id."""
        if not attempts:
            return {}
        ids = [workflow_id(job, attempt) for job, attempt in attempts]
        statuses = DBOS.list_workflows(workflow_ids=ids, load_input=False, load_output=False)
        return {status.workflow_id: _read_workflow(status) for status in statuses}

    def list_running(self) -> list[Workflow]:
        """Return everything that some worker, dead or alive, has under way."""
        statuses = DBOS.list_workflows(
            status="PENDING", name=_WORKFLOW, load_input=False, load_output=False
        )
        return [_read_workflow(status) for status in statuses]

    def resume_workflows(self, queue: str, workflows: Sequence[str]) -> None:
        """Give to any worker what a dead one had under way; it goes on after its last step."""
        if workflows:
            DBOS.resume_workflows(list(workflows), queue_name=queue)

    def delete_ended_workflows(self, before: datetime) -> int:
        """Delete what ended before then; return how many."""
        statuses = DBOS.list_workflows(
            status=sorted(_ENDED),
            name=_WORKFLOW,
            completed_before=before.isoformat(),
            limit=_FORGET,
            load_input=False,
            load_output=False,
        )
        if statuses:
            DBOS.delete_workflows([status.workflow_id for status in statuses])
        return len(statuses)

    def stop(self, patience_s: int = 0) -> None:
        """Take up nothing more; wait so long for what is in hand. The rest is resumed later."""
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience_s)


def _read_workflow(status: Any) -> Workflow:
    running = status.executor_id if status.status == "PENDING" else None
    return Workflow(status.workflow_id, running, status.status in _ENDED)


def _lets_pass(record: logging.LogRecord) -> bool:
    """Filter the engine's log: errors pass; a lost database passes as our own error.

    It waits for its database for ever, and says so in a warning alone.
    """
    text = " ".join(record.getMessage().split())
    if record.levelno == logging.WARNING and text.startswith(_LOST) and _LOCKED not in text:
        away = CatalogueUnavailableError(database="catalogue", problem=text[:200])
        record.msg, record.args = "%s", (away,)
        return True
    return record.levelno > logging.WARNING
