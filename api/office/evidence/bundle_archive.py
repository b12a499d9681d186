"""Open a bundle that came as a folder or as a zip; archives from outside are hostile.

A zip holds one bundle and nothing else: no file beside the bundle's folder, no byte before the
first member, between two, or after the last. What computers add by themselves is told of and left
unpacked (`storage/bundle/bag.py`).
"""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from api.problems import ApiError
from storage.bundle.bag import is_litter, told_litter
from storage.bundle.zip_members import UNREADABLE, NamedMembers, name_members, open_zip

_READ = 1 << 20
_LOCAL_HEADER = 30  # bytes before a member's name (APPNOTE 4.3.7)
_DESCRIPTORS = frozenset({12, 16, 20, 24})  # bytes of a data descriptor (APPNOTE 4.3.9)
_HAS_DESCRIPTOR = 0x08


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle's folder; `beside` tells what else was in its archive, as checks tell it."""

    folder: Path
    beside: Sequence[str] = ()


@contextmanager
def open_bundle(bundle: Path) -> Iterator[OpenedBundle]:
    """Open a bundle's folder; a zip is unpacked into a temporary one for the block.

    Raises: ApiError(bundle) for what is neither, or would write outside, or lies about its size,
    or is more than a zip.
    """
    if bundle.is_dir():
        yield OpenedBundle(bundle)
        return
    # Gone with the block, whatever the bundle is worth: plaintext may be in it.
    with tempfile.TemporaryDirectory(prefix="liuhen-bundle-") as folder:
        try:
            with bundle.open("rb") as file, open_zip(file) as archive:
                named = name_members(archive)
                beside = [
                    *named.habits,
                    *_unlisted_bytes(archive, file),
                    *_unpack_bundle(archive, named, Path(folder)),
                ]
        except UNREADABLE as error:
            raise ApiError("bundle", problem=str(error)[:200]) from error
        yield OpenedBundle(Path(folder) / named.root, beside)


def _unpack_bundle(archive: zipfile.ZipFile, named: NamedMembers, folder: Path) -> Iterator[str]:
    """Unpack the bundle; yield a message for each file beside it, left packed."""
    free = shutil.disk_usage(folder).free
    # Zip bomb: these sizes are the archive's claims; unpacking holds each member to its own.
    # Half of what is free: a verifier must not fill the disk of the machine that it runs on.
    if sum(member.entry.file_size for member in named.members) > free // 2:
        raise ApiError("bundle", problem="解开后太大 too large when unpacked")
    (folder / named.root).mkdir(parents=True, exist_ok=True)
    for member in named.members:
        path = PurePosixPath(member.untrusted_path)
        # Zip slip: a member must not be written outside the temporary folder.
        if path.is_absolute() or ".." in path.parts:
            raise ApiError("bundle", problem="路径指向证据包之外 a path that leaves the bundle")
        inside = path.is_relative_to(named.root)
        name = path.relative_to(named.root).as_posix() if inside else path.as_posix()
        if is_litter(name):
            yield told_litter(path.as_posix())
        elif not inside:
            yield f"{path.as_posix()}: beside the bundle in its archive"
        else:
            _write_member(archive, member.entry, folder / path)


def _write_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    remaining_bytes = member.file_size
    # "x": of two members of one name the second fails, where it would take the place of what was
    # checked.
    with archive.open(member) as source, target.open("xb") as file:
        while block := source.read(_READ):
            remaining_bytes -= len(block)
            # A member may inflate beyond its declared size, which the free-space check relied on.
            if remaining_bytes < 0:
                raise ApiError("bundle", problem="文件比声明的长 a file longer than it says")
            file.write(block)


def _unlisted_bytes(archive: zipfile.ZipFile, file: IO[bytes]) -> Iterator[str]:
    """Yield where the archive holds bytes that belong to none of its members."""
    end = 0
    has_descriptor = False
    # Polyglot files: bytes between members could be another document beside the bundle.
    places = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    for member in places:
        gap = member.header_offset - end
        if gap and not (has_descriptor and gap in _DESCRIPTORS):
            yield f"{gap} bytes before {member.filename} in the archive"
        # The local header is read, not the directory's copy: their names and extra fields may
        # differ in length.
        file.seek(member.header_offset)
        header = file.read(_LOCAL_HEADER)
        name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        end = member.header_offset + _LOCAL_HEADER + name + extra + member.compress_size
        has_descriptor = bool(member.flag_bits & _HAS_DESCRIPTOR)
    gap = archive.start_dir - end
    if gap and not (has_descriptor and gap in _DESCRIPTORS):
        yield f"{gap} bytes after the last file in the archive"
    if archive.comment:
        yield f"a comment of {len(archive.comment)} bytes in the archive"
