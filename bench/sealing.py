"""Sealing from the page cache to a sink, on one core and on two; peer: `openssl speed` SHA-256.

The Sealer reads once, hashes the original and encrypts. What a store hashes on top (the payload's
own SHA-256, as it is put) is measured beside it, without a target.
"""

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from api.office.system import entropy
from bench.machine import child, cores, openssl_sha256, warm
from bench.result import Result, unmeasured
from storage.digest import Algorithm
from storage.recording import new_recording_id
from storage.vault.sealing import DATA_KEY, Sealer, context_of

ROUNDS = 3
TARGETS = {1: 0.55, 2: 0.8}


def measure(file: Path) -> Iterator[Result]:
    """Yield the results; peer and ours are run in turn, and the medians compared."""
    warm(file)
    for count, target in TARGETS.items():
        what = f"seal to a sink, {count} core{'s' * (count > 1)}"
        if len(cores()) < count:
            yield unmeasured(what, f"only {len(cores())} core here")
            continue
        peers: list[float] = []
        ours: list[dict[str, float]] = []
        for _ in range(ROUNDS):
            peers.append(openssl_sha256())
            ours.append(json.loads(child("bench.sealing", file, on=cores()[:count])))
        peer = statistics.median(peers)
        for kind, name, judged in (
            ("sink", what, target),
            ("hashed", "  and the payload's own SHA-256", None),
        ):
            rates = [one[kind] for one in ours]
            rate = statistics.median(rates)
            yield Result(
                name,
                f"{rate / 1e6:.0f} MB/s",
                f"openssl speed sha256 {peer / 1e6:.0f} MB/s",
                rate / peer,
                judged,
                f"{ROUNDS} rounds: ours {_spread(rates)}, peer {_spread(peers)} MB/s",
            )


def _spread(rates: list[float]) -> str:
    return f"{min(rates) / 1e6:.0f}-{max(rates) / 1e6:.0f}"


def _sealed(file: Path, *, hashed: bool) -> float:
    """Seal the file to nowhere; return bytes of the original per second."""
    digest = hashlib.sha256()
    recording = new_recording_id(datetime(2026, 1, 1, tzinfo=UTC), entropy(10))
    with file.open("rb", buffering=0) as source:
        began = time.perf_counter()
        sealer = Sealer(
            source,
            data_key=entropy(DATA_KEY),
            context=context_of(recording, "station-1"),
            algorithms=(Algorithm.SHA256,),
        )
        for block in sealer:
            if hashed:
                digest.update(block)
        return sealer.size / (time.perf_counter() - began)


if __name__ == "__main__":
    sealed_file = Path(sys.argv[1])
    found = {kind: _sealed(sealed_file, hashed=kind == "hashed") for kind in ("sink", "hashed")}
    sys.stdout.write(json.dumps(found) + "\n")
