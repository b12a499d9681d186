"""Keeps jobs going: a worker's life, and the reconciler that makes the engine follow our table.

Every worker beats. Whoever is foreman (one of them, by a lock that dies with its holder) asks for
what is periodic, declares dead who has not beaten for long, gives their work to the living, and
starts an engine workflow for every job that is due and that nobody has. It may be done at any
time and any number of times, and does not need the engine to remember anything.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from api.jobs import registry
from api.jobs.attempt import Runner
from api.jobs.kind import SYSTEM, Queue
from api.office.settings.settings import Settings
from api.office.wiring import Office
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import WorkerBusyError
from storage.catalogue.jobs.tables import JobRow

if TYPE_CHECKING:
    from api.jobs.engine import Engine, Workflow

LOG = logging.getLogger("liuhen.jobs")
_WINDOW = 100  # jobs of one queue that the engine is shown at a time
_BEATS = 6  # in the time after which a worker counts as dead
_ENGINE_KEEPS = timedelta(hours=1)
_HOUSEKEEPING_S = 600.0
_TICK_S = 2.0
_STOP_S = 20


class Workers:
    """One process's part in the work. `run` returns when `stop` was called."""

    def __init__(self, office: Office, name: str) -> None:
        self._office = office
        self._name = name
        silent_s = office.settings.worker_silent_s
        self._every_s = min(_TICK_S, silent_s / _BEATS)
        self._silent_ticks = round(silent_s / self._every_s)
        self._stop = threading.Event()
        self._runner = Runner(office)
        self._seen: dict[str, tuple[int, int]] = {}  # life -> beats, ticks since they changed

    def stop(self) -> None:
        """End soon; what is in hand is resumed by whoever comes next."""
        self._stop.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Register, work and reconcile until stopped.

        `ready` is called once work begins. Raises: WorkerBusyError; errors of the database while
        starting. Later ones are logged, and tried again.
        """
        with self._lock_name():
            self._register_life()
            if self._stop.is_set():
                return
            from api.jobs.engine import Engine, prepare_database  # noqa: PLC0415 - takes seconds to import

            settings = self._office.settings
            queues = {Queue.QUICK.value: 1, Queue.LONG.value: settings.job_streams}
            where = prepare_database(
                settings.database, settings.home, _read_database_password(settings)
            )
            engine = Engine(self._name, where, self._runner.run, queues)
            try:
                engine.start()
                ready()
                self._work_until_stopped(engine)
            finally:
                try:
                    self._end_life()  # first: what is in hand is anybody's, however our threads end
                finally:
                    engine.stop()

    def _work_until_stopped(self, engine: "Engine") -> None:
        ticks = 0
        while True:
            try:
                if ticks % (self._silent_ticks // _BEATS) == 0:
                    self._send_heartbeat()
                with jobs.lead_reconciliation(self._office.catalogue) as mine:
                    if mine:
                        self.reconcile_engine(engine)
                        if ticks % max(1, round(_HOUSEKEEPING_S / self._every_s)) == 0:
                            self._delete_old_jobs(engine)
            except WorkerBusyError:
                raise  # another one has taken our name: two of it must not go on
            except Exception:
                # The edge of the worker: a database that is away now comes back.
                LOG.exception("reconciling failed")
            ticks += 1
            if self._stop.wait(self._every_s):
                return

    def reconcile_engine(self, engine: "Engine") -> None:
        """Bring the engine to what the table says. The caller is the foreman."""
        self._ask_periodic()
        self._declare_dead_workers()
        living = self._list_living_workers()
        running = engine.list_running()
        stranded = [workflow.id for workflow in running if workflow.running_on not in living]
        engine.resume_workflows(Queue.LONG, stranded)
        for queue in Queue:
            self._start_due_jobs(engine, queue, set(stranded))

    def _ask_periodic(self) -> None:
        office = self._office
        for kind, slot in registry.list_current_slots(office.clock()):
            with office.catalogue.read() as session:
                job_exists = jobs.asked_for(session, kind.name, SYSTEM, slot)
            if not job_exists:
                with office.catalogue.write() as uow:
                    jobs.request_job(uow, kind.name, SYSTEM, actor=SYSTEM, slot=slot)

    def _declare_dead_workers(self) -> None:
        """Declare dead each worker that sent no heartbeat for `worker_silent_s`."""
        with self._office.catalogue.read() as session:
            alive = {row.life: row.beats for row in jobs.list_workers(session, at_work=True)}
        last_beats, self._seen = self._seen, {}
        for life, beats in alive.items():
            before, ticks = last_beats.get(life, (beats, -1))
            ticks = ticks + 1 if beats == before else 0
            self._seen[life] = (beats, ticks)
            if ticks >= self._silent_ticks and life != self._runner.life:
                with self._office.catalogue.write() as uow:
                    if jobs.declare_dead(uow, life, beats):
                        LOG.warning("worker %s is silent: its jobs are taken over", life)

    def _list_living_workers(self) -> set[str]:
        with self._office.catalogue.read() as session:
            return {row.name for row in jobs.list_workers(session, at_work=True)}

    def _start_due_jobs(self, engine: "Engine", queue: Queue, resumed: set[str]) -> None:
        from api.jobs.engine import workflow_id  # noqa: PLC0415 - as above

        catalogue = self._office.catalogue
        with catalogue.read() as session:
            rows = jobs.list_unfinished(
                session, catalogue.now(), registry.list_kind_names(queue), _WINDOW
            )
        workflows = engine.find_workflows([(row.id, row.attempt) for row in rows])
        for row in rows:
            name = workflow_id(row.id, row.attempt)
            workflow = workflows.get(name)
            if name not in resumed:
                self._assign_job(engine, queue, row, workflow)

    def _assign_job(
        self, engine: "Engine", queue: Queue, row: JobRow, workflow: "Workflow | None"
    ) -> None:
        """Enqueue the job in the engine, or renew or resume its workflow there."""
        if workflow is None:
            engine.enqueue_attempt(queue, row.id, row.attempt)
        elif workflow.ended:
            with self._office.catalogue.write() as uow:
                jobs.next_attempt(uow, row.id, row.attempt)
        elif workflow.running_on is not None and row.state == jobs.State.RUNNING:
            # Its taker is dead, and yet the engine believes that somebody has it.
            engine.resume_workflows(queue, [workflow.id])

    def _delete_old_jobs(self, engine: "Engine") -> None:
        office = self._office
        now = office.clock()
        while engine.delete_ended_workflows(now - _ENGINE_KEEPS) and not self._stop.is_set():
            pass
        with office.catalogue.write() as uow:
            jobs.forget_done(uow, now - timedelta(days=office.settings.job_days))

    def _send_heartbeat(self) -> None:
        catalogue, runner = self._office.catalogue, self._runner
        with catalogue.write() as uow:
            alive = jobs.record_heartbeat(uow, runner.life)
        if not alive:
            LOG.warning("worker %s was thought dead; it begins anew", self._name)
            self._register_life()
        at_work = runner.at_work
        with catalogue.read() as session:
            abandoned_jobs = jobs.left_behind(session, runner.life, at_work)
        if abandoned_jobs:
            with catalogue.write() as uow:
                jobs.let_go(uow, runner.life, runner.at_work)

    def _register_life(self) -> None:
        """Register this worker under its name, once no other living worker holds it.

        On SQLite the lock of `_alone` says so at once; else whoever holds the name is watched for
        as long as a living one may be silent. Raises: WorkerBusyError.
        """
        holder = self._find_name_holder()
        if holder is not None and not self._office.settings.database.startswith("sqlite"):
            for _ in range(self._silent_ticks + 1):
                if self._stop.wait(self._every_s):
                    return
                now = self._find_name_holder()
                if now is not None and now != holder:
                    raise WorkerBusyError(worker=self._name)
        with self._office.catalogue.write() as uow:
            over = holder[0] if holder is not None else None
            self._runner.life = jobs.register_worker(uow, self._name, over=over)

    def _find_name_holder(self) -> tuple[str, int] | None:
        with self._office.catalogue.read() as session:
            for row in jobs.list_workers(session, at_work=True):
                if row.name == self._name:
                    return row.life, row.beats
        return None

    def _end_life(self) -> None:
        with self._office.catalogue.write() as uow:
            jobs.deregister_worker(uow, self._runner.life)

    @contextmanager
    def _lock_name(self) -> Iterator[None]:
        """Lock the worker's name in this home; on SQLite, lock the whole home.

        Raises: WorkerBusyError.
        """
        sqlite = self._office.settings.database.startswith("sqlite")
        file = self._office.settings.home / ("jobs.lock" if sqlite else f"jobs-{self._name}.lock")
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WorkerBusyError(worker=self._name) from error
            yield
        finally:
            os.close(handle)


def _read_database_password(settings: Settings) -> str | None:
    file = settings.database_password_file
    return file.read_text(encoding="utf-8").strip() if file is not None else None


def start_jobs(office: Office, name: str | None = None) -> Callable[..., bool]:
    """Run jobs in this process, beside whatever else it does; return how to stop them.

    What is returned tells them, waits for so many seconds, 0 too, and tells whether they ended.
    Returns at once: the engine takes seconds to load. `name` is the station's unless given.
    """
    workers = Workers(office, name or office.settings.station)

    def run_workers() -> None:
        try:
            workers.run()
        except Exception:
            LOG.exception("jobs do not run in this process")

    thread = threading.Thread(target=run_workers, name="jobs", daemon=True)
    thread.start()

    def stop_workers(timeout_s: float = _STOP_S) -> bool:
        workers.stop()
        thread.join(timeout_s)
        return not thread.is_alive()

    return stop_workers
