"""`python -m bench`: measure speed and memory, each beside a peer or a limit, in one run."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import ingest, memory, ranges, sealing
from bench.machine import MIB, described, filled

NAMES = ("seal", "ingest", "range", "memory")


def main() -> None:
    """Run what was asked for and print every figure, the bad ones too."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size-mib", type=int, default=2048, help="file for seal, ingest, range")
    parser.add_argument("--memory-gib", type=int, default=8, help="sparse file for memory")
    parser.add_argument("--only", choices=NAMES, action="append", help="may be repeated")
    parser.add_argument("--folder", type=Path, help="scratch folder (default: a temporary one)")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    only = asked.only or NAMES
    with tempfile.TemporaryDirectory(prefix="liuhen-bench-", dir=asked.folder) as made:
        folder = Path(made)
        machine = described(folder)
        if not asked.json:
            for name, value in machine.items():
                sys.stdout.write(f"{name:<14} {value}\n")
        results = []
        if set(only) - {"memory"}:
            file = filled(folder / "file.bin", asked.size_mib * MIB)
        if "seal" in only:
            results += sealing.measure(file)
        if "ingest" in only:
            results += ingest.measure(file, folder)
        if "range" in only:
            results += ranges.measure(file, folder)
        if "memory" in only:
            results += memory.measure(folder, asked.memory_gib << 30)
    if asked.json:
        told = {"machine": machine, "results": [one.to_json() for one in results]}
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=1) + "\n")
        return
    sys.stdout.write("\n")
    for one in results:
        sys.stdout.write(one.line() + "\n")


if __name__ == "__main__":
    main()
