"""Heads of a log as people keep them: checkpoints, receipts, proofs, bundles, folders of these.

Everything here is hostile. Nothing is verified and nothing unpacked: of each file the signed notes
are read, whatever else it holds, and each is believed only under the log's keys.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from storage.custody.merkle.proof import Proof
from storage.errors import CustodyError, LiuhenError

_LONGEST = 1 << 20  # of a file that holds one head
_MOST = 100_000  # files in a folder, members of a zip
_DEEPEST = 8
_PROOF = "c2sp.org/tlog-proof@"
_HEAD, _RECEIPT = "data/custody/checkpoint", "receipt.json"
_UNREADABLE = (
    LiuhenError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    EOFError,
)


@dataclass(frozen=True, slots=True)
class FoundHead:
    """A head as somebody keeps it: where it stands, its untrusted text, or why there is none."""

    where: str
    untrusted_text: str = ""
    problem: str = ""


def find_heads(path: Path) -> Iterator[FoundHead]:
    """Yield every head in a checkpoint, a receipt, a proof, a bundle (folder or zip), or a folder.

    What holds none is yielded with its problem; nothing is raised. Links are not followed.
    """
    for one in _found(path, 0):
        yield replace(one, where=_printable(one.where), problem=_printable(one.problem))


def _found(path: Path, depth: int) -> Iterator[FoundHead]:
    try:
        if path.is_dir():
            inside = _bundle(path) if (path / "bagit.txt").is_file() else _folder(path, depth)
        elif path.is_file():
            inside = _zip(path) if zipfile.is_zipfile(path) else _file(path)
        else:
            raise CustodyError(problem="neither a file nor a folder")
        yield from inside
    except _UNREADABLE as error:
        yield FoundHead(str(path), problem=_told(error))


def _folder(folder: Path, depth: int) -> Iterator[FoundHead]:
    names = sorted(one for one in folder.iterdir() if not one.is_symlink())
    if depth == _DEEPEST or len(names) > _MOST:
        raise CustodyError(problem="too many files, or too deep a folder")
    if not names:
        raise CustodyError(problem="an empty folder")
    for one in names:
        yield from _found(one, depth + 1)


def _bundle(folder: Path) -> Iterator[FoundHead]:
    receipts = sorted((folder / "data" / "recordings").glob(f"*/{_RECEIPT}"))
    for path in (folder / _HEAD, *receipts):
        yield from _each(str(path), lambda path=path: _read(path))


def _file(path: Path) -> Iterator[FoundHead]:
    yield FoundHead(str(path), head_text(_read(path)))


def _zip(path: Path) -> Iterator[FoundHead]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST:
            raise CustodyError(problem="too many files in the archive")
        wanted = [
            one
            for one in members
            if one.filename.endswith(_HEAD) or one.filename.endswith(f"/{_RECEIPT}")
        ]
        if not wanted:
            raise CustodyError(problem="an archive without a head of a log")
        for one in wanted:
            where = f"{path}: {one.filename}"
            yield from _each(where, lambda one=one: _member(archive, one))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return _bounded(file.read(_LONGEST + 1))


def _each(where: str, read: Any) -> Iterator[FoundHead]:
    try:
        found = FoundHead(where, head_text(read()))
    except _UNREADABLE as error:
        found = FoundHead(where, problem=_told(error))
    yield found


def head_text(data: bytes) -> str:
    """Return the signed note in a file's bytes, unverified. Raises: CustodyError, ValueError."""
    text = data.decode("utf-8")
    if text.startswith(_PROOF):
        return Proof.parse(text).checkpoint
    if not text.startswith("{"):
        return text
    told = json.loads(text)
    for holder in (told.get("body"), told):
        if isinstance(holder, dict):
            if isinstance(proof := holder.get("proof"), str):
                return Proof.parse(proof).checkpoint
            if isinstance(note := holder.get("checkpoint"), str):
                return note
    raise CustodyError(problem="JSON without a head of a log")


def _read(path: Path) -> bytes:
    if not path.is_file():  # a pipe would be waited for
        raise CustodyError(problem="not a file")
    with path.open("rb") as file:
        return _bounded(file.read(_LONGEST + 1))


def _bounded(data: bytes) -> bytes:
    if len(data) > _LONGEST:
        raise CustodyError(problem="too long to be a head of a log", most=_LONGEST)
    return data


def _told(error: BaseException) -> str:
    if isinstance(error, LiuhenError):
        return str(error.facts.get("problem", error.code))
    return f"{type(error).__name__}: {error}"[:200]


def _printable(text: str) -> str:
    """Return a hostile name so that no terminal obeys it and no encoding refuses it."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
