"""The command `liuhen ingest`, and the folder store's put alone, from warm and from cold memory.

Peers, each a fresh process over the same file: `cp` + `sync` + `openssl dgst -sha256`, and where
they are installed `restic backup` and `borg create`, both without compression into a fresh
repository. Wall time and CPU-seconds (the children's too) of each, medians of rounds in which all
take turns. Warm: the file is in the page cache, and used memory is free (`even_memory`). Cold: the
cache was dropped, as root all of it (proc_sys_vm(5), drop_caches), else the file's own pages.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from api.office.system import entropy
from bench.machine import MIB, ROOT, child, even_memory, lacking, warm
from bench.office import office_in
from bench.result import Result, unmeasured
from storage.medium import forget_pages
from storage.recording import new_recording_id
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import PAYLOAD, key_of

ROUNDS = 5
_BLOCK = 4 * MIB
_DROP = Path("/proc/sys/vm/drop_caches")
_PUT = "put into the folder store"
_COPY = "cp + sync + openssl dgst"
_LIUHEN = "from api.cli.main import main; main()"
_SECRET = {"RESTIC_PASSWORD": "bench", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took, in seconds."""

    wall: float
    cpu: float


def measure(file: Path, folder: Path) -> Iterator[Result]:
    """Yield one result for each of ours, beside each peer, from warm and from cold memory."""
    if note := lacking(folder, 2 * file.stat().st_size):
        yield unmeasured("the command, warm and cold", note)
        return
    for tool in ("restic", "borg"):
        if shutil.which(tool) is None:
            yield unmeasured(f"{tool} beside the command", f"{tool.upper()} IS NOT INSTALLED HERE")
    for memory, prepare in (("warm", _warmed), ("cold", _cooled)):
        yield from _told(memory, file, _rounds(file, folder, prepare))


def _rounds(
    file: Path, folder: Path, prepare: Callable[[Path, Path], None]
) -> dict[str, list[Spent]]:
    scratch = folder / "command"
    spent: dict[str, list[Spent]] = {}
    for _ in range(ROUNDS):
        for name, (setup, command) in _commands(file, scratch).items():
            scratch.mkdir()
            setup()
            prepare(file, folder)
            took = _run(command, scratch) if command else _put_apart(scratch, file)
            spent.setdefault(name, []).append(took)
            shutil.rmtree(scratch)
    return spent


def _commands(file: Path, scratch: Path) -> dict[str, tuple[Callable[[], None], list[str]]]:
    """Return, by name, what sets a run up and the command that is timed; none for the put."""
    copy = f"cp '{file}' '{scratch}/copy' && sync && openssl dgst -sha256 '{file}'"
    found: dict[str, tuple[Callable[[], None], list[str]]] = {
        _PUT: (lambda: None, []),
        "liuhen ingest": (
            lambda: office_in(scratch).close(),
            [sys.executable, "-c", _LIUHEN, "ingest", "--json", str(file)],
        ),
        _COPY: (lambda: None, ["sh", "-c", copy]),
    }
    repository = str(scratch / "repository")
    if shutil.which("restic"):
        restic = ["restic", "--quiet", "--no-cache", "--compression=off", "-r", repository]
        found["restic"] = (lambda: _set_up([*restic, "init"]), [*restic, "backup", str(file)])
    if shutil.which("borg"):
        archive = ["borg", "create", "--compression=none", f"{repository}::one", str(file)]
        found["borg"] = (lambda: _set_up(["borg", "init", "-e", "none", repository]), archive)
    return found


def _set_up(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, env=os.environ | _SECRET)


def _run(command: list[str], scratch: Path) -> Spent:
    """Run a command to its end. Raises: RuntimeError with its complaint when it fails."""
    own = {"LIUHEN_HOME": str(scratch / "var"), "LIUHEN_IMMUTABLE": "false"}
    complaint = scratch / "complaint"
    with complaint.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | _SECRET | own, stdout=file, stderr=file
        )
        _pid, status, used = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(command[:4], process.returncode, complaint.read_text()[-2000:])
    return Spent(took, used.ru_utime + used.ru_stime)


def _warmed(file: Path, folder: Path) -> None:
    warm(file)
    even_memory(folder, file.stat().st_size)


def _cooled(file: Path, _folder: Path) -> None:
    os.sync()
    try:
        _DROP.write_text("3", encoding="ascii")
    except OSError:  # not root, or a container: at least the file comes from its disk
        with file.open("rb") as opened:
            forget_pages(opened.fileno())


def _told(memory: str, file: Path, spent: dict[str, list[Spent]]) -> Iterator[Result]:
    note = "; ".join(f"{name} {_words(runs)}" for name, runs in spent.items())
    load = f"{ROUNDS} rounds of {file.stat().st_size // MIB} MiB, load {os.getloadavg()[0]:.1f}"
    peer = _median(spent[_COPY])
    for name in (_PUT, "liuhen ingest"):
        mine = _median(spent[name])
        yield Result(
            f"{name}, {memory}",
            f"{mine.wall:.2f} s",
            f"{_COPY} {peer.wall:.2f} s",
            peer.wall / mine.wall,
            note=f"{load}: {note}" if name == "liuhen ingest" else "",
        )


def _median(runs: list[Spent]) -> Spent:
    return Spent(
        statistics.median(one.wall for one in runs), statistics.median(one.cpu for one in runs)
    )


def _words(runs: list[Spent]) -> str:
    walls, middle = [one.wall for one in runs], _median(runs)
    spread = f"{min(walls):.2f}-{max(walls):.2f}"
    return f"{middle.wall:.2f} s ({spread}), {middle.cpu:.2f} CPU-s"


def _put_apart(scratch: Path, file: Path) -> Spent:
    """Put in a process of its own, whose start does not count."""
    wall, cpu = map(float, child("bench.command", scratch, file).split())
    return Spent(wall, cpu)


def _put(folder: Path, file: Path) -> Spent:
    """Put the file as it is, from blocks that are no multiples of a page, as the sealer's."""
    key = key_of(new_recording_id(datetime(2026, 1, 1, tzinfo=UTC), entropy(10)), PAYLOAD)
    store = FolderObjects(folder / "objects", entropy, immutable=False)
    with file.open("rb", buffering=0) as source:
        began, worked = time.perf_counter(), time.process_time()
        store.put(key, iter(lambda: source.read(_BLOCK + 4112), b""))
        return Spent(time.perf_counter() - began, time.process_time() - worked)


if __name__ == "__main__":
    put = _put(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write(f"{put.wall} {put.cpu}\n")
