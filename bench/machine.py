"""What this machine is, and the small tools that every measurement shares."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

MIB = 1 << 20
_BLOCK = 64 * MIB


def described(folder: Path) -> dict[str, str]:
    """Return processor, memory, file system and versions."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", folder], capture_output=True, text=True, check=True
    )
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory.group(1)) / MIB:.1f} GiB" if memory else "unknown",
        "file system": kind.stdout.strip(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cryptography": version("cryptography"),
        "openssl": openssl.stdout.strip(),
        "liuhen": version("liuhen"),
    }


def filled(path: Path, size: int) -> Path:
    """Write a file that does not compress, and leave it in the page cache."""
    block = os.urandom(min(_BLOCK, size))
    with path.open("wb") as file:
        left = size
        while left:
            left -= file.write(block[:left])
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb", buffering=0) as file:
        while file.read(_BLOCK):
            pass
    return path


def even_memory(folder: Path, size: int) -> None:
    """Write and remove a file of this size, so that what is timed next finds used memory free.

    A virtual machine gives free memory back to its host within seconds and gets it anew page by
    page, several times slower than a disk: whoever came first would pay for the other.
    """
    path = folder / "even"
    block = bytes(_BLOCK)
    with path.open("wb", buffering=0) as file:
        for _ in range(size // len(block)):
            file.write(block)
    path.unlink()


def openssl_sha256() -> float:
    """Return bytes per second of `openssl speed` for SHA-256 on one core, 1 MiB at a time."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", "3", "-bytes", str(MIB), "-evp", "sha256"],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    told = re.search(r"^\+F:\d+:\w[\w-]*:([\d.]+)", done.stdout, re.MULTILINE | re.IGNORECASE)
    if told is None:
        raise RuntimeError(done.stdout[-300:])
    return float(told.group(1))


def child(module: str, *arguments: object, cores: int | None = None) -> str:
    """Run a module of ours in a fresh process, on so many cores; return what it says."""
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, allowed),
    )
    return done.stdout.strip().splitlines()[-1]
