"""Four stations deliver into two centres while processes die at random: what is left, in a table.

usage: python -m tests.faults.scale_out [--recordings N] [--every SECONDS] [--seed N] [--json]
The county is deploy/county.toml as processes (two centres, two workers, a TLS proxy, PostgreSQL,
Ceph); the stations are real `liuhen station` processes with eight bays each. Everything is killed
with -9 and started again: centres, workers, stations, the database, the S3 gateway, the proxy.
Afterwards every file must be exactly one recording with a verified receipt, the log one unbroken
tree under every head that was signed, and every job that was asked for finished.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ingest.station.clear import verify_receipt
from ingest.station.journal import RECEIPTED, Journal
from storage.catalogue.stations.journal_store import JournalStore
from storage.digest import Algorithm, Digest
from storage.vault.keys import KeyRing
from tests.deploy.topology import Topology, TopologyError, running

STATIONS, BAYS = 4, 8
PATIENCE_S = 900
_LARGE = 12 << 20  # bytes: every so many-th file takes several parts
_EVERY_LARGE = 40
_JOBS = 40  # recordings whose verification is asked for by hand meanwhile
OFFICE = ("centre-1", "centre-2", "worker-1", "worker-2")
ENGINES = ("db", "objects", "proxy")


@dataclass
class Outcome:
    """What the run came to; `wrong` says what must not be, and is empty when all held."""

    seed: int
    recordings: int
    kills: dict[str, int]
    accessioned: int = 0
    duplicates: int = 0
    losses: int = 0
    receipts: int = 0
    entries: int = 0
    heads: int = 0
    jobs: dict[str, int] = field(default_factory=dict)
    seconds: float = 0
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [
            ("seed", self.seed),
            ("files offered by 4 stations of 8 bays", self.recordings),
            ("kill -9, each followed by a restart", sum(self.kills.values())),
            *((f"  {name}", count) for name, count in sorted(self.kills.items())),
            ("recordings accessioned", self.accessioned),
            ("duplicates", self.duplicates),
            ("losses", self.losses),
            ("verified receipts at the stations", self.receipts),
            ("entries in the custody log", self.entries),
            ("heads signed", self.heads),
            *((f"jobs {state}", count) for state, count in sorted(self.jobs.items())),
            ("seconds", round(self.seconds)),
        ]
        told = "".join(f"{name:<42} {value:>8}\n" for name, value in lines)
        return told + "".join(f"WRONG: {one}\n" for one in self.wrong)


@dataclass
class Docked:
    """One simulated station: its home, its bays, its process, and what it must hand in."""

    county: Topology
    folder: Path
    name: str
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 -> bay
    process: subprocess.Popen[bytes] | None = None

    def enrol(self) -> None:
        for bay in self.bays.values():
            bay.mkdir(parents=True)
        made = self.county.run(
            "migrate", *_liuhen("stations", "code", self.name, "--township", "青龙镇", "--json")
        )
        code = re.search(r'"code": "([^"]+)"', made)
        assert code is not None, made
        self._run("station", "enrol", self.county.url, code.group(1), "--ca", self.county.ca)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *_liuhen("station")],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def offer(self, bay: str, number: int, size: int, at: datetime) -> None:
        """Put a file into a bay as a recorder would have it there."""
        data = os.urandom(size)
        serial = f"{int(self.name[-1])}{int(bay[-1]):06}"
        name = f"DSJ-A7_{serial}@000123_{at:%Y%m%d%H%M%S}_{number:04}.MP4"
        final = self.bays[bay] / "DCIM" / name
        final.parent.mkdir(exist_ok=True)
        temporary = final.with_suffix(".part")
        temporary.write_bytes(data)
        temporary.rename(final)
        self.files[hashlib.sha256(data).hexdigest()] = bay

    @property
    def bays(self) -> dict[str, Path]:
        return {f"bay-{number}": self.folder / f"bay-{number}" for number in range(1, BAYS + 1)}

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def receipts(self) -> tuple[Counter[str], int]:
        """Return how many verified receipts there are for each file, and how many entries wait."""
        ring = KeyRing.load(self.home / "keys")
        centre, log = ring.get_verify_key("centre"), ring.get_verify_key("log")
        journal = Journal(JournalStore(self.home / "station.db"), lambda: datetime.now(UTC))
        try:
            found: Counter[str] = Counter()
            for entry in journal.in_state(*RECEIPTED):
                if entry.receipt is None or entry.sha256 is None:
                    continue
                original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256))
                verify_receipt(entry.receipt, centre, log, original, entry.size)
                found[entry.sha256] += 1
            return found, sum(sha256 not in found for sha256 in self.files)
        finally:
            journal.close()

    def _run(self, *words: object) -> None:
        done = subprocess.run(
            _liuhen(*words),
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "LIUHEN_HOME": str(self.home),
            "LIUHEN_BAYS": json.dumps({name: str(path) for name, path in self.bays.items()}),
            "LIUHEN_IMMUTABLE": "false",
            "LIUHEN_QUIET_S": "0.2",
            "LIUHEN_SWEEP_S": "1",
            "LIUHEN_SPOOL_RESERVE_GB": "0",
            "LIUHEN_CENTRE_TIMEOUT_S": "20",
            "LIUHEN_SCREEN_PORT": "0",
        }


def run(
    folder: Path, recordings: int, every_s: float, seed: int, stations_count: int = STATIONS
) -> Outcome:
    """Run the whole thing once on an empty folder."""
    chance = random.Random(seed)
    began = time.monotonic()
    settings = {"LIUHEN_WORKER_SILENT_S": "8"}
    with running(
        folder / "county", without=frozenset({"introduce", "station"}), settings=settings
    ) as county:
        stations = [
            Docked(county, folder / f"s{n}", f"s-{n}") for n in range(1, stations_count + 1)
        ]
        kills: Counter[str] = Counter()
        try:
            for station in stations:
                station.enrol()
                station.start()
            offering = threading.Thread(
                target=_offer, args=(stations, recordings, random.Random(seed + 1)), daemon=True
            )
            offering.start()
            _storm(county, stations, chance, kills, every_s, recordings, offering)
            outcome = Outcome(seed, recordings, dict(kills))
            _settle(county, stations, outcome)
        finally:
            for station in stations:
                station.kill()
        outcome.seconds = time.monotonic() - began
        return outcome


def _offer(stations: list[Docked], recordings: int, chance: random.Random) -> None:
    at = datetime(2026, 11, 20, 1, 0, 0, tzinfo=UTC)
    for number in range(recordings):
        station = stations[number % len(stations)]
        bay = f"bay-{number // len(stations) % BAYS + 1}"
        size = _LARGE if number % _EVERY_LARGE == 0 else chance.randrange(50_000, 700_000)
        station.offer(bay, number, size, at + timedelta(minutes=number))
        time.sleep(0.05)


def _storm(
    county: Topology,
    stations: list[Docked],
    chance: random.Random,
    kills: Counter[str],
    every_s: float,
    recordings: int,
    offering: threading.Thread,
) -> None:
    """Kill and restart until nearly everything is in; the engines more seldom than the rest."""
    asked = 0
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        time.sleep(chance.uniform(0.5, 1.5) * every_s)
        name = chance.choice((*OFFICE, *OFFICE, *(station.name for station in stations), *ENGINES))
        kills[name] += 1
        station = next((one for one in stations if one.name == name), None)
        if station is not None:
            station.kill()
            time.sleep(chance.uniform(0, 1.0))
            station.start()
        else:
            county.kill(name)
            time.sleep(chance.uniform(0, 2.0))
            county.start(name)
        with contextlib.suppress(Exception):  # the database may be the one that is dead
            held = _rows(county, "SELECT id FROM recording ORDER BY id")
            if asked < _JOBS and len(held) > asked:
                with contextlib.suppress(Exception):
                    words = ("jobs", "ask", "verify", f"recording:{held[asked][0]}")
                    county.run("migrate", *_liuhen(*words))
                    asked += 1
            if len(held) >= recordings * 0.95 and not offering.is_alive():
                return


def _settle(county: Topology, stations: list[Docked], outcome: Outcome) -> None:
    """Let everything run undisturbed until it is done, then look whether all is as promised."""
    deadline = time.monotonic() + PATIENCE_S
    for name in (*OFFICE, "proxy"):
        county.wait(name)
    while time.monotonic() < deadline:
        waiting = sum(station.receipts()[1] for station in stations)
        states = dict(_rows(county, "SELECT state, count(*) FROM job GROUP BY state"))
        # Periodic jobs come and go; what is asked by hand must have ended.
        open_jobs = _rows(
            county, "SELECT count(*) FROM job WHERE kind = 'verify' AND state <> 'done'"
        )[0][0]
        if waiting == 0 and open_jobs == 0:
            break
        time.sleep(1)
    else:
        outcome.wrong.append(f"not everything ended: {waiting} files wait, jobs {states}")
    for station in stations:
        station.kill()
    _count(county, stations, outcome)


def _count(county: Topology, stations: list[Docked], outcome: Outcome) -> None:
    """Count what is held, and say what must not be."""
    offered = {sha256 for station in stations for sha256 in station.files}
    held = Counter(row[0] for row in _rows(county, "SELECT sha256 FROM recording"))
    outcome.accessioned = sum(held.values())
    outcome.duplicates = sum(count - 1 for count in held.values())
    outcome.losses = len(offered - held.keys())
    outcome.receipts = sum(sum(station.receipts()[0].values()) for station in stations)
    outcome.entries = _rows(county, "SELECT count(*) FROM log_leaf")[0][0]
    outcome.heads = _rows(county, "SELECT count(*) FROM log_checkpoint")[0][0]
    outcome.jobs = dict(_rows(county, "SELECT state, count(*) FROM job GROUP BY state"))
    if strangers := held.keys() - offered:
        outcome.wrong.append(f"{len(strangers)} recordings that nobody offered")
    if outcome.duplicates or outcome.losses:
        outcome.wrong.append("not exactly once")
    if outcome.receipts < len(offered):
        outcome.wrong.append("receipts are missing")
    if outcome.jobs.get("failed"):
        outcome.wrong.append(f"{outcome.jobs['failed']} jobs failed")
    left = [p for s in stations for p in (s.home / "spool").glob("*/payload")]
    if left:
        outcome.wrong.append(f"{len(left)} payloads left in spools")
    try:
        county.run("migrate", *_liuhen("verify", "--all"))
    except TopologyError as error:
        outcome.wrong.append(f"verify --all: {error}")


def _rows(county: Topology, statement: str) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(county.db._dsn("liuhen"), connect_timeout=5) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def _liuhen(*words: object) -> list[str]:
    return [str(Path(sys.executable).parent / "liuhen"), *map(str, words)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.scale_out", description=__doc__)
    parser.add_argument("--recordings", type=int, default=500)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folder for a look")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else int.from_bytes(os.urandom(3))
    folder = Path(tempfile.mkdtemp(prefix="liuhen-scale-"))
    sys.stderr.write(f"seed {seed}, folder {folder}\n")
    outcome = run(folder, asked.recordings, asked.every, seed)
    told = json.dumps(asdict(outcome)) + "\n" if asked.json else outcome.text()
    sys.stdout.write(told)
    if not asked.keep and not outcome.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
