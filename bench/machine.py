"""What this machine is, and the small tools that every measurement shares."""

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

MIB = 1 << 20
_BLOCK = 64 * MIB
_SPARE = 1 << 30
ROOT = Path(__file__).resolve().parent.parent


def described(folder: Path) -> dict[str, str]:
    """Return processor, memory, file system and versions."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))
    return {
        "cpu": cpu.group(1).strip() if cpu else platform.machine(),
        "cores": f"{len(cores())}{_shared()}",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "memory": f"{int(memory.group(1)) / MIB:.1f} GiB" if memory else "unknown",
        "file system": _said(["stat", "-f", "-c", "%T", str(folder)]),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cryptography": version("cryptography"),
        "openssl": _said(["openssl", "version"]).partition(" (")[0],
        "liuhen": version("liuhen"),
    }


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def lacking(folder: Path, size: int) -> str:
    """Return what is missing to write `size` bytes and a GiB to spare, or nothing."""
    free = shutil.disk_usage(folder).free
    if free >= size + _SPARE:
        return ""
    return f"too little disk space: {(size + _SPARE) / 2**30:.1f} GiB, free {free / 2**30:.1f}"


def filled(path: Path, size: int) -> Path:
    """Write a file that does not compress, durably, and leave it in the page cache."""
    block = os.urandom(min(_BLOCK, size))
    with path.open("wb") as file:
        left = size
        while left:
            left -= file.write(block[:left])
        file.flush()
        os.fsync(file.fileno())
    warm(path)
    return path


def warm(path: Path) -> None:
    """Bring a file into the page cache."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(_BLOCK)
        while file.readinto(buffer):
            pass


def even_memory(folder: Path, size: int) -> None:
    """Write and remove a file of this size, so that what is timed next finds used memory free.

    A virtual machine gives free memory back to its host within seconds and gets it anew page by
    page, several times slower than a disk: whoever came first would pay for the other. Nothing is
    left to be written back afterwards.
    """
    path = folder / "even"
    block = bytes(_BLOCK)
    with path.open("wb", buffering=0) as file:
        left = size
        while left > 0:
            left -= file.write(block[:left])
    path.unlink()
    os.sync()


def openssl_sha256() -> float:
    """Return bytes per second of `openssl speed` for SHA-256 on one core, 1 MiB at a time."""
    speed = ["openssl", "speed", "-mr", "-seconds", "3", "-bytes", str(MIB), "-evp", "sha256"]
    said = _said(speed, on=cores()[:1])
    told = re.search(r"^\+F:\d+:sha-?256:([\d.]+)", said, re.MULTILINE | re.IGNORECASE)
    if told is None:
        raise RuntimeError(said[-300:])
    return float(told.group(1))


def child(module: str, *arguments: object, on: list[int] | None = None) -> str:
    """Run a module of ours in a fresh process, on these cores; return the last line it says."""
    return _said([sys.executable, "-m", module, *map(str, arguments)], on=on).splitlines()[-1]


def _said(command: list[str], on: list[int] | None = None) -> str:
    """Return what a command prints. Raises: RuntimeError with its complaint when it fails."""
    allowed = set(on or cores())
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    if done.returncode:
        raise RuntimeError(command[:4], done.returncode, done.stderr[-2000:])
    return done.stdout.strip()


def _shared() -> str:
    """Tell whether the cores are two threads of one core: then two are not twice one."""
    siblings = Path(f"/sys/devices/system/cpu/cpu{cores()[0]}/topology/thread_siblings_list")
    try:
        said = siblings.read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return f" (threads {said} share a core)" if {"-", ","} & set(said) else ""
