"""Room cameras: one recorder for each camera, in segments that the station takes as evidence.

A recorder keeps its camera's stream exactly as it comes (`media.py: Sandbox.record`), in segments
that it closes, names by the station's clock and moves, whole, into a landing folder. What a
segment is called is what is claimed of it: the start is when its first packet came here. When the
camera goes away the segment ends with it, and the next one begins when it is back: no file ever
spans a break. A segment that a crash cut off is landed by the next start, as far as it was
written, without an end in its name.

Footage is never deleted here. Before the disk is full the recorder stops and says so.
Cameras' passwords are read from their file for each connection and go to `rtsp.py` alone.
"""

import json
import logging
import math
import os
import re
import selectors
import shutil
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from ingest.cameras.rtsp import INSIDE, Address, Answer, CameraError, Login, Relay, connect_camera
from ingest.media.sandbox import MediaToolError, Plan, Recording, Sandbox
from storage.durable import replace_file, sync_folder

LOG = logging.getLogger("liuhen.cameras")
REQUEST_SUFFIX = "wanted"
_BLOCK = 1 << 16
_TICK_S = 0.5
_CLOSE_S = 20.0
_LINE_S = 30.0
_SEGMENT = re.compile(r"(\d{6})\.mkv")
_STARTS = "starts.json"
_DRIFT_S = 1.0
_CLOSURES = 3


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera and where it looks; `name` becomes the recordings' source."""

    name: str
    address: Address
    room: str
    user: str | None = None
    password_file: Path | None = None
    always: bool = True

    def read_login(self) -> Login | None:
        """Read the password anew. Raises: CameraError(secret)."""
        if self.user is None or self.password_file is None:
            return None
        # Read at each connection: a changed password counts from the next one on, without a
        # restart.
        try:
            return Login(self.user, self.password_file.read_text(encoding="utf-8").strip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise CameraError("secret", camera=self.name) from error


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, bytes per second."""

    segment_s: int = 300
    most: float = 4e6
    reserve: int = 10 << 30
    connect_s: float = 10.0
    silence_s: float = 10.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0

    @property
    def file_bytes(self) -> int:
        """What one segment may hold: all that is let through in its time, and the burst."""
        return int(self.most * (self.segment_s + 60))


class CameraState(StrEnum):
    """What an operator sees of a camera."""

    OFF = "camera-off"  # not wanted now
    RECORDING = "recording"
    ATTENTION = "attention"  # wanted, but not recorded; `reason` says why


@dataclass(frozen=True, slots=True)
class Places:
    """A camera's folders, below one home: what is being written, and what has landed."""

    open: Path
    landing: Path
    request: Path

    @classmethod
    def for_camera(cls, home: Path, name: str) -> "Places":
        """Return the folders of one camera; `landing` is a sub-folder of the bay `landed`."""
        return cls(
            home / "open" / name,
            landing_folder(home) / name,
            home / "open" / f"{name}.{REQUEST_SUFFIX}",
        )


def landing_folder(home: Path) -> Path:
    """Return the landing folder that a station watches, of all cameras together."""
    return home / "landed"


def ask_for(places: Places, at: datetime) -> None:
    """Have a camera recorded from now on, until `let_go`; survives restarts."""
    places.request.parent.mkdir(parents=True, exist_ok=True)
    # A file and not a row: it survives a restart, and needs no database beside the recorder.
    replace_file(places.request, at.isoformat().encode())


def let_go(places: Places) -> None:
    """Have a camera recorded no more, unless it always is."""
    places.request.unlink(missing_ok=True)


@dataclass(slots=True)
class Timeline:
    """When the segments of one session began, by the station's clock.

    ffmpeg tells seconds since the first packet, by the camera's clock; the first packet's time
    is known here. A camera's clock that runs wrong is followed only when three closures in a row
    came too early or too late by a second: one late closure is a slow network, not a wrong clock.
    """

    began: datetime
    _late: deque[float] = field(default_factory=lambda: deque(maxlen=_CLOSURES))

    def time_at(self, seconds: float) -> datetime:
        """Return the time of a moment of the session."""
        return self.began + timedelta(seconds=seconds)

    def record_closure(self, seconds: float, now: datetime) -> None:
        """Record a segment's end, in seconds of the session, and its time of closure."""
        self._late.append((now - self.time_at(seconds)).total_seconds())
        # The smallest of the last few: lateness of the network only ever adds to it.
        drift = min(self._late, key=abs)
        if len(self._late) == _CLOSURES and abs(drift) > _DRIFT_S:
            LOG.warning("a camera's clock is %+.1f s off ours; followed", drift)
            self.began += timedelta(seconds=drift)
            self._late.clear()


class _StopError(Exception):
    """The session is to end, in good order."""


@dataclass(slots=True)
class Recorder:
    """Records one camera for as long as `run` is let run; `tell` hears state and reason."""

    camera: Camera
    places: Places
    sandbox: Sandbox
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    entropy: Callable[[int], bytes]
    limits: Limits = field(default_factory=Limits)
    tell: Callable[[CameraState, str | None], None] = lambda _state, _reason: None
    _last_report: tuple[CameraState, str | None] | None = None

    def run(self, stop: threading.Event) -> None:
        """Record whenever the camera is wanted, and try again whenever it fails, until stopped."""
        self.places.landing.mkdir(parents=True, exist_ok=True)
        self.places.open.mkdir(parents=True, exist_ok=True)
        # Before a new session: its folder lies among those that a crash left.
        recover_segments(self.places, self.camera.name)
        wait = self.limits.first_wait_s
        while not stop.is_set():
            if not self.is_requested():
                self._report_state(CameraState.OFF, None)
                wait = self.limits.first_wait_s
                stop.wait(_TICK_S)
                continue
            began = self.monotonic()
            try:
                self._record_session(stop)
                reason = None
            except CameraError as error:
                reason = error.reason
                LOG.warning("%s: %s", self.camera.name, error)
            except MediaToolError as error:
                reason = "camera-no-tool"
                LOG.warning("%s: %s", self.camera.name, error)
            except OSError as error:
                reason = "camera-disk"
                LOG.warning("%s: %s", self.camera.name, error)
            if reason is not None:
                self._report_state(CameraState.ATTENTION, reason)
                # It recorded for a while: the next failure is a new one, and is tried again soon.
                if self.monotonic() - began > self.limits.longest_wait_s:
                    wait = self.limits.first_wait_s
                stop.wait(wait)
                wait = min(wait * 2, self.limits.longest_wait_s)
        self._report_state(CameraState.OFF, None)

    def show_defect(self) -> None:
        """Say at the dock that the recording ended by a defect of ours, and is begun anew."""
        self._report_state(CameraState.ATTENTION, "defect")

    def is_requested(self) -> bool:
        """Tell whether the camera is to be recorded now."""
        return self.camera.always or self.places.request.exists()

    def _measure_room(self) -> int:
        """Return how many bytes there are above the disk's reserve."""
        return shutil.disk_usage(self.places.open).free - self.limits.reserve

    def _record_session(self, stop: threading.Event) -> None:
        """Record one connection. Raises: CameraError, MediaToolError, OSError."""
        # A quarter of a segment at least, or it would be cut short as soon as it had begun.
        if self._measure_room() <= self.limits.file_bytes // 4:
            raise CameraError("disk", free_mb=shutil.disk_usage(self.places.open).free >> 20)
        login = self.camera.read_login()
        answer = Answer(login, self.entropy) if login else None
        # Before ffmpeg is started: a camera that is away costs no process.
        with connect_camera(self.camera.address, self.limits.connect_s) as line:
            folder = self.places.open / f"{self.clock().astimezone(UTC):%Y%m%dT%H%M%S%f}"
            folder.mkdir()
            plan = Plan(INSIDE, self.limits.segment_s, self.limits.file_bytes)
            try:
                running = self.sandbox.record_camera(plan, folder)
                relay = Relay(self.camera.address, answer, self.limits.most)
                session = _Session(self, folder, running, line, relay)
                session.run(stop)
            finally:
                _land_segments(folder, self.places, self.camera.name)

    def _report_state(self, state: CameraState, reason: str | None) -> None:
        if (state, reason) != self._last_report:
            self._last_report = (state, reason)
            self.tell(state, reason)


class _Session:
    """One connection: bytes to and fro, segments landed as ffmpeg closes them."""

    def __init__(
        self,
        recorder: Recorder,
        folder: Path,
        running: Recording,
        line: socket.socket,
        relay: Relay,
    ) -> None:
        self._of = recorder
        self._folder = folder
        self._running = running
        self._line = line
        self._relay = relay
        self._timeline: Timeline | None = None
        self._printed = b""
        self._next = 0.0

    def run(self, stop: threading.Event) -> None:
        """Go on until stopped, unwanted, or failed. Raises: CameraError, OSError."""
        self._line.settimeout(self._of.limits.connect_s)
        self._running.line.settimeout(_LINE_S)
        failed: CameraError | None = None
        try:
            self._relay_traffic(stop)
        except _StopError:
            pass
        except CameraError as error:
            failed = error
        except OSError as error:
            failed = CameraError("away", problem=type(error).__name__)
        finally:
            # Also after a failure: ffmpeg closes its last segment and prints its end, which is
            # landed below.
            self._printed += self._running.end_conversation(_CLOSE_S)
            complaints = self._running.read_errors()
        self._land_closed_segments()
        if failed is not None and failed.reason == "camera-no-tool":
            LOG.warning("%s: ffmpeg: %r", self._of.camera.name, complaints)
        if failed is not None:
            raise failed

    def _relay_traffic(self, stop: threading.Event) -> None:
        limits, monotonic = self._of.limits, self._of.monotonic
        # Silence is of the camera alone: bytes from inside prove nothing about it.
        heard = monotonic()
        with selectors.DefaultSelector() as ways:
            for source in (self._line, self._running.line, self._running.output):
                ways.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in ways.select(_TICK_S)}
                if self._running.output in ready:
                    self._read_printed()
                if self._running.line in ready:
                    block = _receive(self._running.line)
                    if not block:
                        raise CameraError("no-tool")
                    self._line.sendall(self._relay.from_inside(block))
                if self._line in ready:
                    heard = monotonic()
                    self._from_camera(_receive(self._line), heard)
                # TCP may stay open for hours with a camera that is dead: what counts is what comes.
                if monotonic() - heard > limits.silence_s:
                    raise CameraError("silent", seconds=limits.silence_s)
                # After the bytes that were ready: what has come is passed on before the end.
                if stop.is_set() or not self._of.is_requested():
                    raise _StopError
                if self._of._measure_room() <= 0:  # noqa: SLF001 - one module, one recorder
                    raise CameraError("disk", reserve_mb=limits.reserve >> 20)

    def _from_camera(self, block: bytes, now: float) -> None:
        if not block:
            raise CameraError("away", problem="closed")
        inward, back = self._relay.from_camera(block, now)
        # The first media packet's arrival is the only time that is ours; the camera's clock is not.
        if self._relay.began and self._timeline is None:
            self._timeline = Timeline(self._of.clock())
            # On the disk before the packet goes in: a crash from here on leaves a segment with a
            # start.
            self._note_start(0, self._timeline.began)
            self._of._report_state(CameraState.RECORDING, None)  # noqa: SLF001 - one recorder
        if back:
            self._line.sendall(back)
        # A failure of this socket is ffmpeg's end, and not the camera's.
        try:
            self._running.line.sendall(inward)
        except OSError as error:
            raise CameraError("no-tool") from error

    def _read_printed(self) -> None:
        block = os.read(self._running.output.fileno(), _BLOCK)
        if not block:
            raise CameraError("no-tool")
        self._printed += block
        # Lines are short: a decoder that prints without end has been turned against us.
        if len(self._printed) > _BLOCK:
            raise CameraError("no-tool")
        self._land_closed_segments()

    def _land_closed_segments(self) -> None:
        """Land every segment that ffmpeg has reported as closed."""
        # The rest after the last newline is a line that is still being printed.
        *lines, self._printed = self._printed.split(b"\n")
        for line in lines:
            segment = _parse_segment(line)
            if segment is None or self._timeline is None:
                continue
            number, start, end = segment
            now = self._of.clock()
            began, ended = self._timeline.time_at(start), self._timeline.time_at(end)
            self._timeline.record_closure(end, now)
            # The next segment is being written already, so its start is noted first; and with it
            # this one's times, for a kill before the move below.
            self._note_start(number + 1, self._timeline.time_at(end), (number, began, ended))
            source = self._folder / f"{number:06d}.mkv"
            _move_segment(source, self._of.places.landing, self._of.camera.name, began, ended)

    def _note_start(
        self, number: int, began: datetime, closed: tuple[int, datetime, datetime] | None = None
    ) -> None:
        """Write down a segment's start, and the one just closed, for the recovery after a kill."""
        note: dict[str, object] = {"segment": number, "began": began.astimezone(UTC).isoformat()}
        if closed is not None:
            start, end = (at.astimezone(UTC).isoformat() for at in closed[1:])
            note["closed"] = {"segment": closed[0], "began": start, "ended": end}
        replace_file(self._folder / _STARTS, json.dumps(note).encode())


def _receive(line: socket.socket) -> bytes:
    try:
        return line.recv(_BLOCK)
    except ConnectionError:
        return b""


def _parse_segment(line: bytes) -> tuple[int, float, float] | None:
    """Return (number, start, end) of a line that ffmpeg printed; it is not to be trusted."""
    name, _, rest = line.decode("ascii", "replace").strip().partition(",")
    begin, _, stop = rest.partition(",")
    # Only such names: a path in it would have another file moved as footage.
    match = _SEGMENT.fullmatch(name)
    try:
        start, end = float(begin), float(stop)
    except ValueError:
        return None
    # `float` takes `nan` and `inf`, of which no time can be made.
    if match is None or not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
        return None
    return int(match[1]), start, end


def recover_segments(places: Places, name: str) -> int:
    """Land what a crash left open, as far as it was written; return how many segments."""
    count = 0
    for folder in sorted(places.open.iterdir()):
        if folder.is_dir():
            count += _land_segments(folder, places, name)
    return count


def _land_segments(folder: Path, places: Places, name: str) -> int:
    """Land whatever segments are left in a session's folder, and remove the folder."""
    known_times = _read_times(folder)
    count = 0
    for path, number in _list_segments(folder):
        if not path.stat().st_size:
            path.unlink()  # opened, nothing was written: no footage
        elif number in known_times:
            # The newest and the one closed last are noted; older ones were landed with theirs.
            _move_segment(path, places.landing, name, *known_times[number])
            count += 1
        else:
            # Killed between two steps: the footage is kept, its start is a question to a person.
            at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            _place_segment(path, places.landing, f"{name}_cut-off-at-{at:%Y%m%dT%H%M%SZ}", ".mkv")
            count += 1
    (folder / _STARTS).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        LOG.warning("%s: something is left in %s", name, folder.name)
    return count


def _read_times(folder: Path) -> dict[int, tuple[datetime, datetime | None]]:
    """Return the noted times of segments by number, the end None while it is being written."""
    times: dict[int, tuple[datetime, datetime | None]] = {}
    # A note that is damaged tells as much as stands before the damage.
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads((folder / _STARTS).read_bytes())
        times[int(note["segment"])] = datetime.fromisoformat(note["began"]), None
        if closed := note.get("closed"):
            began, ended = (datetime.fromisoformat(closed[name]) for name in ("began", "ended"))
            times[int(closed["segment"])] = began, ended
    return times


def _list_segments(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in sorted(folder.iterdir()):
        match = _SEGMENT.fullmatch(path.name)
        # A link could have any file of ours landed as footage.
        if match and path.is_file() and not path.is_symlink():
            yield path, int(match[1])


def _move_segment(
    path: Path, landing: Path, name: str, began: datetime, ended: datetime | None
) -> None:
    start = _format_time(began)
    _place_segment(
        path,
        landing,
        f"{name}_{start}-{_format_time(ended)}" if ended else f"{name}_{start}",
        ".mkv",
    )


def _place_segment(path: Path, landing: Path, stem: str, suffix: str) -> None:
    """Move a closed segment under its name, durable; nothing that landed is ever replaced."""
    # Its bytes first: a name in the landing folder promises a whole file to the station.
    with path.open("rb") as file:
        os.fsync(file.fileno())
    target, again = landing / f"{stem}{suffix}", 1
    while target.exists():
        again += 1
        target = landing / f"{stem}_{again}{suffix}"
    path.rename(target)
    sync_folder(landing)
    sync_folder(path.parent)


def _format_time(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at:%Y%m%dT%H%M%S}.{at.microsecond // 1000:03d}Z"
