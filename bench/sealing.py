"""Sealing from the page cache to a sink, on one core and on two; peer: `openssl speed` SHA-256.

The Sealer reads once, hashes the original and encrypts. What the store hashes on top (the
payload's own SHA-256, while it writes) is measured beside it.
"""

import hashlib
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from api.wiring import entropy
from bench.machine import child, openssl_sha256
from bench.result import Result
from storage.digest import Algorithm
from storage.recording import new_recording_id
from storage.vault.sealing import DATA_KEY, Sealer, context_of


def measure(file: Path) -> list[Result]:
    """Return the results for one core and for two."""
    peer = openssl_sha256()
    found = []
    for cores, target in ((1, 0.55), (2, 0.8)):
        told = json.loads(child("bench.sealing", file, cores=cores))
        found.append(
            Result(
                f"seal to a sink, {cores} core(s)",
                f"{told['sink'] / 1e6:.0f} MB/s",
                f"openssl speed sha256 {peer / 1e6:.0f} MB/s",
                told["sink"] / peer,
                target,
                note=f"with the payload hashed too: {told['hashed'] / peer:.2f}",
            )
        )
    return found


def _sealed(file: Path, *, hashed: bool) -> float:
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
    target = Path(sys.argv[1])
    rates = {"sink": _sealed(target, hashed=False), "hashed": _sealed(target, hashed=True)}
    sys.stdout.write(json.dumps(rates) + "\n")
