"""`python -m bench.replay FILE`: bring sealed recordings to a centre, as cheaply as it can be done.

The requests are a station's own (an upload that brings its payload along, then the documents), but
nothing is sealed, journalled or verified between them, so that what is timed is the centre and its
servers. FILE is a `Plan` as JSON. Prints the seconds it took, then waits for the end of its input,
so that its own processor time can still be read.
"""

import base64
import http.client
import json
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from ingest.station.delivery.centre_client import BYTES, TUS

_CREATED, _OK = 201, 200


@dataclass(frozen=True, slots=True)
class Sealed:
    """One recording as a station's spool and journal hold it; `receipts` is where answers go."""

    recording: str
    payload: str  # file
    sha256: str  # of the payload, hex
    record: str
    envelope: str
    receipt: str  # file


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes where, over how many connections at once."""

    port: int
    ca: str
    token: str
    streams: int
    sealed: tuple[Sealed, ...]

    def write(self, path: Path) -> None:
        """Write it for a process of its own."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """Read `write`."""
        told = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**told, "sealed": tuple(Sealed(**one) for one in told["sealed"])})


def replay(plan: Plan) -> float:
    """Bring everything; return the seconds to the last receipt. Raises: RuntimeError."""
    waiting: SimpleQueue[Sealed] = SimpleQueue()
    for one in plan.sealed:
        waiting.put(one)
    context = ssl.create_default_context(cafile=plan.ca)
    began = time.perf_counter()
    with ThreadPoolExecutor(plan.streams) as pool:
        for stream in [pool.submit(_stream, plan, context, waiting) for _ in range(plan.streams)]:
            stream.result()
    return time.perf_counter() - began


def _stream(plan: Plan, context: ssl.SSLContext, waiting: SimpleQueue[Sealed]) -> None:
    link = http.client.HTTPSConnection("127.0.0.1", plan.port, timeout=120, context=context)
    login = {"Authorization": f"Bearer {plan.token}"}
    with closing(link), suppress(Empty):
        while True:
            _bring(link, waiting.get_nowait(), login)


def _bring(link: http.client.HTTPSConnection, one: Sealed, login: dict[str, str]) -> None:
    payload = Path(one.payload).read_bytes()
    metadata = ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}"
        for name, value in (("recording", one.recording), ("sha256", one.sha256))
    )
    created = login | {
        "Tus-Resumable": TUS,
        "Upload-Length": str(len(payload)),
        "Upload-Metadata": metadata,
        "Content-Type": BYTES,
    }
    link.request("POST", "/api/v1/uploads", payload, created)
    _answer(link, _CREATED)
    document = json.dumps({"record": one.record, "envelope": one.envelope}).encode()
    told = login | {"Content-Type": "application/json"}
    link.request("POST", "/api/v1/accessions", document, told)
    receipt = json.loads(_answer(link, _OK))["receipt"]
    Path(one.receipt).write_text(receipt, encoding="utf-8")


def _answer(link: http.client.HTTPSConnection, wanted: int) -> bytes:
    answer = link.getresponse()
    data = answer.read()
    if answer.status != wanted:
        raise RuntimeError(answer.status, data[:300])
    return data


if __name__ == "__main__":
    sys.stdout.write(f"{replay(Plan.read(Path(sys.argv[1])))}\n")
    sys.stdout.flush()
    sys.stdin.read()
