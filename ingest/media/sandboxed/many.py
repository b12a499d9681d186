"""Inside the sandbox: look at one file after the other, each in a process of its own.

To start an interpreter with its decoders takes a hundred times what a photo does; so it is started
once and forks for each file. What keeps the files apart: a child gets its own file and its own
pipe for the answer and nothing else; the next file is handed in only when this one's processes
are gone, all of them, and nothing of theirs is left. Where anything is, this ends itself: the
service looks at that file alone, and at the others in a new sandbox.
"""

import ctypes
import json
import os
import resource
import signal
import socket
from collections.abc import Callable

_REQUEST = 4096  # bytes
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SUBREAPER = 1, 4, 36  # linux/prctl.h
_MSG_INFO, _SHM_INFO, _SEM_INFO = 12, 14, 19  # linux/msg.h, shm.h, sem.h
_SETS_AT = 7  # `semusz`: how many sets of semaphores there are
_WRITABLE = ("/", "/tmp", "/dev", "/dev/shm")  # noqa: S108 - the sandbox's own
_LIBC = ctypes.CDLL(None)

Program = Callable[[list[str]], None]


def serve_requests(look: Program) -> None:
    """Answer one request after the other from the socket on standard input, until it closes."""
    control = socket.socket(fileno=0)
    # Before the first file: afterwards a child could already hold on to this process.
    _shield_process()
    # What the sandbox looks like untouched; anything more afterwards was left by a file.
    before = _take_inventory()
    while True:
        request, handles, _flags, _address = socket.recv_fds(control, _REQUEST, 2)
        if not request:
            return
        child = os.fork()
        if child == 0:
            _run_request(look, control, json.loads(request), handles)
        for handle in handles:
            os.close(handle)
        # The file's own process first, then everything that it may have started.
        _, status = os.waitpid(child, 0)
        clean = _kill_leftovers() and status == 0 and _take_inventory() == before
        control.send(b"clean" if clean else b"unclean")
        if not clean:
            return


def _shield_process() -> None:
    """Let no child trace this process or another child, and orphans come here to be reaped."""
    _LIBC.prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    _LIBC.prctl(_SET_SUBREAPER, 1, 0, 0, 0)
    if _LIBC.prctl(_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        os._exit(1)


def _run_request(look: Program, control: socket.socket, request: dict, handles: list[int]) -> None:  # type: ignore[type-arg]
    """Become the process of one file; never returns."""
    try:
        os.setsid()
        _LIBC.prctl(_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        control.detach()  # its number is the file's now
        os.dup2(handles[0], 0)
        os.dup2(handles[1], 1)
        # Of all that this process holds open, the child keeps its file and its pipe alone.
        os.closerange(3, 64)
        resource.setrlimit(resource.RLIMIT_CPU, (request["cpu_s"], request["cpu_s"]))
        look(request["words"])
        os._exit(0)
    finally:
        # Whatever happens, this process never goes on as the parent would.
        os._exit(1)


def _kill_leftovers() -> bool:
    """End whatever a child started; tell whether there was nothing to end."""
    try:
        os.kill(-1, signal.SIGKILL)  # all but the sandbox's first process and this one
    except ProcessLookupError:
        return True
    return False


def _take_inventory() -> tuple[object, ...]:
    """List the traces a process may leave in a sandbox: file names and shared memory."""
    counts = (ctypes.c_int * 64)()
    _LIBC.shmctl(0, _SHM_INFO, counts)
    shared = counts[0]
    _LIBC.msgctl(0, _MSG_INFO, counts)
    queues = counts[0]
    _LIBC.semctl(0, 0, _SEM_INFO, counts)
    names = [sorted(entry.name for entry in os.scandir(folder)) for folder in _WRITABLE]
    return shared, queues, counts[_SETS_AT], names
