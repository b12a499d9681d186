"""`python -m bench`: measure speed and memory, each beside a peer or a limit, in one run."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import (
    accession,
    bundle_custody,
    command,
    court_page,
    coverage,
    delivery,
    due,
    duties,
    exports,
    ingest,
    inspection,
    many_files,
    memory,
    ranges,
    scene_codes,
    sealing,
    starting,
)
from bench.machine import MIB, described, filled, lacking
from bench.result import Result, unmeasured

NAMES = (
    "seal",
    "ingest",
    "command",
    "many",
    "range",
    "memory",
    "coverage",
    "inspect",
    "codes",
    "deliver",
    "accession",
    "due",
    "duties",
    "start",
    "export",
    "custody",
    "court",
)
_WITH_FILE = {"seal", "ingest", "command", "range"}


def main() -> None:
    """Run what was asked for and print every figure, the bad ones too."""
    asked = _asked()
    if asked.folder is not None:
        asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="liuhen-bench-", dir=asked.folder) as made:
        folder = Path(made).resolve()
        machine = described(folder)
        if not asked.json:
            lines = [f"{name:<14} {value}\n" for name, value in machine.items()]
            sys.stdout.write("".join(lines) + "\n")
        results = []
        for one in _measured(asked, folder):
            results.append(one)
            if not asked.json:
                sys.stdout.write(one.text() + "\n")
                sys.stdout.flush()
    if asked.json:
        told = {"machine": machine, "results": [one.to_json() for one in results]}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")


def _measured(asked: argparse.Namespace, folder: Path) -> Iterator[Result]:
    only = asked.only or NAMES
    size = asked.size_mib * MIB
    note = lacking(folder, size)
    if note and _WITH_FILE & set(only):
        yield unmeasured("seal, ingest, command and range", note)
    elif _WITH_FILE & set(only):
        file = filled(folder / "file.bin", size)
        if "seal" in only:
            yield from sealing.measure(file)
        if "ingest" in only:
            yield from ingest.measure(file, folder)
        if "command" in only:
            yield from command.measure(file, folder)
        if "range" in only:
            yield from ranges.measure(file, folder)
        file.unlink()
    for name, measure in _OTHERS.items():
        if name in only:
            yield from measure(asked, folder)


_OTHERS: dict[str, Callable[[argparse.Namespace, Path], Iterator[Result]]] = {
    "many": lambda _asked, folder: many_files.measure(folder),
    "memory": lambda asked, folder: memory.measure(folder, asked.memory_gib << 30),
    "coverage": lambda _asked, _folder: coverage.measure(),
    "inspect": lambda _asked, folder: inspection.measure(folder),
    "codes": lambda _asked, folder: scene_codes.measure(folder),
    "deliver": lambda _asked, folder: delivery.measure(folder),
    "accession": lambda _asked, folder: accession.measure(folder),
    "due": lambda _asked, folder: due.measure(folder),
    "duties": lambda _asked, folder: duties.measure(folder),
    "export": lambda asked, folder: exports.measure(folder, asked.size_mib * MIB),
    "custody": lambda _asked, folder: bundle_custody.measure(folder),
    "court": lambda asked, folder: court_page.measure(folder, asked.court_gib << 30),
    "start": lambda _asked, folder: starting.measure(folder),
}


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--size-mib", type=_positive, default=2048, help="seal, ingest, command, range, export"
    )
    parser.add_argument("--memory-gib", type=_positive, default=8, help="sparse file for memory")
    parser.add_argument(
        "--court-gib", type=_positive, default=2, help="bundle for the court's page"
    )
    parser.add_argument("--only", choices=NAMES, action="append", help="may be repeated")
    parser.add_argument("--folder", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="for machines")
    return parser.parse_args()


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(text)
    return value


if __name__ == "__main__":
    main()
