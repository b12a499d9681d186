"""Files that are on the disk when a call returns: whole, under their name, with their folder."""

import os
import threading
from pathlib import Path

TEMPORARY = ".new"


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path`: readers see the old or new file, whole. Raises: OSError."""
    writer = f"{os.getpid()}-{threading.get_ident()}"  # two at once must not share a temporary
    # In the same folder: a rename is atomic within one file system only.
    temporary = path.with_name(f".{path.name}.{writer}{TEMPORARY}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        # Bytes before the name: after a power cut the new name could else stand upon an empty file.
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises: OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
