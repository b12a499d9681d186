"""A worker: threads that take jobs up, and the beats, periods and burials that keep jobs going.

Every worker beats. Whoever is foreman (one of them, by a lock that dies with its holder) asks for
what is periodic, declares dead who has not beaten for long, so that the others may take up what
that one had in hand, and forgets what is long done.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from api.jobs import registry
from api.jobs.attempt import Runner
from api.jobs.kind import Queue
from api.office.wiring import Office
from policies.identifiers import SYSTEM
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import WorkerBusyError

LOG = logging.getLogger("liuhen.jobs")
_BEATS = 6  # in the time after which a worker counts as dead
_HOUSEKEEPING_S = 600.0
_TICK_S = 2.0
_IDLE_S = 1.0  # until an idle thread asks for a job again
_GRACE_S = 0.5  # for what is in hand, at the end: the rest goes on elsewhere
_STOP_S = 20


class Workers:
    """One process's part in the work. `run` returns when `stop` was called."""

    def __init__(self, office: Office, name: str) -> None:
        self._office = office
        self._name = name
        silent_s = office.settings.worker_silent_s
        # Fast enough for six beats in the time after which a worker counts as dead, so that one
        # that is late by a few is not buried.
        self._every_s = min(_TICK_S, silent_s / _BEATS)
        self._silent_ticks = round(silent_s / self._every_s)
        self._idle_s = min(_IDLE_S, self._every_s)
        self._stop = threading.Event()
        self._runner = Runner(office)
        self._seen: dict[str, tuple[int, int]] = {}  # life -> beats, ticks since they changed

    def stop(self) -> None:
        """End soon; what is in hand is resumed by whoever comes next."""
        self._stop.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Live: register, work, reconcile until stopped.

        `ready` is called once work begins. Raises: WorkerBusyError; errors of the database while
        starting. Later ones are logged, and tried again.
        """
        # Held until the end: on SQLite no second process may take jobs up at all.
        with self._lock_name():
            self._register_life()
            if self._stop.is_set():
                return
            for file in self._office.settings.home.glob("engine.db*"):
                file.unlink(missing_ok=True)  # an engine's of an earlier version; nobody reads it
            threads = self._start_threads()
            try:
                ready()
                self._keep_jobs_going()
            finally:
                self._stop.set()
                try:
                    self._end_life()  # first: what is in hand is anybody's, however our threads end
                finally:
                    patience = time.monotonic() + _GRACE_S  # for all of them together
                    for thread in threads:
                        thread.join(max(0.0, patience - time.monotonic()))

    def _start_threads(self) -> list[threading.Thread]:
        """Start the threads that work: one for quick jobs, some for long ones."""
        streams = {Queue.QUICK: 1, Queue.LONG: self._office.settings.job_streams}
        threads = [
            threading.Thread(
                target=self._work_queue, args=(queue,), name=f"jobs-{queue}", daemon=True
            )
            for queue, count in streams.items()
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _work_queue(self, queue: Queue) -> None:
        """Take up one job of a queue after the other until stopped."""
        while not self._stop.is_set():
            try:
                outcome = self._runner.run_next(queue)
            except Exception:
                # The edge of a thread: a database that is away now comes back.
                if not self._stop.is_set():
                    LOG.exception("taking up jobs failed")
                outcome = None
            if outcome is None:
                self._stop.wait(self._idle_s)

    def _keep_jobs_going(self) -> None:
        ticks = 0
        while True:
            try:
                # First the own beat, then the others': a worker that is slow here must not bury
                # itself.
                if ticks % (self._silent_ticks // _BEATS) == 0:
                    self._send_heartbeat()
                # Whoever gets the lead, tick by tick: it needs no election, and a dead foreman
                # holds nothing up.
                with jobs.lead_reconciliation(self._office.catalogue) as mine:
                    if mine:
                        self._ask_periodic()
                        self._declare_dead_workers()
                        if ticks % max(1, round(_HOUSEKEEPING_S / self._every_s)) == 0:
                            self._delete_old_jobs()
            except WorkerBusyError:
                raise  # another one has taken our name: two of it must not go on
            except Exception:
                # The edge of the worker: a database that is away now comes back.
                LOG.exception("keeping jobs going failed")
            ticks += 1
            if self._stop.wait(self._every_s):
                return

    def _ask_periodic(self) -> None:
        office = self._office
        for kind, slot in registry.list_current_slots(office.clock()):
            # Read first: this runs every two seconds, and takes the writers' lock once in a period.
            with office.catalogue.read() as session:
                is_requested = jobs.asked_for(session, kind.name, SYSTEM, slot)
            if not is_requested:
                with office.catalogue.write() as uow:
                    jobs.request_job(uow, kind.name, SYSTEM, actor=SYSTEM, slot=slot)

    def _declare_dead_workers(self) -> None:
        """Declare dead who has not beaten for `worker_silent_s`, as watched from here."""
        with self._office.catalogue.read() as session:
            alive = {row.life: row.beats for row in jobs.list_workers(session, at_work=True)}
        # Counted in ticks of our own, from when we first saw that number of beats: clocks of other
        # machines are not compared with ours.
        last_beats, self._seen = self._seen, {}
        for life, beats in alive.items():
            before, ticks = last_beats.get(life, (beats, -1))
            ticks = ticks + 1 if beats == before else 0
            self._seen[life] = (beats, ticks)
            if ticks >= self._silent_ticks and life != self._runner.life:
                with self._office.catalogue.write() as uow:
                    # With the beats that we saw: one that beat just now is alive, and nothing
                    # happens.
                    if jobs.declare_dead(uow, life, beats):
                        LOG.warning("worker %s is silent: its jobs are taken over", life)

    def _delete_old_jobs(self) -> None:
        office = self._office
        with office.catalogue.write() as uow:
            jobs.forget_done(uow, office.clock() - timedelta(days=office.settings.job_days))

    def _send_heartbeat(self) -> None:
        catalogue, runner = self._office.catalogue, self._runner
        with catalogue.write() as uow:
            alive = jobs.record_heartbeat(uow, runner.life)
        # Its jobs are another's by now: under a new life it has none, and old attempts end as lost.
        if not alive:
            LOG.warning("worker %s was thought dead; it begins anew", self._name)
            self._register_life()
        in_hand = runner.jobs_in_hand
        with catalogue.read() as session:
            # What a thread took up and no longer works on (its row could not be written then) would
            # wait for as long as this process lives.
            has_orphans = jobs.left_behind(session, runner.life, in_hand)
        if has_orphans:
            with catalogue.write() as uow:
                jobs.let_go(uow, runner.life, runner.jobs_in_hand)

    def _register_life(self) -> None:
        """Begin a life under our name, once it is sure that nobody else lives under it.

        On SQLite the lock of `_alone` says so at once; else whoever holds the name is watched for
        as long as a living one may be silent. Raises: WorkerBusyError.
        """
        holder = self._find_name_holder()
        # On PostgreSQL the holder may be on another machine, where no file lock of ours reaches:
        # its beats are the only sign of life.
        if holder is not None and not self._office.settings.database.startswith("sqlite"):
            for _ in range(self._silent_ticks + 1):
                if self._stop.wait(self._every_s):
                    return
                now = self._find_name_holder()
                # It beat, or another took the name: two workers of one name must not go on.
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
        """Be the one process of this home under this name; on SQLite, under any name.

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


def start_jobs(office: Office, name: str | None = None) -> Callable[..., bool]:
    """Run jobs in this process, beside whatever else it does; return how to stop them.

    What is returned tells them, waits for so many seconds, 0 too, and tells whether they ended.
    Returns at once. `name` is the station's unless given.
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
