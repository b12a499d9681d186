"""What every test may ask for: the real clips, a clock, randomness."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from api.office import identity
from tests import clips, sampling
from tests import fresh as fresh_processes
from tests.bundles import MadeBundle, export_seizure
from tests.closing import Closing
from tests.costs import Costs
from tests.servers import database, reach, s3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=(database.SQLITE, database.POSTGRESQL),
        default=database.SQLITE,
        help="the engine that every catalogue of this run is on",
    )
    parser.addoption(
        "--costs", action="store_true", help="print the tests that take most processor time"
    )


def pytest_configure(config: pytest.Config) -> None:
    database.chosen = config.getoption("--database")
    config.pluginmanager.register(Costs(), "costs")
    config.pluginmanager.register(Closing(), "closing")
    sampling.begin()
    if new := clips.begin():
        config.add_cleanup(lambda: shutil.rmtree(new, ignore_errors=True))
    # A hash that is strong is slow on purpose: most of what it took to set an office up.
    identity.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reach.mark(items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    reach.expect(item)


def pytest_report_header() -> list[str]:
    return [f"database: {database.chosen}", sampling.begin()]


FOOTAGE = os.environ.get("LIUHEN_FOOTAGE")


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips; without it these tests say loudly that they did not run."""
    if not FOOTAGE or not Path(FOOTAGE).is_dir():
        pytest.skip("LIUHEN_FOOTAGE is not set: REAL FOOTAGE WAS NOT TESTED")
    return Path(FOOTAGE)


@pytest.fixture(scope="session")
def fresh() -> ForkServerContext:
    """A server of fresh processes that have the program read already; nothing of ours is open."""
    return fresh_processes.context()


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC)


@pytest.fixture
def entropy() -> Callable[[int], bytes]:
    return os.urandom


@pytest.fixture(scope="session")
def seizure_bundle(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    """A bundle of a closed seizure, made once; what changes it works on a copy."""
    return export_seizure(tmp_path_factory.mktemp("seizure"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.S3Server]:
    """A real S3 server with Object Lock, started once."""
    with s3.provided() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(sampling.begin())  # the header is not shown to whoever asks for -q
    if not FOOTAGE:
        terminalreporter.write_sep(
            "!", "LIUHEN_FOOTAGE is not set: every test on real footage was SKIPPED", red=True
        )
    skipped = terminalreporter.getreports("skipped")
    for missing in (s3.NOT_TESTED, database.NOT_TESTED):
        if any(missing in str(report.longrepr) for report in skipped):
            terminalreporter.write_sep("!", missing, red=True)
