"""The one runner of everything that touches media: sandboxed, bounded, killed as a group.

The file is handed over as an open descriptor on standard input, so no name of it ever reaches a
command line and a renamed or swapped path changes nothing. With bubblewrap the child sees its own
interpreter, /usr and nothing else: no network, no other file, an unprivileged user. Where
bubblewrap cannot run, resource limits and a process group remain, and `level` says so in every
sealed record. ffmpeg commands are built by ffmpeg-python, argument lists throughout.
"""

import ctypes
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, BinaryIO

import ffmpeg

_SANDBOXED = Path(__file__).parent / "sandboxed"
_RECORDER = Path(__file__).parent / "sandboxed_recorder"
_ANSWER_LIMIT = 8 << 20
_POSTER_LIMIT = 2 << 20
_JPEG = (b"\xff\xd8\xff", b"\xff\xd9")  # how one begins and ends
_ADDRESS_SPACE = 3 << 30
_OPEN_FILES = 64
_FIRST_WAIT_S = 60.0
_BYTES_PER_S = 8 << 20  # slower than any disk we were shown: the time limit grows with the file
_LOOK_BYTES_PER_S = 1 << 20  # thirty times the usual cost of looking at pictures
_NICE = 10
_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)
_HEARD_S = 0.2  # how long a call of `tell` may let wait for it
_CLOSING_S = 60.0

Tell = Callable[[float], None]
"""Hears how much of a file was looked at, from 0 to 1; what it raises ends the child."""


def ignore_progress(_share: float) -> None:
    """Ignore the progress."""


class Level(StrEnum):
    """How well the child is shut in."""

    BWRAP = "bwrap"
    RLIMITS = "rlimits"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of the processor a look at pictures and sound may take.

    `share` of one core, in (0, 1]; at most `seconds` of processor time for one file. Packets are
    always counted to the end.
    """

    share: float = 0.5
    seconds: float = 3600.0
    codes: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share of a core must lie in (0, 1]: {self.share}")


USUAL = Effort()


class MediaToolError(Exception):
    """The tool did not answer. `reason` is a stable word.

    They are: timeout, crashed, too-long, missing, no-picture.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How children are run here."""

    level: Level
    wrap: tuple[str, ...] = ()

    @classmethod
    def detect(cls) -> "Sandbox":
        """Return the best level that really works on this machine, tried, not assumed."""
        wrap = _bubblewrap_command()
        if wrap:
            # The namespaces may be forbidden (containers), so ask for what will be needed.
            # With the decoders: a sandbox in which they cannot be loaded would fail at each file.
            trial = [*wrap, *_python_command(), "-c", "import av"]
            try:
                process = subprocess.run(  # noqa: PLW1510 - the return code is the question
                    trial, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
                )
            except (OSError, subprocess.TimeoutExpired):
                return cls(Level.RLIMITS)
            if process.returncode == 0:
                return cls(Level.BWRAP, tuple(wrap))
        return cls(Level.RLIMITS)

    def inspect_file(
        self, file: BinaryIO, size: int, effort: Effort = USUAL, tell: Tell = ignore_progress
    ) -> bytes:
        """Return the one JSON line that the program `sandboxed/` says about the open file.

        A decoder that dies or hangs on the file does not take the facts of its packets with it:
        then these are told alone.
        Raises: MediaToolError (timeout, crashed, too-long), and what `tell` raises.
        """
        words, counting, seconds = asked_of(size, effort)
        try:
            # The brake stretches the work: at a half share, a second of work takes two.
            return _run_child(
                [*self.program_command(), *words], file, counting + seconds / effort.share, tell
            )
        except MediaToolError:
            # The dead child may have read anywhere.
            file.seek(0)
            return _run_child([*self.program_command(), "--packets-only"], file, counting, tell)

    def render_poster(self, file: BinaryIO, size: int) -> bytes:
        """Return one picture of the open film as a small JPEG.

        Raises: MediaToolError (no-picture, too-long, timeout, crashed).
        """
        seconds = _FIRST_WAIT_S + size / _BYTES_PER_S
        answer = _run_child([*self.program_command(), "--poster"], file, seconds)
        # The bytes go to a browser: nothing but a whole JPEG leaves here.
        if not answer.startswith(_JPEG[0]) or not answer.endswith(_JPEG[1]):
            raise MediaToolError("no-picture", f"{len(answer)} bytes")
        if len(answer) > _POSTER_LIMIT:
            raise MediaToolError("too-long", f"{len(answer)} bytes")
        return answer

    def program_command(self) -> list[str]:
        """Return the command that runs the program `sandboxed/` in here."""
        inside = "/sandboxed" if self.level is Level.BWRAP else str(_SANDBOXED)
        return [*self.wrap, *_python_command(), inside]

    def record_camera(self, plan: "Plan", folder: Path) -> "Recording":
        """Start to record a camera into a folder; the caller carries the conversation.

        ffmpeg gets a socket to the caller, the folder, and nothing else: with bubblewrap no
        network at all, no address of the camera and no password. Streams are copied, never
        encoded anew. What is not limited: how much processor time it takes over the days, and
        how many files it makes in that folder (each is bounded). Without bubblewrap its
        loopback is the machine's: whoever is on this machine could take its place there.
        The process ends with the thread that started it, where bubblewrap can see to that.
        Raises: MediaToolError(missing).
        """
        bound = self.level is Level.BWRAP
        program = "/sandboxed_recorder" if bound else str(_RECORDER)
        out = "/out" if bound else str(folder)
        binds = ["--ro-bind", str(_RECORDER), program, "--bind", str(folder), out]
        # The folder's binding must stand before the `--` that ends bubblewrap's own words.
        wrap = [*self.wrap[:-1], *binds, "--"] if bound else []
        return Recording.start([*wrap, *_python_command(), program, *plan.build_command(out)], plan)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a camera is recorded: in segments that begin at whole multiples of the clock's hour.

    The container is Matroska: cut off anywhere, what was written can be read; and it holds every
    sound that cameras speak, G.711 too, which MP4 does not. A cluster is written each second.
    """

    url: str  # `{camera}` in it stands for the loopback inside
    segment_s: int = 300
    file_bytes: int = 4 << 30

    def build_command(self, folder: str) -> list[str]:
        """Return ffmpeg's command; it prints `name,start,end` for each closed segment."""
        # Codecs are looked for as long as it takes, frame rates not at all: nothing is kept back.
        # Sound from its first packet: ffmpeg 7.1 marks no AAC packet of RTP as a key frame, and a
        # copied stream is dropped up to its first one, so all of it would be.
        camera = ffmpeg.input(
            self.url,
            rtsp_transport="tcp",
            allowed_media_types="video+audio",
            analyzeduration=20_000_000,
            fpsprobesize=0,
        )
        command: list[str] = ffmpeg.output(
            camera["v:0?"],
            camera["a:0?"],
            f"{folder}/%06d.mkv",
            c="copy",
            **{"copyinkf:a": None},
            f="segment",
            segment_time=self.segment_s,
            segment_atclocktime=1,
            reset_timestamps=1,
            segment_format="matroska",
            segment_format_options="cluster_time_limit=1000:flush_packets=1",
            segment_list="pipe:1",
            segment_list_type="csv",
        ).compile()
        return [*command[:1], "-nostdin", "-v", "error", *command[1:]]


@dataclass(slots=True)
class Recording:
    """A running ffmpeg: `line` is this side of its conversation, `told` what it prints."""

    line: socket.socket
    output: IO[bytes]
    _child: "subprocess.Popen[bytes]"
    _errors: BinaryIO

    @classmethod
    def start(cls, command: list[str], plan: Plan) -> "Recording":
        """Run a command with one end of a socket pair as its standard input."""
        with ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                # A file and not a pipe: nobody reads it while ffmpeg runs, and a full pipe would
                # stop it.
                errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `errors`
                undo.callback(errors.close)
                try:
                    child = subprocess.Popen(
                        command,
                        stdin=theirs.fileno(),
                        stdout=subprocess.PIPE,
                        stderr=errors,
                        # Nothing of the service's environment, in which secrets may stand.
                        env={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
                        start_new_session=True,
                        preexec_fn=lambda: _recording_limits(plan.file_bytes),  # noqa: PLW1509 - before exec
                    )
                except OSError as error:
                    raise MediaToolError("missing", type(error).__name__) from error
            undo.pop_all()
        assert child.stdout is not None  # noqa: S101 - a pipe was asked for
        return cls(ours, child.stdout, child, errors)

    def end_conversation(self, wait_s: float) -> bytes:
        """End the conversation; return what ffmpeg still printed while it closed its file.

        A process that does not end in time is killed; what it wrote stays.
        """
        # The end of the stream is what makes ffmpeg close its segment in order.
        self.line.close()
        try:
            rest, _ = self._child.communicate(timeout=wait_s)
        except subprocess.TimeoutExpired:
            # The group, since ffmpeg is a child of the program that we started.
            os.killpg(self._child.pid, signal.SIGKILL)
            rest, _ = self._child.communicate()
        return rest

    def read_errors(self) -> str:
        """Read the tail of ffmpeg's error output and close it. Untrusted text."""
        with self._errors as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 300))
            return file.read().decode(errors="replace")


def _recording_limits(file_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _python_command() -> list[str]:
    return [sys.executable, "-I", "-B"]


def _bubblewrap_command() -> list[str]:
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return []
    # A virtual environment's interpreter links to its base, which must be there as well.
    prefixes = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parent.parent)}
    bound = sorted(prefix for prefix in prefixes if not prefix.startswith("/usr/"))
    command = [bwrap, "--unshare-all", "--die-with-parent", "--new-session"]
    # First of all: an interpreter that lives below /tmp is bound into it, not hidden by it.
    # And no /proc: through its own fd/0 a child could open the original anew, to cut it off.
    command += ["--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 - its own
    for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/alternatives"):
        path = Path(folder)
        # Merged /usr: these are links into it, and a binding would need a place of its own.
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()).lstrip("/"), folder]
        elif path.exists():
            command += ["--ro-bind", folder, folder]
    for folder in bound:
        if folder != "/usr":
            command += ["--ro-bind", folder, folder]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    command += ["--ro-bind", str(_SANDBOXED), "/sandboxed"]
    command += ["--clearenv"]
    command += ["--setenv", "PATH", "/usr/bin", "--uid", "65534", "--gid", "65534"]
    return [*command, "--cap-drop", "ALL", "--chdir", "/tmp", "--"]  # noqa: S108 - its own


def asked_of(size: int, effort: Effort) -> tuple[list[str], float, float]:
    """Return the words that ask for a look, and seconds: to count packets, and of looking."""
    counting = _FIRST_WAIT_S + size / _BYTES_PER_S
    # A small file may not claim the whole hour.
    seconds = min(effort.seconds, _FIRST_WAIT_S + size / _LOOK_BYTES_PER_S)
    words = ["--share", str(effort.share), "--seconds", str(seconds)]
    return words + ([] if effort.codes else ["--no-codes"]), counting, seconds


def limit_child(cpu_s: int) -> None:
    """Limit this process, which is about to become a child: memory, time, files, no writing.

    It dies with the thread that started it, however that ends.
    """
    _LIBC.prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    # No byte into any file: the answer goes through a pipe, which this does not limit.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)


def answer_through(pipe: int, limit_s: float, tell: Tell) -> bytes:
    """Return what comes through a pipe up to its end, without the lines that tell how far it is.

    `tell` is called a few times a second meanwhile.
    Raises: MediaToolError (timeout, too-long), and what `tell` raises.
    """
    until = time.monotonic() + limit_s
    answer, count, share = b"", 0, 0.0
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    while True:
        # Before each wait, so that a caller who wants to stop is heard though nothing comes.
        tell(share)
        remaining_s = until - time.monotonic()
        if remaining_s <= 0:
            raise MediaToolError("timeout", f"{limit_s:.0f} s")
        if not waiting.poll(min(remaining_s, _HEARD_S) * 1000):
            continue
        some = os.read(pipe, 1 << 16)
        if not some:
            return answer
        answer, count = answer + some, count + len(some)
        # Counted over all that came, progress lines too, which are taken off the answer.
        if count > _ANSWER_LIMIT:
            raise MediaToolError("too-long", f"{count} bytes")
        while answer.startswith(b"~") and b"\n" in answer:
            line, _, answer = answer.partition(b"\n")
            share = max(share, _parse_share(line[1:]))


def _parse_share(untrusted_text: bytes) -> float:
    try:
        return min(max(0.0, float(untrusted_text)), 1.0)  # what is no number is 0
    except ValueError:
        return 0.0


def _run_child(
    command: Sequence[str], file: BinaryIO, limit_s: float, tell: Tell = ignore_progress
) -> bytes:
    with subprocess.Popen(
        command,
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
        start_new_session=True,
        preexec_fn=lambda: limit_child(int(limit_s)),  # noqa: PLW1509 - before exec
    ) as child:
        assert child.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            answer = answer_through(child.stdout.fileno(), limit_s, tell)
            # It said all, and still runs: it gets no more time than this.
            child.wait(_CLOSING_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(child.pid, signal.SIGKILL)
            raise MediaToolError("timeout", "it answered and did not end") from error
        except BaseException:
            # Whatever stops us must not leave a decoder behind.
            os.killpg(child.pid, signal.SIGKILL)
            raise
    if child.returncode != 0:
        raise MediaToolError("crashed", f"exit status {child.returncode}")
    return answer


def tool_versions() -> dict[str, str | None]:
    """Return the first line of `ffmpeg -version`, or None where it is not installed."""
    path = shutil.which("ffmpeg")
    if path is None:
        return {"ffmpeg": None}
    process = subprocess.run([path, "-version"], capture_output=True, timeout=20, check=False)
    return {"ffmpeg": process.stdout.decode(errors="replace").partition("\n")[0][:100]}


@dataclass(frozen=True, slots=True)
class Scene:
    """Synthetic footage: a moving test picture with a burnt-in clock, and a voice-like tone."""

    seconds: float
    label: str
    start_epoch: int
    size: str = "320x240"
    rate: int = 10
    picture: bool = True
    sound: bool = True
    overlays: tuple[tuple[float, Path], ...] = ()  # from when, which picture, for a second each


def render_scene(scene: Scene, target: Path, *, timeout_s: float = 120) -> None:
    """Render synthetic footage of our own into a new file (demonstration and tests).

    Raises: MediaToolError with the tail of what ffmpeg said.
    """
    streams = []
    if scene.picture:
        source = f"testsrc2=s={scene.size}:r={scene.rate}:d={scene.seconds}"
        picture = ffmpeg.input(source, f="lavfi").video
        for since, still in scene.overlays:
            during = f"gte(t,{since:.6f})*lt(t,{since + 1:.6f})"
            placed = {"x": "(W-w)/2", "y": "(H-h)/2", "enable": during, "eof_action": "repeat"}
            picture = picture.overlay(ffmpeg.input(str(still)), **placed)
        clock = f"{scene.label} %{{pts:gmtime:{scene.start_epoch}}}"
        streams.append(
            picture.drawtext(
                text=clock,
                escape_text=False,
                x=8,
                y=8,
                fontsize=14,
                fontcolor="white",
                box=1,
                boxcolor="black",
            )
        )
    if scene.sound:
        tone = f"aevalsrc='0.2*sin(2*PI*(180+40*sin(5*t))*t)*(1+sin(9*t))/2':d={scene.seconds}"
        streams.append(ffmpeg.input(f"{tone}:s=16000", f="lavfi").audio)
    made_at = datetime.fromtimestamp(scene.start_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"metadata:g:0": f"creation_time={made_at}"}
    options = {"vcodec": "libx264", "preset": "ultrafast", "g": scene.rate, "pix_fmt": "yuv420p"}
    command = ffmpeg.output(
        *streams,
        str(target),
        **(options if scene.picture else {}),
        acodec="aac",
        audio_bitrate="32k",
        movflags="+faststart",
        **metadata,
    ).compile(overwrite_output=True)
    quiet = [*command[:1], "-nostdin", "-v", "error", *command[1:]]
    try:
        process = subprocess.run(quiet, capture_output=True, timeout=timeout_s, check=False)
    except FileNotFoundError as error:
        raise MediaToolError("missing", "ffmpeg") from error
    except subprocess.TimeoutExpired as error:
        raise MediaToolError("timeout", "ffmpeg") from error
    if process.returncode:
        raise MediaToolError("crashed", process.stderr.decode(errors="replace")[-400:])
