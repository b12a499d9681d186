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

from storage.bundle.zip_members import UNREADABLE, name_members, open_zip
from storage.custody.merkle.proof import Proof
from storage.errors import CustodyError, LiuhenError

_LONGEST = 1 << 20  # of a file that holds one head
_MOST = 100_000  # files in a folder
_DEEPEST = 8
_PROOF = "c2sp.org/tlog-proof@"
_HEAD, _RECEIPT = "data/custody/checkpoint", "receipt.json"
_UNREADABLE = (LiuhenError, TypeError, LookupError, AttributeError, RecursionError, *UNREADABLE)


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
    for head in _walk_heads(path, 0):
        yield replace(
            head, where=_make_printable(head.where), problem=_make_printable(head.problem)
        )


def _walk_heads(path: Path, depth: int) -> Iterator[FoundHead]:
    try:
        if path.is_dir():
            inside = (
                _walk_bundle(path) if (path / "bagit.txt").is_file() else _walk_folder(path, depth)
            )
        elif path.is_file():
            inside = _walk_archive(path) if zipfile.is_zipfile(path) else _read_file(path)
        else:
            raise CustodyError(problem="neither a file nor a folder")
        yield from inside
    except _UNREADABLE as error:
        yield FoundHead(str(path), problem=_describe_error(error))


def _walk_folder(folder: Path, depth: int) -> Iterator[FoundHead]:
    names = sorted(child for child in folder.iterdir() if not child.is_symlink())
    # Bounded: a folder from outside may have no bottom.
    if depth == _DEEPEST or len(names) > _MOST:
        raise CustodyError(problem="too many files, or too deep a folder")
    if not names:
        raise CustodyError(problem="an empty folder")
    for path in names:
        yield from _walk_heads(path, depth + 1)


def _walk_bundle(folder: Path) -> Iterator[FoundHead]:
    receipts = sorted((folder / "data" / "recordings").glob(f"*/{_RECEIPT}"))
    if len(receipts) > _MOST:
        raise CustodyError(problem="too many files, or too deep a folder")
    for path in (folder / _HEAD, *receipts):
        yield from _read_head(str(path), lambda path=path: _read_unlinked(folder, path))


def _read_file(path: Path) -> Iterator[FoundHead]:
    yield FoundHead(str(path), head_text(_read_bytes(path)))


def _walk_archive(path: Path) -> Iterator[FoundHead]:
    with path.open("rb") as file, open_zip(file) as archive:
        matches = [
            member
            for member in name_members(archive).members
            # By the end of its name: the bundle's folder may have any name in the archive.
            if member.untrusted_path.endswith((_HEAD, f"/{_RECEIPT}"))
        ]
        if not matches:
            raise CustodyError(problem="an archive without a head of a log")
        for match in matches:
            where = f"{path}: {match.untrusted_path}"
            yield from _read_head(where, lambda member=match: _read_member(archive, member.entry))


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    # Never more than one byte beyond the bound, however much a small member unpacks to.
    with archive.open(member) as file:
        return _check_length(file.read(_LONGEST + 1))


def _read_head(where: str, read: Any) -> Iterator[FoundHead]:
    try:
        head = FoundHead(where, head_text(read()))
    except _UNREADABLE as error:
        head = FoundHead(where, problem=_describe_error(error))
    yield head


def head_text(content: bytes) -> str:
    """Return the signed note in a file's bytes, unverified. Raises: CustodyError, ValueError."""
    text = content.decode("utf-8")
    if text.startswith(_PROOF):
        return Proof.parse(text).checkpoint
    if not text.startswith("{"):
        return text
    document = json.loads(text)
    # A signed document holds it in its body; what a station is shown of the log, beside it.
    for holder in (document.get("body"), document):
        if isinstance(holder, dict):
            if isinstance(proof := holder.get("proof"), str):
                return Proof.parse(proof).checkpoint
            if isinstance(note := holder.get("checkpoint"), str):
                return note
    raise CustodyError(problem="JSON without a head of a log")


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():  # a pipe would be waited for
        raise CustodyError(problem="not a file")
    with path.open("rb") as file:
        return _check_length(file.read(_LONGEST + 1))


def _read_unlinked(folder: Path, path: Path) -> bytes:
    """Read a file of a bundle; nothing between the bundle and it may be a link to elsewhere."""
    below = path.relative_to(folder).parts
    if any(folder.joinpath(*below[:depth]).is_symlink() for depth in range(1, len(below) + 1)):
        raise CustodyError(problem="a link, which is not followed")
    return _read_bytes(path)


def _check_length(content: bytes) -> bytes:
    if len(content) > _LONGEST:
        raise CustodyError(problem="too long to be a head of a log", most=_LONGEST)
    return content


def _describe_error(error: BaseException) -> str:
    if isinstance(error, LiuhenError):
        return str(error.facts.get("problem", error.code))
    return f"{type(error).__name__}: {error}"[:200]


def _make_printable(text: str) -> str:
    """Return a hostile name so that no terminal obeys it and no encoding refuses it."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
