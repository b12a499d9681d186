"""Read one hostile file on standard input, print one JSON line (or a JPEG) and end at once.

The folder is run as a program (`python -I -B sandboxed`), so its modules import each other by
their bare names and nothing of the service is in sight. With `--many` standard input is a socket,
and files come through it one after the other (`many.py`). Lines that begin with `~` come before
the answer and tell how far it is.
"""

import argparse
import json
import os
import sys
import time
from io import FileIO

import av.logging
from look import inspect_file  # type: ignore[import-not-found]
from many import serve_requests  # type: ignore[import-not-found]
from pace import Pace  # type: ignore[import-not-found]
from poster import make_poster  # type: ignore[import-not-found]

_TOLD_S = 0.25


def main(words: list[str]) -> None:
    """Read standard input, print one JSON line, or the poster alone."""
    arguments = _parse_arguments(words)
    av.logging.set_level(None)
    if arguments.many:
        serve_requests(main)
        return
    # By descriptor: there is no name of the file in here.
    with os.fdopen(0, "rb", buffering=0) as file:
        if arguments.poster:
            answer = make_poster(file)
        else:
            pace, decode = Pace(arguments.share, arguments.seconds), not arguments.packets_only
            facts = inspect_file(
                file,
                pace,
                Teller(file).report_position,
                decode=decode,
                codes=not arguments.no_codes,
            )
            # Python would write NaN and Infinity, which are no JSON.
            answer = json.dumps(facts, allow_nan=False).encode() + b"\n"
    with os.fdopen(1, "wb") as out:
        out.write(answer)


class Teller:
    """Tells how far a look has come in its file, a few times a second."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._size = max(os.fstat(file.fileno()).st_size, 1)
        self._last = time.monotonic()

    def report_position(self) -> None:
        """Tell where the file is being read, if it is time to."""
        now = time.monotonic()
        if now - self._last >= _TOLD_S:
            self._last = now
            # Where the file is read, over its size: enough for a bar, and costs no decoding.
            os.write(1, b"~%.4f\n" % (self._file.tell() / self._size))


def _parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandboxed")
    parser.add_argument("--share", type=float, default=1.0, help="of one core")
    parser.add_argument("--seconds", type=float, default=60.0, help="of processor time")
    parser.add_argument("--packets-only", action="store_true")
    parser.add_argument("--no-codes", action="store_true")
    parser.add_argument("--poster", action="store_true")
    parser.add_argument("--many", action="store_true", help="files come through a socket")
    return parser.parse_args(words)


if __name__ == "__main__":
    main(sys.argv[1:])
    # At once, without the libraries' own clean-up, which a hostile file may have damaged.
    os._exit(0)
