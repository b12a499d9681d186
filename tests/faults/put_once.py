"""Put one object, or its parts, in a process of its own, whose system calls others can break.

usage: python -m tests.faults.put_once FOLDER BYTES [parts]
Prints `stored`, or the code of the error. The temporary file has the same name each time.
"""

import random
import sys
from pathlib import Path
from uuid import UUID

from storage.errors import LiuhenError
from storage.recording import RecordingId
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import PAYLOAD, key_of

KEY = key_of(RecordingId(UUID("019a7c00-0000-7000-8000-000000000001")), PAYLOAD)
TEMPORARY = KEY.replace("/", "/.put-") + "-" + "00" * 16
BLOCK = (4 << 20) + 4112


def content(size: int) -> bytes:
    """Return the same bytes for the same size."""
    return random.Random(size).randbytes(size)


def main(folder: Path, size: int, how: str = "put") -> None:
    store, data = FolderObjects(folder, bytes, immutable=False), content(size)
    blocks = [data[start : start + BLOCK] for start in range(0, size, BLOCK)]
    try:
        if how == "parts":
            handle = store.begin(KEY)
            marks = [
                store.add_part(KEY, handle, number + 1, number * BLOCK, block)
                for number, block in enumerate(blocks)
            ]
            store.complete(KEY, handle, marks, size)
        else:
            store.put(KEY, blocks)
    except LiuhenError as error:
        sys.stdout.write(error.code)
    else:
        sys.stdout.write("stored")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:4])
