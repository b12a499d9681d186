"""The court's page over a bundle of some GiB, in Chromium: seconds, and memory above idle.

The bundle is a real one with a large file more, listed and signed as the rest is: what takes time
is to read and digest every byte once. Memory is that of all the browser's processes (PSS: pages
that several share count once), sampled while it verifies.
"""

import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from bench.machine import filled, lacking
from bench.result import Result, unmeasured, within
from tests.attacks.dishonest_centre import LyingBundle
from tests.bundles import export_seizure
from tests.court_page import CourtPage, open_chromium, write_page

SECONDS_FOR_2_GIB = 90
MEMORY_MIB = 200
_GIB = 1 << 30


def measure(folder: Path, size: int) -> Iterator[Result]:
    """Yield seconds and memory, for a folder and for a zip of it as the service makes them."""
    if note := lacking(folder, 3 * size):
        yield unmeasured(f"court's page, {size / _GIB:g} GiB", note)
        return
    scratch = folder / "court"
    scratch.mkdir()
    try:
        made = export_seizure(scratch)
        large = LyingBundle(made, scratch / "large")
        filled(large.data / "large.bin", size)
        root = large.sign()
        zipped = scratch / "large.zip"
        with zipfile.ZipFile(zipped, "w") as archive:
            for path in sorted(root.rglob("*")):
                archive.write(path, path.relative_to(root.parent))
        for form, bundle in (("folder", root), ("zip", zipped)):
            yield from _verify(scratch, bundle, made.keys, form, size)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _verify(scratch: Path, bundle: Path, keys: Path, form: str, size: int) -> Iterator[Result]:
    with open_chromium() as browser:
        court = CourtPage(browser.new_page(), write_page(scratch))
        court.name_keys(keys)
        with _Memory() as memory:
            start, worked = time.monotonic(), _browser_cpu()
            outcome = court.verify(bundle, patience_ms=3_600_000)
            seconds, worked = time.monotonic() - start, _browser_cpu() - worked
    if outcome.verdict != "verified":
        raise RuntimeError(outcome.text)
    what = f"court's page, {form} of {size / _GIB:g} GiB"
    note = f"{worked:.0f} CPU-seconds; load {os.getloadavg()[0]:.1f}; {outcome.verdict}"
    yield within(what, seconds, SECONDS_FOR_2_GIB * size / (2 * _GIB), "s", note)
    note = f"idle {memory.idle:.0f} MiB, peak {memory.peak:.0f} MiB, all processes"
    yield within(f"{what}, memory", memory.peak - memory.idle, MEMORY_MIB, "MiB", note)


class _Memory:
    """Samples the memory of every Chromium process, in MiB, until the block ends."""

    def __enter__(self) -> Self:
        self.idle = self.peak = _browser_mib()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(0.25):
            self.peak = max(self.peak, _browser_mib())


def _browser_mib() -> float:
    """Return the PSS of all processes that are a Chromium (proc_pid_smaps_rollup(5))."""
    lines = [line for text in _read_of_each("smaps_rollup") for line in text.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _browser_cpu() -> float:
    """Return the seconds of a core that they worked, in user and system mode (proc_pid_stat(5))."""
    fields = [text.rpartition(")")[2].split() for text in _read_of_each("stat")]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def _read_of_each(name: str) -> Iterator[str]:
    """Yield a file of each process that descends from this one, and is a browser's."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text(encoding="utf-8")
        except OSError:
            continue  # ended meanwhile
        children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(process.name))
    waiting = [os.getpid()]
    while waiting:
        for process_id in children.get(waiting.pop(), []):
            waiting.append(process_id)
            process = Path(f"/proc/{process_id}")
            try:
                if b"chromium" in (process / "cmdline").read_bytes():
                    yield (process / name).read_text(encoding="utf-8")
            except OSError:
                continue
