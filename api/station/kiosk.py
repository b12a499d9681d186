"""State of the kiosk at the dock: every bay, the spool, the link to the centre.

Read only, for whoever stands before the station: it needs no login, so it listens on the loopback
address alone, answers GET to its own name alone (a page from elsewhere that points its name at
127.0.0.1 is turned away), and shows no footage. How it looks is `console/screen_page.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from api.office.settings.settings import Settings
from api.problems import SCREEN, alarm_zh, bay_reason_zh
from api.station.process import StationHome, bay_names
from ingest.bays.bay import BayState
from ingest.cameras.room_camera import CameraState
from ingest.station.journal import Backlog, Journal
from storage.catalogue.stations.journal_tables import BayRow

_SILENT = timedelta(seconds=60)  # beyond the pause between two looks
_SPOOL_S = 5.0
_WORDS = {state.value for state in (*BayState, *CameraState)}
_COLOURS: dict[str, str] = {
    BayState.SAFE: "good",
    BayState.ATTENTION: "bad",
    BayState.EMPTY: "quiet",
    BayState.UNKNOWN: "unknown",
    CameraState.OFF: "quiet",
    CameraState.RECORDING: "live",
}


@dataclass(frozen=True, slots=True)
class ScreenBay:
    """One bay on the screen: its colour, large word and what to do.

    `share` is how much of the work in hand is done, 0 to 1, or None where nothing moves; `files`
    and `size` are done and all, in files and bytes.
    """

    name: str
    state: str
    colour: str
    word: str
    hint: str
    reason: str
    source: str
    share: float | None = None
    files: tuple[int, int] = (0, 0)
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class ScreenSpool:
    """What waits for the network, in bytes and recordings, and since when."""

    used: int
    limit: int
    waiting: int
    oldest: datetime | None
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """Whether the centre answers, in words; None of a station that is its own centre."""

    good: bool
    word: str
    reached_at: datetime | None


@dataclass(frozen=True, slots=True)
class KioskState:
    """State of the kiosk at one moment."""

    now: datetime
    name: str
    place: str
    bays: tuple[ScreenBay, ...]
    spool: ScreenSpool | None
    link: Link | None


@dataclass(slots=True)
class Screen:
    """The screen of one running station; `home` is None where station and centre are one."""

    settings: Settings
    journal: Journal
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    home: StationHome | None = None
    _spool: tuple[float, ScreenSpool] | None = None

    def read_state(self) -> KioskState:
        """Return the kiosk's current state."""
        rows = {row.name: row for row in self.journal.list_bays()}
        backlog = self.journal.list_backlog() if self.home is not None else []
        link = self._link_state()
        # After all that is read: a bay that is looked at meanwhile must not lie in the future.
        now = self.clock()
        bays = tuple(
            self._bay_state(name, rows.get(name), backlog, link, now)
            for name in bay_names(self.settings)
        )
        enrolment = self.home.enrolment["station"] if self.home is not None else {}
        return KioskState(
            now,
            enrolment.get("name", self.settings.station_name),
            enrolment.get("township", self.settings.township),
            bays,
            self._read_spool(),
            link,
        )

    def _bay_state(
        self,
        name: str,
        row: BayRow | None,
        backlog: list[Backlog],
        link: Link | None,
        now: datetime,
    ) -> ScreenBay:
        state = row.state if row is not None and row.state in _WORDS else BayState.UNKNOWN.value
        # An old green light is worse than none: whoever trusts it takes a recorder out that is not
        # done.
        if row is None or self._is_silent(row, now):
            state = BayState.UNKNOWN.value
        display_state = state
        # The bay does not know of the network: all is sealed here, and waits for the centre.
        if state == BayState.DELIVERING and link is not None and not link.good:
            display_state = "delivering-away"
        word, hint = SCREEN[display_state]
        bay = ScreenBay(name, state, _COLOURS.get(state, "busy"), word, hint, "", "")
        # Nothing else is shown of it: figures of an unknown bay would be believed.
        if row is None or state == BayState.UNKNOWN:
            return bay
        files, size = row.files_done, row.bytes_done
        if state == BayState.DELIVERING:
            # The bay's own counts end with sealing; what its source has in the spool is counted off
            # them.
            waiting = [
                backlog_entry
                for backlog_entry in backlog
                if backlog_entry.bay == name
                and row.source in {backlog_entry.source, None}  # of a landing folder: all
            ]
            files = max(0, row.files_total - sum(backlog_entry.files for backlog_entry in waiting))
            size = max(0, row.bytes_total - sum(backlog_entry.bytes for backlog_entry in waiting))
        moving = state in {BayState.SCANNING, BayState.SEALING, BayState.DELIVERING}
        share = min(1.0, size / row.bytes_total) if moving and row.bytes_total else None
        camera = name in self.settings.cameras
        return replace(
            bay,
            reason=bay_reason_zh(row.reason, row.facts),
            source=((row.current if camera else row.source) or "").replace("unknown:", "未知设备 "),
            share=share,
            files=(files, row.files_total),
            size=(size, row.bytes_total),
        )

    def _is_silent(self, row: BayRow, now: datetime) -> bool:
        """Tell whether a bay at rest was not looked at for too long; cameras tell changes alone."""
        if row.name in self.settings.cameras or row.state in {
            BayState.MOUNTING,
            BayState.SCANNING,
            BayState.SEALING,
        }:
            return False
        patience = _SILENT + 2 * timedelta(seconds=self.settings.sweep_s)
        # Either way: after a clock was set back, a look from the future proves nothing.
        return abs(now - datetime.fromisoformat(row.changed)) > patience

    def _link_state(self) -> Link | None:
        if self.home is None:
            return None
        away, reached = self.home.away, self.home.reached_at
        if away is not None:
            return Link(good=False, word="未连上县中心", reached_at=reached)  # why: an alarm
        # Not good before the first answer: after a start nobody knows yet.
        word = "已连接县中心" if reached else "正在联系县中心"
        return Link(good=reached is not None, word=word, reached_at=reached)

    def _read_spool(self) -> ScreenSpool | None:
        """Return how the spool is, counted anew every few seconds: that reads the disk."""
        if self.home is None:
            return None
        at = self.monotonic()
        if self._spool is None or at - self._spool[0] >= _SPOOL_S:
            spool_state = self.home.spool()
            oldest = (
                datetime.fromisoformat(spool_state["oldest"]) if spool_state["oldest"] else None
            )
            alarms = tuple(alarm_zh(code) for code in spool_state["alarms"])
            spool = ScreenSpool(
                spool_state["used"], spool_state["limit"], spool_state["waiting"], oldest, alarms
            )
            self._spool = (at, spool)
        return self._spool[1]
