"""A bundle leaves: as a folder, or as a zip that is made while it is sent.

Members come one after the other and are read once, so that nothing is held whole in memory and
nothing lies on a disk but at the place that was asked for.
"""

import io
import os
import shutil
import zipfile
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from storage.bundle.bag import Member
from storage.durable import sync_folder

_REGULAR = 0o100644 << 16  # a plain file that others may read, as `external_attr` holds it


def write_folder(folder: Path, members: Iterable[Member]) -> None:
    """Write the members into a new folder, each durable; a failure leaves nothing behind.

    What was half-written is plaintext that nobody answers for. Raises: FileExistsError (the folder
    was there, and stays), OSError, and what the members raise.
    """
    folder.mkdir(parents=True)
    try:
        for member in members:
            _write_file(folder / member.path, member.blocks)
        sync_folder(folder)
    except BaseException:
        # Also when it is interrupted: half a bundle is plaintext without its statement.
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_zip(path: Path, root: str, members: Iterable[Member], made_at: datetime) -> None:
    """Write the members into a new zip; a failure leaves nothing behind.

    Raises: FileExistsError (the file was there, and stays), OSError, and what the members raise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        try:
            for block in stream_zip(root, members, made_at):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def stream_zip(root: str, members: Iterable[Member], made_at: datetime) -> Generator[bytes]:
    """Yield a zip of the members below the folder `root`, stored, block by block.

    A zip without its end is no zip: whoever reads one that broke off is told so by every program.
    Names are ASCII or marked as UTF-8 (APPNOTE 4.4.4, bit 11), sizes follow the bytes (bit 3).
    """
    outlet = _Outlet()
    archive = zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED)
    moment = made_at.timetuple()[:6]
    for member in members:
        entry = zipfile.ZipInfo(f"{root}/{member.path}", moment)
        entry.external_attr = _REGULAR
        entry.file_size = member.size  # tells whether the member needs 64-bit sizes
        with archive.open(entry, "w") as target:
            for block in member.blocks:
                target.write(block)
                yield from outlet.take_blocks()
        yield from outlet.take_blocks()
    # Not in a `with`: after a failure nothing must write the directory that makes it look whole.
    archive.close()
    yield from outlet.take_blocks()


class _Outlet(io.RawIOBase):
    """Holds what the zip writer wrote until it is passed on; it cannot go back."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, block: bytes) -> int:  # type: ignore[override]  # as narrow as zipfile calls it
        self._blocks.append(bytes(block))
        return len(block)

    def take_blocks(self) -> Iterator[bytes]:
        blocks, self._blocks = self._blocks, []
        yield from blocks


def _write_file(path: Path, blocks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that is there already is refused: two members of one name would be one.
    with path.open("xb") as file:
        for block in blocks:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
