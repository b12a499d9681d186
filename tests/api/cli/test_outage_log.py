"""What a log says of troubles that last: their beginning, reminders, their end, and no more."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from api.cli.outage_log import REMIND_S, SETTLED_S, Outages
from api.station.threads import BayNews
from ingest.bays.bay import Bay, FileReport, Outcome
from storage.errors import (
    CatalogueUnavailableError,
    CustodyError,
    LiuhenError,
    StorageFullError,
    StoreUnavailableError,
)

BEGAN = datetime(2026, 11, 28, 1, 0, tzinfo=UTC)
AWAY = CatalogueUnavailableError(database="catalogue", problem="connection refused")
OURS = logging.getLogger("liuhen.test")


class Written(logging.Handler):
    """Keeps what it is handed as the lines that a log would have."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += self.format(record).splitlines()


class Desk:
    def __init__(self) -> None:
        self.passed = 0.0
        self.away: LiuhenError | None = None
        self.handler = Written()
        probe: Callable[[], object] = self._ask
        self.outages = Outages(
            lambda: BEGAN + timedelta(seconds=self.passed),
            lambda: self.passed,
            {("catalogue-unavailable", "catalogue"): probe, ("store-unavailable",): probe},
        )
        self.handler.addFilter(self.outages)

    def _ask(self) -> None:
        if self.away is not None:
            raise copy(self.away)

    def live(self, seconds: int, every_s: int, act: Callable[[], object] = lambda: None) -> None:
        """Let seconds pass, with an act every so many of them."""
        for second in range(seconds):
            if second % every_s == 0:
                act()
            self.passed += 1
            self.outages.report_changes()

    @property
    def lines(self) -> list[str]:
        found, self.handler.lines = self.handler.lines, []
        return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    root = logging.getLogger()
    root.addHandler(desk.handler)
    yield desk
    root.removeHandler(desk.handler)


def fail(error: Exception, text: str = "reconciling failed") -> None:
    try:
        raise copy(error)  # a traceback grows by each raise
    except type(error):
        OURS.exception(text)


def copy(error: Exception) -> Exception:
    return type(error)(**error.facts) if isinstance(error, LiuhenError) else error


def test_database_away_for_an_hour_takes_a_line_each_ten_minutes(desk: Desk) -> None:
    desk.away = AWAY
    desk.live(3600, 2, lambda: fail(AWAY))
    lines = desk.lines
    assert len(lines) == 1 + 3600 // REMIND_S
    assert lines[0].startswith("数据库无法读写,自 2026-11-28 09:00:00 起")
    assert "connection refused" in lines[0]
    assert "仍未恢复" in lines[1]
    desk.away = None
    desk.live(60, 60)
    (over,) = desk.lines
    assert over.startswith("已恢复(数据库无法读写),自 2026-11-28 09:00:00 起共 1小时00分")
    assert "1799 条同类记录未写" in over


def test_everything_that_one_service_brings_about_is_one_trouble(desk: Desk) -> None:
    desk.away = AWAY
    lost = psycopg.OperationalError("the connection is lost")
    fail(AWAY)
    fail(lost, "Exception terminating connection")
    fail(OperationalError("SELECT 1", {}, lost), "listing workflows failed")
    OURS.error("%s %s: %s", "GET", "/bays", AWAY)
    try:
        raise RuntimeError("Caught handled exception, but response already started.") from AWAY
    except RuntimeError:
        OURS.exception("the answer had begun")
    assert len(desk.lines) == 1
    store = StoreUnavailableError(problem="timed out")
    fail(store)
    fail(StorageFullError(where="spool"))
    assert [line.split(",")[0] for line in desk.lines] == ["对象存储不可用", "磁盘空间不足"]


def test_service_that_answers_now_and_then_is_not_back(desk: Desk) -> None:
    desk.live(600, int(SETTLED_S) - 1, lambda: fail(AWAY))  # the probe always answers
    assert len(desk.lines) <= 2


def test_other_errors_are_written_whole(desk: Desk) -> None:
    desk.away = AWAY
    fail(AWAY)
    assert len(desk.lines) == 1
    fail(ValueError("a defect"))
    lines = desk.lines
    assert lines[0] == "reconciling failed"
    assert lines[1].startswith("Traceback")
    assert lines[-1] == "ValueError: a defect"
    try:
        try:
            raise AWAY
        except CatalogueUnavailableError:
            raise KeyError("met while the outage was handled")  # noqa: B904 - as a slip does
    except KeyError:
        OURS.exception("handling failed")
    assert any("met while the outage was handled" in line for line in desk.lines)
    try:
        raise KeyError("a slip, said to come from it") from AWAY
    except KeyError:
        OURS.exception("handling failed")
    assert any("a slip, said to come from it" in line for line in desk.lines)
    OURS.warning("%s: %s", "bay-1", "gone")
    OURS.warning("%s: %s", "bay-1", "gone")
    assert desk.lines == ["bay-1: gone"] * 2


def test_equal_errors_are_written_once_and_any_other_at_once(desk: Desk) -> None:
    refusal = CustodyError(problem="the log is smaller than before", before=9, now=8)
    desk.live(3600, 60, lambda: fail(refusal, "publishing the log's head failed"))
    lines = desk.lines
    assert len([line for line in lines if line.startswith("Traceback")]) == 1
    assert sum("仍未恢复" in line for line in lines) == 3600 // REMIND_S
    fail(CustodyError(problem="the log is not the one that was signed", at=9))
    assert any(line.startswith("Traceback") for line in desk.lines)
    desk.live(600, 600)
    assert any("共 59 次未写" in line for line in desk.lines)
    fail(refusal, "publishing the log's head failed")
    assert any(line.startswith("Traceback") for line in desk.lines)


def test_database_that_goes_again_is_told_again(desk: Desk) -> None:
    for _ in range(2):
        desk.away = AWAY
        desk.live(10, 2, lambda: fail(AWAY))
        desk.away = None
        desk.live(10, 10)
        first, last = desk.lines
        assert first.startswith("数据库无法读写")
        assert "共 11秒" in last  # as of the look after it came back


def test_file_that_stays_stuck_is_news_once(tmp_path) -> None:
    news, bay = BayNews(), Bay("bay-1", tmp_path)
    stuck = FileReport("a.mp4", Outcome.FAILED, reason="catalogue-unavailable")
    other = FileReport("b.mp4", Outcome.FAILED, reason="catalogue-unavailable")
    assert news.select_unreported(bay, [stuck]) == [stuck]
    assert news.select_unreported(bay, [stuck]) == []
    assert news.select_unreported(bay, [stuck, other]) == [other]
    assert news.select_unreported(bay, [FileReport("a.mp4", Outcome.ACCESSIONED)]) == []
    assert news.select_unreported(bay, [stuck]) == [stuck]
