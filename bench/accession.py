"""Accession of small recordings: how many a second, and what each process works for one of them.

Recordings of 1 MiB are sealed by a real station before the clock runs; then `replay.py` brings
them, over TLS and the proxy that we ship, to one centre process or to two of one office on
PostgreSQL, with the objects on S3 and in a folder. Load, centres and servers share this machine's
cores, so a rate alone says little about the centre: beside it stands the processor time of each for
one recording. What is judged is the rate that was seen; what a core of its own could do is told,
and only told. Whether centres hold each other up is seen where each has its own small share of a
core, so that the machine is not what both wait for.
"""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from api.station.process import StationHome
from bench import processors
from bench.county import Centre, County, county, station_at
from bench.machine import MIB, cores
from bench.replay import Plan, Sealed
from bench.result import Result
from ingest.station.journal import State
from storage.record import Receipt, SealedRecord
from storage.signed.signing import VerifyKey
from storage.vault.objects import PAYLOAD

SMALL = 150  # recordings for each centre process
WARM = 30  # more of them, brought before the clock runs
STREAMS = 32  # connections to each centre: four stations of eight bays
WANTED = 30.0  # recordings a second
TWICE = 1.7
_SHARE = 0.25  # of a core: two such centres, their load and the servers fit into two cores
_FEW, _FEWER = 60, 8  # recordings and connections for each centre that has only a share


@dataclass(frozen=True, slots=True)
class Seen:
    """One round: recordings a second, and milliseconds of each kind of process for one."""

    rate: float
    work_ms: dict[str, float]

    @property
    def centre_ms(self) -> float:
        """What the centres worked for one recording."""
        return self.work_ms["centre"]

    def text(self) -> str:
        """Return the work for one recording, most first."""
        parts = sorted(self.work_ms.items(), key=lambda part: -part[1])
        told = ", ".join(f"{name} {ms:.1f}" for name, ms in parts)
        return f"ms of a core for one: {told}; together {sum(self.work_ms.values()):.1f}"


def measure(folder: Path) -> Iterator[Result]:
    """Yield the results, for S3 first."""
    with county(folder / "accession") as servers:
        for store in ("S3", "folder"):
            yield from _on(servers, folder, store)


def _on(servers: County, folder: Path, store: str) -> Iterator[Result]:
    one = _round(servers, folder, store, processes=1)
    yield Result(
        f"recordings of 1 MiB, {store}",
        f"{one.rate:.1f} /s",
        f"wanted {WANTED:g} /s of one centre",
        one.rate / WANTED,
        1.0,
        one.text(),
    )
    two = _round(servers, folder, store, processes=2)
    yield Result(
        "the same, two centres",
        f"{two.rate:.1f} /s",
        f"one centre {one.rate:.1f} /s",
        two.rate / one.rate,
        TWICE,
        two.text(),
    )
    if processors.can_limit():
        few: dict[str, Any] = {"share": _SHARE, "small": _FEW, "streams": _FEWER}
        alone = _round(servers, folder, store, processes=1, **few)
        both = _round(servers, folder, store, processes=2, **few)
        yield Result(
            "  each centre with a share of its own",
            f"{both.rate:.1f} /s",
            f"one such centre {alone.rate:.1f} /s",
            both.rate / alone.rate,
            TWICE,
            f"{_SHARE:g} of a core for each centre; {both.text()}",
        )
    if len(cores()) < 2:  # noqa: PLR2004 - one for the centre, one for the rest
        return
    apart = _round(servers, folder, store, processes=1, apart=True)
    yield Result(
        "the same, a core of its own",
        f"{apart.rate:.1f} /s",
        f"a core full of centre {1000 / apart.centre_ms:.0f} /s",
        apart.rate * apart.centre_ms / 1000,
        note=f"ratio: how full the centre's core was; {apart.text()}",
    )


def _round(
    servers: County,
    folder: Path,
    store: str,
    *,
    processes: int,
    apart: bool = False,
    share: float | None = None,
    small: int = SMALL,
    streams: int = STREAMS,
) -> Seen:
    name = f"{store.lower()}-{processes}{'-apart' * apart}{'-shared' * (share is not None)}"
    with ExitStack() as stack:
        centres = stack.enter_context(servers.centres(name, processes, folder=store == "folder"))
        loads = [
            _sealed(centre, folder / f"{name}-{number}", small + WARM, streams)
            for number, centre in enumerate(centres)
        ]
        others = cores()
        if apart:
            own, *others = cores()
            processors.pin(processors.descendants(), others)
            processors.pin([centre.pid for centre in centres], [own])
        _bring(loads, slice(0, WARM), centres, others)
        if share is not None:
            stack.enter_context(processors.limited([centre.pid for centre in centres], share))
        return _bring(loads, slice(WARM, None), centres, others)


def _sealed(centre: Centre, folder: Path, files: int, streams: int) -> "_Load":
    """Seal with a real station, and take from it what it would bring."""
    home = station_at(centre, folder, files=files, size=MIB)
    sealed = []
    for entry in home.journal.in_state(State.SEALED):
        if entry.record is None or entry.envelope is None:
            raise RuntimeError(entry)
        record = SealedRecord.verify(entry.record, [home.station.seal.key.verify_key()])
        sealed.append(
            Sealed(
                recording=record.recording,
                payload=str(home.settings.home / "spool" / record.recording / PAYLOAD),
                sha256=record.payload_digest.hex,
                record=entry.record.decode(),
                envelope=entry.envelope.decode(),
                receipt=str(folder / f"{record.recording}.receipt"),
            )
        )
    certificate = str(centre.county.authority.certificate)
    plan = Plan(centre.port, certificate, _token(home), streams, tuple(sealed))
    keys = (home.station.centre_key, home.station.log_key)
    home.close()
    return _Load(folder, plan, keys)


def _token(home: StationHome) -> str:
    """Let the station prove itself, and take over the token that it gets."""
    return home.centre.client._current_token()  # noqa: SLF001 - nobody else needs a token by itself


@dataclass(frozen=True, slots=True)
class _Load:
    """What one station brings, and the keys that its receipts must verify under."""

    folder: Path
    plan: Plan
    keys: tuple[VerifyKey, VerifyKey]

    def begin(self, which: slice, on: list[int]) -> "subprocess.Popen[str]":
        """Start to bring some of it, in a process of its own on these cores."""
        written = self.folder / "plan.json"
        replace(self.plan, sealed=self.plan.sealed[which]).write(written)
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.replay", str(written)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processors.pin([process.pid], on)
        return process

    def verify(self, which: slice) -> int:
        """Verify every receipt; return how many. Raises: SignatureError, RuntimeError."""
        for one in self.plan.sealed[which]:
            receipt = Receipt.verify(Path(one.receipt).read_bytes(), *self.keys)
            if receipt.recording != one.recording:
                raise RuntimeError(one.recording, receipt.recording)
        return len(self.plan.sealed[which])


def _bring(loads: list[_Load], which: slice, centres: list[Centre], on: list[int]) -> Seen:
    """Bring some of each load at once."""
    before = _work(centres)
    processes = [load.begin(which, on) for load in loads]
    took = [_said(process) for process in processes]
    after = _work(centres)
    for process in processes:
        process.communicate()
    count = sum(load.verify(which) for load in loads)
    work = {name: (after[name] - before.get(name, 0.0)) * 1000 / count for name in after}
    return Seen(count / max(took), work)


def _said(process: "subprocess.Popen[str]") -> float:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError("the load ended", process.wait())
    return float(line)


def _work(centres: list[Centre]) -> dict[str, float]:
    """Return the processor seconds of every process below this one so far, by what it is."""
    ours = {centre.pid: "centre" for centre in centres}
    used: defaultdict[str, float] = defaultdict(float)
    for pid, name in processors.descendants().items():
        with suppress(OSError):
            used[ours.get(pid) or _KINDS.get(name, name)] += processors.used_s(pid)
    return dict(used)


_KINDS = {"python": "load", "python3": "load", Path(sys.executable).resolve().name[:15]: "load"}
