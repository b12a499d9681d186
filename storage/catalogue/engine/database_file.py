"""One SQLite file at its path: opened without being made, and recognised as long as it is open.

SQLite goes on writing into a file that was removed or renamed, and would make a new one where
none is (https://www.sqlite.org/howtocorrupt.html, 2.4 and 4.2). So a connection is opened with
`mode=rw`, and before and after each use the file at the path must be the one that is open: same
device, same inode, its write-ahead log too. What this cannot see, a file that was overwritten in
place, is for the log's signer to refuse (`storage/custody/signer.py`).
"""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

from storage.durable import sync_folder
from storage.errors import CatalogueReplacedError

Inode = tuple[int, int]  # device and number

_WAL = "wal inode"


class DatabaseFile:
    """The file of one database; `database` names it in errors."""

    def __init__(self, path: Path, database: str, busy_timeout_s: float) -> None:
        self.path = path.absolute()
        self._wal = self.path.with_name(f"{self.path.name}-wal")
        self._database = database
        self._busy_timeout_s = busy_timeout_s
        self._opened: Inode | None = None
        self._lock = threading.Lock()

    def create(self) -> None:
        """Make an empty file unless there is one; its name is on the disk on return."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without O_TRUNC and O_EXCL: of two foundings at once both open the same file.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
        sync_folder(self.path.parent)

    @property
    def has_content(self) -> bool:
        """Whether there is a file with anything in it."""
        try:
            return self.path.stat().st_size > 0
        except OSError:
            return False

    def connect(self) -> sqlite3.Connection:
        """Open the file; never make one.

        Raises: CatalogueReplacedError when it is another file than was opened before,
        sqlite3.OperationalError when there is none.
        """
        before = self._opened
        # Before opening as well as after: a foreign file is not even touched.
        if before is not None and _read_inode(self.path) != before:
            raise self._replaced_error()
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout_s,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA schema_version").close()  # SQLite opens a file at its use
            self._require_same_file()
        except BaseException:
            connection.close()
            raise
        return connection

    def note_wal(self, connection_info: dict[Any, Any]) -> None:
        """Remember in a connection's own notes which write-ahead log it has open."""
        connection_info[_WAL] = _read_inode(self._wal, empty=True)

    def check_connection(self, connection_info: dict[Any, Any]) -> None:
        """Make sure that a connection writes into the file at the path.

        Raises: CatalogueReplacedError.
        """
        if (
            connection_info.get(_WAL) is None
        ):  # a new file had none yet when this connection was made
            self.note_wal(connection_info)
        if (
            # Both: a write-ahead log that was removed takes commits with it that the file lacks.
            _read_inode(self.path) != self._opened
            or _read_inode(self._wal, empty=True) != connection_info[_WAL]
        ):
            raise self._replaced_error()

    def _require_same_file(self) -> None:
        """Require the file that was opened first. Raises: CatalogueReplacedError."""
        inode = _read_inode(self.path, empty=True)
        # Of two first connections at once, both must mean one file.
        with self._lock:
            if self._opened is None:
                self._opened = inode
        if inode is None or inode != self._opened:
            raise self._replaced_error()

    def _replaced_error(self) -> CatalogueReplacedError:
        return CatalogueReplacedError(database=self._database, file=str(self.path), pid=os.getpid())


def _read_inode(path: Path, *, empty: bool = False) -> Inode | None:
    """Return the identity of the file at a path; None if it is missing or was emptied."""
    try:
        status = path.stat()
    except OSError:
        return None
    # An emptied file keeps its inode; SQLite would take it for a new database.
    return (status.st_dev, status.st_ino) if status.st_size or empty else None
