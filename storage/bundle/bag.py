"""BagIt (RFC 8493): the folder layout of a bundle, written and read back.

Only what the standard says: declaration, `data/`, SHA-256 manifests of payload and of tag files.
What lies in `data/` is `write.py`'s and `verify.py`'s business. A bag from outside is hostile:
paths that leave the folder, links and devices are named, never followed.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from storage.bundle.report import Remark
from storage.digest import StatedDigests

MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
DECLARATION_NAME = "bagit.txt"
DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
TAGS = {
    DECLARATION_NAME,
    "bag-info.txt",
    MANIFEST,
    "bundle.json",
    "bundle.message",
    "bundle.ed25519",
}
MAX_FILES = 100_000
_PAYLOAD = "data/"
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_APPLE = "._"  # and below `__MACOSX`
_MAX_MANIFEST = 64 << 20
_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a bag: its path from the bag's root, its bytes, to be read once, and how many.

    `size` is in bytes, as far as it is known before they are read; a zip needs it beforehand.
    """

    path: str
    blocks: Iterable[bytes]
    size: int = 0


class BagTally:
    """Digests of a bag's members, taken as their bytes go by; the manifests are made of them."""

    def __init__(self) -> None:
        """Begin a bag without members."""
        self._payload: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self._octets = 0

    def add_member(self, path: str, blocks: Iterable[bytes], size: int = 0) -> Member:
        """Return the member; it counts once its blocks have been read to their end."""
        return Member(path, self._count_blocks(path, blocks), size)

    def add_content(self, path: str, content: bytes) -> Member:
        """Return a member that is in memory already."""
        return self.add_member(path, [content], len(content))

    def digest_of(self, path: str) -> str:
        """Return a member's SHA-256 as hex. Raises: KeyError (not read to its end)."""
        return (self._payload if path.startswith(_PAYLOAD) else self._tags)[path]

    def declare_bag(self) -> Member:
        """Return the declaration that makes a folder a bag (RFC 8493 2.1.1)."""
        return self.add_content(DECLARATION_NAME, DECLARATION.encode())

    def describe_bag(self, metadata: Mapping[str, str]) -> Member:
        """Return `bag-info.txt`, with the size of the payload that went by (RFC 8493 2.2.2)."""
        text = bag_info(metadata, self._octets, len(self._payload))
        return self.add_content("bag-info.txt", text)

    def list_payload(self) -> Member:
        """Return the payload's manifest (RFC 8493 2.1.3)."""
        return self.add_content(MANIFEST, _format_manifest(self._payload))

    def list_tags(self) -> Member:
        """Return the manifest of the tag files, the last member of a bag (RFC 8493 2.2.1)."""
        return self.add_content(TAG_MANIFEST, _format_manifest(self._tags))

    def _count_blocks(self, path: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
        digest = hashlib.sha256()
        size = 0
        for block in blocks:
            digest.update(block)
            size += len(block)
            yield block
        # Only now: a member whose reader stopped half-way must not get into a manifest.
        if path.startswith(_PAYLOAD):
            self._payload[path] = digest.hexdigest()
            self._octets += size
        else:
            self._tags[path] = digest.hexdigest()


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
        declared = (root / DECLARATION_NAME).read_bytes()
    except (OSError, ValueError) as error:
        yield f"unreadable: {error}"
        return
    if declared != DECLARATION.encode():
        yield f"{DECLARATION_NAME}: another declaration"
    yield from _find_misplaced(payload, tags)
    digests = payload | tags
    paths: set[str] = set()
    for count, path in enumerate(_walk_files(root)):
        # Said, not passed over: what nobody looked at may be anything, and unlisted.
        if count == MAX_FILES:
            yield (
                f"文件超过 {MAX_FILES} 个,其余没有核对"
                f" more than {MAX_FILES} files: the rest was not looked at"
            )
            return
        if path.startswith("!"):
            yield f"{path[1:]}: not a regular file"
            continue
        paths.add(path)
    # No manifest lists the tag manifest, which nobody signs; nothing in it is believed.
    for path in sorted(paths - set(digests) - {TAG_MANIFEST}):
        yield told_litter(path) if is_litter(path) else _describe_unlisted(path)
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


def _describe_unlisted(path: str) -> str:
    """Say that a file is not listed; one that a computer adds by itself is told apart."""
    name = PurePosixPath(path).name
    if name not in _LITTER and not name.startswith(_APPLE):
        return f"{path}: not listed"
    return (
        f"{path}: 像是电脑自动添加的,但 data/ 内不得有未列出的文件;请删除它再核验"
        " as computers add it, but data/ holds only what is listed: delete it and verify again"
    )


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
    """Yield every file below the folder; one that is not a regular file with a leading `!`.

    Raises: OSError for a folder that cannot be read: what it hides is not known to be nothing.
    """
    for folder, folders, names in os.walk(root, onerror=_raise_error):
        for name in (
            *names,
            # `os.walk` does not follow links to folders, and would not name them either.
            *(subfolder for subfolder in folders if (Path(folder) / subfolder).is_symlink()),
        ):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            yield relative if path.is_file() and not path.is_symlink() else f"!{relative}"


def _raise_error(error: OSError) -> None:
    raise error
