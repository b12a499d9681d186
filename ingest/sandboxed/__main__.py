"""Read one hostile file on standard input, print one JSON line about it, and end at once.

The folder is run as a program (`python -I -B sandboxed`), so its modules import each other by
their bare names and nothing of the service is in sight.
"""

import json
import os
import sys

import av.logging
from look import look  # type: ignore[import-not-found]  # a neighbour in the same folder


def main() -> None:
    """Read standard input, print one JSON line."""
    av.logging.set_level(None)
    with os.fdopen(0, "rb", buffering=0) as file:
        sys.stdout.write(json.dumps(look(file), allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
