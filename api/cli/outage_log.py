"""Log filter for outages: a line at the start, few while they last, and a line at the end.

A database that is away fails every loop and every request, each with a traceback; a disk that the
log has filled takes evidence with it. This filter of a log handler lets the first record of a
trouble pass and counts the others. What a shared service brings about (`_SHARED`) is one trouble
whoever meets it, told in one line; any other error is told whole, and again whenever it changes.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from policies.time.wording import day_and_clock, length_zh
from storage.catalogue.engine.database import trouble_of
from storage.errors import LiuhenError

LOG = logging.getLogger("liuhen.outages")
REMIND_S = 600.0
QUIET_S = 300.0  # longer than any loop pauses: what was not met for so long is over
SETTLED_S = 5.0  # a service that answers is back when nobody has met its trouble for so long
_LOOK_S = 1.0
_MOST = 500  # troubles at once; whatever comes on top of them is told whole

_SHARED = {
    "catalogue-unavailable": ("数据库无法读写", "the database cannot be read or written"),
    "catalogue-busy": ("数据库正忙", "the database is busy"),
    "store-unavailable": ("对象存储不可用", "the object store is not available"),
    "storage-full": ("磁盘空间不足", "a disk is full"),
    "archive-away": ("归档盘未接入", "the archive is not attached"),
}
_ANSWERING = "response already started"  # Starlette's RuntimeError from any error of ours
_LIBRARIES = {"minio", "psycopg", "psycopg_pool", "sqlalchemy", "urllib3"}
Key = tuple[str, ...]  # of a shared trouble its code, and which of several


@dataclass(slots=True)
class _Trouble:
    """An ongoing outage; times by the monotonic clock, except `since`."""

    since: datetime
    began: float
    met: float
    reported_at: float
    unwritten: int = 0
    recovered_at: float | None = None  # since when the service answers again


class Outages(logging.Filter):
    """Lets a handler write each trouble's beginning, reminders and end.

    `probes` ask a shared service, by a trouble's key, and raise while it is away; a trouble without
    one is over when nobody has met it for `QUIET_S`. `look` is called every second while there is
    any (`start` does that). Records without an error pass untouched.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        probes: Mapping[Key, Callable[[], object]] | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._monotonic = monotonic
        self._probes = probes or {}
        self._troubles: dict[Key, _Trouble] = {}
        self._lock = threading.Lock()
        self._any = threading.Event()

    def start(self) -> None:
        """Look after troubles in a thread that ends with the process."""
        threading.Thread(target=self._run, name="outages", daemon=True).start()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record unchanged; an outage gets one summary line instead."""
        errors = list(_iterate_errors(record))
        # Our own lines always pass: they tell of what is held back.
        if not errors or record.name == LOG.name:
            return True
        shared = next(filter(None, map(_find_shared_trouble, errors)), None)
        key = _trouble_key(shared) if shared is not None else _key_of_another(record, errors[0])
        now = self._monotonic()
        with self._lock:
            trouble = self._troubles.get(key)
            if trouble is None:
                # Bounded: errors whose text differs each time would fill the memory instead of the
                # disk.
                if len(self._troubles) >= _MOST:
                    return True
                self._troubles[key] = _Trouble(self._clock(), now, now, now)
                self._any.set()
            else:
                trouble.met = now
                trouble.unwritten += 1
                trouble.recovered_at = None
        # Outside the lock: writing this line comes through here again.
        if trouble is None and shared is not None:
            zh, en = _SHARED[shared.code]
            text = " ".join(record.getMessage().split())
            if str(shared) not in text:
                text += f": {shared}"
            since = day_and_clock(self._clock())
            LOG.error("%s,自 %s 起,恢复时另行告知。 Down: %s. %s", zh, since, en, text)
        return trouble is None and shared is None

    def report_changes(self) -> None:
        """Log ended outages, and repeat a reminder of ongoing ones."""
        now = self._monotonic()
        with self._lock:
            # A copy: probes may take seconds, and records of other threads must not wait for them.
            troubles = list(self._troubles.items())
        for key, trouble in troubles:
            if self._is_over(key, trouble, now):
                with self._lock:
                    del self._troubles[key]
                    if not self._troubles:
                        self._any.clear()
                self._tell_end(key, trouble)
            elif now - trouble.reported_at >= REMIND_S:
                trouble.reported_at = now
                self._tell_on(key, trouble, now)

    def _run(self) -> None:
        while self._any.wait():
            time.sleep(_LOOK_S)
            self.report_changes()

    def _is_over(self, key: Key, trouble: _Trouble, now: float) -> bool:
        probe = self._probes.get(key)
        if probe is None:
            return now - trouble.met >= QUIET_S
        try:
            probe()
        except Exception:  # noqa: BLE001 - whatever it says but yes: not yet
            trouble.recovered_at = None
            return False
        if trouble.recovered_at is None:
            trouble.recovered_at = now
        # That it answers once is not enough: a database that flaps would fill the log with ends and
        # beginnings.
        return now - trouble.met >= SETTLED_S

    def _tell_end(self, key: Key, trouble: _Trouble) -> None:
        if key[0] not in _SHARED:
            if trouble.unwritten:
                text = "同一错误不再出现,共 %d 次未写。 Not met any more, %d times unwritten: %s"
                LOG.warning(text, trouble.unwritten, trouble.unwritten, key[-1])
            return
        end = trouble.met if trouble.recovered_at is None else trouble.recovered_at
        seconds = max(1, round(end - trouble.began))
        LOG.warning(
            "已恢复(%s),自 %s 起共 %s,%d 条同类记录未写。 Over (%s) after %d s.",
            _SHARED[key[0]][0],
            day_and_clock(trouble.since),
            length_zh(seconds),
            trouble.unwritten,
            "; ".join(key),
            seconds,
        )

    def _tell_on(self, key: Key, trouble: _Trouble, now: float) -> None:
        zh, en = _SHARED.get(key[0], ("同一错误", "The same error"))
        LOG.error(
            "%s,自 %s 起仍未恢复,%d 条同类记录未写。 %s, for %d s now: %s",
            zh,
            day_and_clock(trouble.since),
            trouble.unwritten,
            en,
            round(now - trouble.began),
            key[-1],
        )


def _iterate_errors(record: logging.LogRecord) -> Iterator[BaseException]:
    """Yield the errors that a record carries; of a library's, what it was raised from, too.

    A defect of ours that was met while a trouble was handled is no part of that trouble.
    """
    carried: list[object] = [record.exc_info[1]] if record.exc_info else []
    carried += record.args if isinstance(record.args, tuple) else []
    for error in carried:
        cause = error if isinstance(error, BaseException) else None
        while cause is not None:
            yield cause
            # Of a library's error the cause is followed to what the network or the database said;
            # of ours it is not, for what we raise is the trouble itself.
            library = type(cause).__module__.partition(".")[0] in _LIBRARIES
            cause = cause.__cause__ if library or _ANSWERING in str(cause) else None


def _find_shared_trouble(error: BaseException) -> LiuhenError | None:
    """Return a shared service's trouble that an error is; None for any other."""
    ours = error if isinstance(error, LiuhenError) else trouble_of(error)
    return ours if ours is not None and ours.code in _SHARED else None


def _trouble_key(shared: LiuhenError) -> Key:
    where = (str(shared.facts[name]) for name in ("database", "where") if name in shared.facts)
    return (shared.code, *where)


def _key_of_another(record: logging.LogRecord, error: BaseException) -> Key:
    # With its text: the same error for another file is told once of its own.
    return (record.name, type(error).__name__, str(error), record.getMessage())
