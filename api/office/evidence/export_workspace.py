"""Temporary folders of exports over HTTP: no plaintext outlives the request or a crash.

Each export has a folder of its own in the spool, locked by the process that makes it. A folder
whose lock nobody holds was left by one that was killed, and is removed at the next start. The zip
that leaves has no name any more when its first byte does.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "bundle-"


@contextmanager
def export_folder(spool: Path) -> Iterator[Path]:
    """Give a new folder for one export; nothing of it is left when the block ends."""
    spool.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=spool))
    # The folder itself is locked: the lock is gone with the process, however that ends.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        # Removed before the lock is let go of: nobody finds a folder that looks left behind.
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_left_exports(spool: Path) -> int:
    """Remove what killed exports left; return how many there were. Raises: OSError."""
    removed = 0
    for folder in spool.glob(f"{_PREFIX}*"):
        # A link of that name would have somebody else's folder removed.
        if not folder.is_dir() or folder.is_symlink():
            continue
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Several processes may share a home: one that starts must not remove what another is
            # exporting.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
            removed += 1
        except BlockingIOError:
            pass  # another process is at work there
        finally:
            os.close(handle)
    return removed
