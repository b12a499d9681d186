"""BagIt (RFC 8493): the folder layout of a bundle, written and read back.

Only what the standard says: declaration, `data/`, SHA-256 manifests of payload and of tag files.
What lies in `data/` is `write.py`'s and `verify.py`'s business. A bag from outside is hostile:
paths that leave the folder, links and devices are named, never followed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from storage.bundle.report import Remark
from storage.digest import StatedDigests
from storage.durable import sync_folder

MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
TAGS = {"bagit.txt", "bag-info.txt", MANIFEST, "bundle.json", "bundle.message", "bundle.ed25519"}
MAX_FILES = 100_000
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_APPLE = "._"  # and below `__MACOSX`
_MAX_MANIFEST = 64 << 20
_READ = 1 << 20


class BagWriter:
    """Writes one bag: each file durable and hashed when `put` returns; `close` seals the tags."""

    def __init__(self, root: Path) -> None:
        """Begin a bag in a folder that must not exist yet. Raises: FileExistsError, OSError."""
        root.mkdir(parents=True)
        self._root = root
        self._payload: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._octets = 0
        self.put("bagit.txt", [DECLARATION.encode()])

    def put(self, path: str, blocks: Iterable[bytes]) -> str:
        """Write one file and return its SHA-256 as hex. Raises: OSError."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        size = 0
        # A name that is there already is refused: two files of one name would be one.
        with target.open("xb") as file:
            for block in blocks:
                digest.update(block)
                size += len(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        payload = path.startswith("data/")
        (self._payload if payload else self._tags)[path] = digest.hexdigest()
        self._octets += size if payload else 0
        return digest.hexdigest()

    def write_manifest(self, metadata: Mapping[str, str]) -> str:
        """Write bag-info and the payload manifest; return the manifest's SHA-256 as hex."""
        self.put("bag-info.txt", [bag_info(metadata, self._octets, len(self._payload))])
        return self.put(MANIFEST, [_format_manifest(self._payload)])

    def close(self) -> None:
        """Write the tag manifest and sync the folder."""
        self.put(TAG_MANIFEST, [_format_manifest(self._tags)])
        sync_folder(self._root)


def bag_info(metadata: Mapping[str, str], octets: int, files: int) -> bytes:
    """Return the text of `bag-info.txt`: one line for each member, then the payload's size."""
    elements = {**metadata, "Payload-Oxum": f"{octets}.{files}"}
    return "".join(f"{name}: {' '.join(elements[name].split())}\n" for name in elements).encode()


def payload_size(root: Path) -> tuple[int, int]:
    """Return the octets and the number of the payload's files. Raises: OSError, ValueError."""
    digests = _read_manifest(root / MANIFEST)
    return sum((root / path).stat().st_size for path in digests), len(digests)


def find_problems(root: Path) -> Iterator[str]:
    """Yield the problems of a bag, by path; none when every byte matches the manifests."""
    try:
        payload, tags = (_read_manifest(root / name) for name in (MANIFEST, TAG_MANIFEST))
        declared = (root / "bagit.txt").read_bytes()
    except (OSError, ValueError) as error:
        yield f"unreadable: {error}"
        return
    if declared != DECLARATION.encode():
        yield "bagit.txt: another declaration"
    yield from _find_misplaced(payload, tags)
    digests = payload | tags
    paths = set()
    for path in _walk_files(root):
        if path.startswith("!"):
            yield f"{path[1:]}: not a regular file"
            continue
        paths.add(path)
    # No manifest lists the tag manifest, which nobody signs; nothing in it is believed.
    for path in sorted(paths - set(digests) - {TAG_MANIFEST}):
        yield told_litter(path) if is_litter(path) else f"{path}: not listed"
    # Only what the walk met as a regular file is opened: never a link or a device.
    for path, expected in sorted(digests.items()):
        if path not in paths:
            yield f"{path}: missing"
        elif digest_of(root / path) != expected:
            yield f"{path}: changed"


def _find_misplaced(payload: Iterable[str], tags: Iterable[str]) -> Iterator[str]:
    """Yield the paths that stand in the wrong manifest: the tag files' manifest is unsigned."""
    for path in sorted(set(tags) - TAGS):
        yield f"{path}: not a tag file of a bundle"
    for path in sorted(path for path in payload if not path.startswith("data/")):
        yield f"{path}: a tag file among the payload"


def is_litter(path: str) -> bool:
    """Tell whether a path beside `data/` is one that computers add by themselves.

    Just these: `.DS_Store`, `._*`, `__MACOSX/…/._*`, `Thumbs.db`, `desktop.ini`. They say nothing,
    are never opened, and are told of; below `data/` nothing is allowed that is not listed.
    """
    *folders, name = path.split("/")
    if folders:
        return folders[0] == "__MACOSX" and name.startswith(_APPLE)
    return name in _LITTER or name.startswith(_APPLE)


def told_litter(path: str) -> Remark:
    """Return the remark about a file that a computer added."""
    return Remark(f"{path}: 电脑自动添加,未打开 added by a computer, not opened")


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 as hex. Raises: OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()


def read_against(path: Path, digests: Mapping[str, str]) -> StatedDigests:
    """Read a file once, beside the digests that somebody stated of it. Raises: OSError."""
    stated = StatedDigests(digests)
    with path.open("rb") as file:
        while block := file.read(_READ):
            stated.update(block)
    return stated


def _format_manifest(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def _read_manifest(path: Path) -> dict[str, str]:
    # A hostile manifest: a link to elsewhere, or gigabytes of lines.
    if path.is_symlink() or path.stat().st_size > _MAX_MANIFEST:
        raise ValueError(path.name)
    content = path.read_bytes()
    digests = {}
    for line in content.decode().split("\n"):
        digest, _, name = line.partition("  ")
        parts = PurePosixPath(name).parts
        # Path traversal: hashing files outside the bundle would tell what is on this disk.
        if ".." in parts or PurePosixPath(name).is_absolute():
            raise ValueError(f"{path.name}: {name}")
        if name:
            digests[name] = digest
    # One canonical form: duplicate lines could list two digests for one file.
    if _format_manifest(digests) != content:
        raise ValueError(f"{path.name}: not as a manifest is written here")
    return digests


def _walk_files(root: Path) -> Iterator[str]:
    """Yield every file below the folder; one that is not a regular file with a leading `!`."""
    count = 0
    for folder, folders, names in os.walk(root):
        for name in (
            *names,
            # `os.walk` does not follow links to folders, and would not name them either.
            *(subfolder for subfolder in folders if (Path(folder) / subfolder).is_symlink()),
        ):
            count += 1
            if count > MAX_FILES:
                return
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            yield relative if path.is_file() and not path.is_symlink() else f"!{relative}"
