"""Workers killed with -9 or asleep amid a job: every job is done once in effect, none is lost."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete

from api.jobs.worker import Workers
from api.office.evidence.integrity_check import whole_check
from api.office.wiring import Office
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs
from storage.catalogue.jobs.jobs import State, WorkerBusyError
from storage.catalogue.jobs.tables import JobStepRow
from storage.catalogue.log import custody_log
from storage.catalogue.recordings import recordings
from tests.faults import work_once
from tests.office import FIRST, Desk, dock, segment, settings_for
from tests.servers import postgres

PATIENCE_S = 60
STEPS = (
    "job-taken",  # before the effect
    "job-step-done",  # in the middle: read, and not remembered
    "job-step-kept",  # read and remembered
    "job-worked",
    "job-settling",  # before the commit
    "job-settled",  # after it
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Postgres]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


class Place:
    """An office with two recordings, a job to verify each, and the workers that a test starts."""

    def __init__(self, folder: Path, url: str, fresh: ForkServerContext) -> None:
        self.folder, self.url, self._fresh = folder, url, fresh
        self.office = Office.open(self.settings())
        self._started: list[ForkServerProcess] = []

    def settings(self, **more: object):
        silent = work_once.SILENT_S
        return settings_for(self.folder, database_url=self.url, worker_silent_s=silent, **more)

    def start(self, name: str, *more: object) -> ForkServerProcess:
        worker = self._fresh.Process(
            target=work_once.main, args=(self.folder, self.url, name, *more)
        )
        worker.start()
        self._started.append(worker)
        return worker

    def killed_at(self, name: str, step: str, nth: int = 1) -> None:
        worker = self.start(name, "kill", step, nth)
        worker.join(PATIENCE_S)
        assert worker.exitcode == -signal.SIGKILL

    def ask(self) -> list[str]:
        with self.office.catalogue.write() as uow:
            rows = [
                jobs.request_job(uow, "verify", Subject.of_recording(row.id), actor="system")
                for row in recordings.iterate_recordings(uow.session)
            ]
        return [row.id for row in rows]

    def until(self, met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not met():
            assert time.monotonic() < deadline, self.shown()
            threading.Event().wait(0.1)

    def steps(self, name: str) -> list[str]:
        file = self.folder / f"steps-{name}"
        return file.read_text().split() if file.exists() else []

    def rows(self, kind: str | None = None):
        with self.office.catalogue.read() as session:
            return jobs.list_jobs(session, kind=kind, limit=1000)

    def shown(self) -> list[tuple[object, ...]]:
        return [(r.kind, r.state, r.attempt, r.failures, r.turn, r.error) for r in self.rows()]

    def all_done(self) -> bool:
        return all(row.state == State.DONE for row in self.rows())

    def entries(self) -> list[str]:
        """The subject of every verification in the log."""
        with self.office.catalogue.read() as session:
            return [
                event.subject
                for row in recordings.iterate_recordings(session)
                for event in custody_log.LogReader(session).events_of(Subject.of_recording(row.id))
                if event.act == "recording.verify"
            ]

    def check_each_done_once(self, asked: list[str]) -> None:
        done = [row for row in self.rows("verify") if row.id in asked]
        assert [row.state for row in done] == [State.DONE] * len(asked)
        told = self.entries()
        others = [row for row in self.rows("verify") if row.id not in asked]
        assert len(told) == len(asked) + sum(row.state == State.DONE for row in others)
        assert list(whole_check(self.office)) == []

    def close(self) -> None:
        for worker in self._started:
            if worker.is_alive():
                os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        self.office.close()


@pytest.fixture(scope="session")
def templates(
    tmp_path_factory: pytest.TempPathFactory, server: postgres.Postgres, fresh: ForkServerContext
) -> dict[str, tuple[Path, str]]:
    """An office with two recordings, once on each database; copy it, never open it.

    What is periodic was done there already.
    """
    made = {}
    for name in ("sqlite", "postgresql"):
        folder = tmp_path_factory.mktemp(name)
        url = None if name == "sqlite" else server.create()
        desk = Desk.set_up(folder, database_url=url)
        for path in dock(desk, "bay-1", FIRST, segment(0, 1), segment(2, 1)):
            path.with_suffix(".log").unlink()
        desk.sweep()
        desk.office.close()
        place = Place(folder, url or f"sqlite:///{folder}/var/catalogue.db", fresh)
        place.start("worker-0")
        place.until(lambda place=place: bool(place.rows()) and place.all_done())
        place.close()
        source = (url or "").rpartition("/")[2]
        place.until(lambda source=source: not _connected(server, source))
        made[name] = (folder, source)
    return made


Opener = Callable[[str], Place]


@pytest.fixture
def opened(templates, server, tmp_path: Path, fresh: ForkServerContext) -> Iterator[Opener]:
    places = []

    def opener(name: str) -> Place:
        template, source = templates[name]
        folder = tmp_path / "office"
        shutil.copytree(template, folder)
        url = server.create(source) if source else f"sqlite:///{folder}/var/catalogue.db"
        places.append(Place(folder, url, fresh))
        return places[-1]

    yield opener
    for place in places:
        place.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, opened: Opener) -> Place:
    return opened(request.param)


@pytest.fixture
def county(opened: Opener) -> Place:
    return opened("postgresql")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_and_restarted_every_job_is_done_once(place: Place, step: str) -> None:
    asked = place.ask()
    place.killed_at("worker-1", step, 2)
    place.start("worker-1")
    place.until(place.all_done)
    place.check_each_done_once(asked)


def test_the_steps_are_all_listed(place: Place) -> None:
    asked = place.ask()
    place.start("worker-1")
    place.until(place.all_done)
    assert set(place.steps("worker-1")) == set(STEPS)
    place.check_each_done_once(asked)


def test_what_was_read_before_the_kill_is_not_read_again(place: Place) -> None:
    with place.office.catalogue.write() as uow:
        first, _second = recordings.iterate_recordings(uow.session)
        jobs.request_job(uow, "verify", Subject.of_recording(first.id), actor="system")
    place.killed_at("worker-1", "job-step-kept")
    before = place.steps("worker-1").count("job-step-done")
    place.start("worker-1")
    place.until(lambda: bool(place.entries()))
    place.until(place.all_done)
    # The step that was remembered is passed over: fewer steps were done than kept.
    steps = place.steps("worker-1")
    assert steps.count("job-step-kept") > steps.count("job-step-done") >= before


def test_steps_that_were_lost_are_done_again(place: Place) -> None:
    asked = place.ask()
    place.killed_at("worker-1", "job-step-kept")
    with place.office.catalogue.write() as uow:
        uow.session.execute(delete(JobStepRow))
    place.start("worker-1")
    place.until(place.all_done)
    place.check_each_done_once(asked)


def test_a_dead_workers_jobs_are_taken_over_by_another(county: Place) -> None:
    asked = county.ask()
    county.killed_at("worker-1", "job-step-done", 2)
    county.start("worker-2")
    county.until(county.all_done)
    county.check_each_done_once(asked)


def test_a_slow_worker_whose_job_was_taken_over_does_no_harm(county: Place) -> None:
    """The first worker sleeps amid a job, is thought dead, and goes on when all is done."""
    asked = county.ask()
    county.start("worker-1", "sleep", "job-worked", 2)
    county.until(lambda: county.steps("worker-1").count("job-worked") == 2)
    county.start("worker-2")
    county.until(county.all_done)
    before = len(county.entries())
    (county.folder / "awake").touch()
    county.until(lambda: {"worker-1", "worker-2"} <= _living(county))
    again = county.ask()
    county.until(county.all_done)
    assert len(county.entries()) == before + len(again)
    county.check_each_done_once([*asked, *again])


def test_two_workers_share_and_never_have_one_job_at_a_time(county: Place) -> None:
    county.start("worker-1")
    county.start("worker-2")
    county.until(lambda: {"worker-1", "worker-2"} <= _living(county))
    asked = [job for _ in range(10) for job in county.ask()]
    county.until(county.all_done)
    assert {row.turn for row in county.rows("verify")} == {1}
    county.check_each_done_once(asked)
    taken = [county.steps(name).count("job-taken") for name in ("worker-1", "worker-2")]
    assert min(taken) > 0
    assert sum(taken) >= len(asked)


def test_a_second_worker_of_one_name_is_refused(place: Place) -> None:
    place.start("worker-1")
    place.until(lambda: "worker-1" in _living(place))
    second = Workers(place.office, "worker-1")
    with pytest.raises(WorkerBusyError):
        second.run()
    place.until(place.all_done)


def test_a_second_worker_of_one_name_on_another_machine_is_refused(
    county: Place, tmp_path: Path
) -> None:
    """Another machine has another home: only the row in the database tells."""
    county.start("worker-1")
    county.until(lambda: "worker-1" in _living(county))
    (county.folder / "var" / "jobs-worker-1.lock").unlink()
    with pytest.raises(WorkerBusyError):
        Workers(county.office, "worker-1").run()


def test_a_name_is_free_again_when_its_worker_died(county: Place) -> None:
    asked = county.ask()
    county.killed_at("worker-1", "job-taken")
    county.start("worker-1")
    county.until(county.all_done)
    county.check_each_done_once(asked)


def _living(place: Place) -> set[str]:
    with place.office.catalogue.read() as session:
        return {row.name for row in jobs.list_workers(session) if row.ended_at is None}


def _connected(server: postgres.Postgres, source: str) -> int:
    """How many still hold this database: killed, they are gone a moment later."""
    with psycopg.connect(server.url("postgres").replace("+psycopg", "")) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (source,)
        ).fetchone()
    return found[0] if found else 0
