"""A sandbox that looks at many small files of one card, each in a process of its own.

The program (`sandboxed/many.py`) is started once and forks for each file. A file's process gets
its own descriptor and its own pipe, which nobody else holds, so no file can write what is told of
another; and it gets them only when the processes of the file before are gone. Whatever is not a
whole answer from a process that ended well and left nothing behind (a crash, a hang, too long an
answer, a sandbox that died) counts for nothing: that file is looked at as if it were alone, and so
gets the very result that it would have had alone; the next ones get a new sandbox. Without
bubblewrap nothing is shared: there no process of a file can be told from the service's others.
"""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from ingest.media.sandbox import (
    USUAL,
    Effort,
    Level,
    MediaToolError,
    Sandbox,
    Tell,
    answer_through,
    asked_of,
    ignore_progress,
    limit_child,
)

SMALL = 16 << 20  # bytes: larger files take longer than a sandbox does to start
AT_ONCE = 2  # sandboxes of one card
MOST_FILES = 256  # of one sandbox
_WAIT_S = 20.0
_CPU_S = 10
_LET_GO_S = 2.0
_OWN_CPU_S = 600  # of the program itself, which only forks


class SharedSandbox:
    """Looks as `Sandbox.look` does; usable by several threads at once. Close it after the card."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.level = sandbox.level
        self._sandbox = sandbox
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._idle: list[_Running] = []
        self._lock = threading.Lock()

    def inspect_file(
        self, file: BinaryIO, size: int, effort: Effort = USUAL, tell: Tell = ignore_progress
    ) -> bytes:
        """Inspect the open file in a sandbox. Raises: as `Sandbox.inspect_file`."""
        # Only where a process namespace makes sure that nothing of a file's process is left.
        shared = size <= SMALL and self.level is Level.BWRAP
        answer = self._inspect_shared(file, size, effort, tell) if shared else None
        if answer is not None:
            return answer
        # Alone, from the start: the shared process may have read any part of it.
        file.seek(0)
        return self._sandbox.inspect_file(file, size, effort, tell)

    def close(self) -> None:
        """End the sandboxes; nobody looks any more."""
        with self._lock:
            idle, self._idle = self._idle, []
        for running in idle:
            running.let_go()

    def _inspect_shared(
        self, file: BinaryIO, size: int, effort: Effort, tell: Tell
    ) -> bytes | None:
        words, _, _ = asked_of(size, effort)
        with self._places:
            try:
                with self._lend_sandbox() as running:
                    return running.request_answer(file, words, tell)
            except (MediaToolError, OSError):
                return None

    @contextmanager
    def _lend_sandbox(self) -> Iterator["_Running"]:
        """Lend a sandbox for one file; one that this file spoilt is ended."""
        with self._lock:
            running = self._idle.pop() if self._idle else None
        running = running or _Running.start(self._sandbox)
        try:
            yield running
        except BaseException:
            # Also when the caller stopped: what is half answered would be read as the next file's.
            running.kill_group()
            raise
        if running.files >= MOST_FILES:
            running.kill_group()
            return
        with self._lock:
            self._idle.append(running)


@dataclass(slots=True)
class _Running:
    """One sandbox at work; `control` is this side of its conversation."""

    control: socket.socket
    child: "subprocess.Popen[bytes]"
    files: int = 0

    @classmethod
    def start(cls, sandbox: Sandbox) -> "_Running":
        """Start a sandbox. Raises: OSError."""
        # One request is one message, with its descriptors: nothing can be split or joined.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            child = subprocess.Popen(
                [*sandbox.program_command(), "--many"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin"},
                start_new_session=True,
                preexec_fn=lambda: limit_child(_OWN_CPU_S),  # noqa: PLW1509 - before exec
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(ours, child)

    def request_answer(self, file: BinaryIO, words: list[str], tell: Tell) -> bytes:
        """Return what a process of its own says about a file.

        Raises: MediaToolError, OSError: this sandbox is to be ended. And what `tell` raises.
        """
        self.files += 1
        ours, theirs = os.pipe()
        try:
            try:
                request = json.dumps({"words": words, "cpu_s": _CPU_S}).encode()
                socket.send_fds(self.control, [request], [file.fileno(), theirs])
            finally:
                # Our copy of the writing end, or the end of the answer would never come.
                os.close(theirs)
            answer = answer_through(ours, _WAIT_S, tell)
        finally:
            os.close(ours)
        # After the answer: now the sandbox ends whatever the file's process left, and says so.
        self.control.settimeout(_WAIT_S)
        if self.control.recv(16) != b"clean":
            raise MediaToolError("crashed", "in a shared sandbox")
        return answer

    def let_go(self) -> None:
        """Let the sandbox end by itself, which it does where nobody speaks to it any more."""
        self.control.close()
        try:
            self.child.wait(_LET_GO_S)
        except subprocess.TimeoutExpired:
            self.kill_group()

    def kill_group(self) -> None:
        """End the sandbox and all in it."""
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.control.close()
