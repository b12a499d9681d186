"""Read one hostile file on standard input, print one JSON line (or a JPEG) and end at once.

The folder is run as a program (`python -I -B sandboxed`), so its modules import each other by
their bare names and nothing of the service is in sight.
"""

import argparse
import json
import os
import sys

import av.logging
from look import look  # type: ignore[import-not-found]
from pace import Pace  # type: ignore[import-not-found]
from poster import poster  # type: ignore[import-not-found]


def main() -> None:
    """Read standard input, print one JSON line, or the poster alone."""
    asked = _asked()
    av.logging.set_level(None)
    if asked.poster:
        with os.fdopen(0, "rb", buffering=0) as file:
            sys.stdout.buffer.write(poster(file))
        return
    pace = Pace(asked.share, asked.seconds)
    with os.fdopen(0, "rb", buffering=0) as file:
        told = look(file, pace, decode=not asked.packets_only, codes=not asked.no_codes)
    sys.stdout.write(json.dumps(told, allow_nan=False) + "\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandboxed")
    parser.add_argument("--share", type=float, default=1.0, help="of one core")
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time")
    parser.add_argument("--packets-only", action="store_true")
    parser.add_argument("--no-codes", action="store_true")
    parser.add_argument("--poster", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
