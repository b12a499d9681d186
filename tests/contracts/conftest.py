"""The stores that the contract holds, each empty, and what it takes to open one again."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from minio import Minio

from storage.recording import RecordingId, new_recording_id
from storage.vault.folder.file_flags import set_immutable
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import ObjectStore, StrangerKind
from storage.vault.s3.s3_objects import S3Objects
from storage.vault.tiered_objects import TieredObjects
from tests.servers.s3 import S3Server, utc_now


@dataclass(frozen=True)
class Place:
    """One empty place for objects: open it as often as there are processes."""

    open: Callable[[], ObjectStore]
    another: Callable[[], ObjectStore]
    intrude: Callable[[str], set[tuple[str, StrangerKind]]]  # beside and upon an object
    lose_locks: Callable[[], None] = lambda: None  # whatever is written of locks beside objects


def intrude_upon_a_folder(root: Path, key: str) -> set[tuple[str, StrangerKind]]:
    """Put things into a store that are none of its own; return their places and kinds."""
    own = key.partition("/")[0]
    (root / "notes.txt").write_text("x")
    (root / "other").mkdir()
    (root / "other" / "file").write_text("x")
    (root / own / "payload.bak").write_text("x")
    (root / own / "more").mkdir()
    (root / own / "record.json").symlink_to("payload")
    (root / "2026").symlink_to(own)
    (root / own / ".lock").mkdir(exist_ok=True)
    (root / own / ".lock" / "note").write_text("x")
    return {
        ("notes.txt", StrangerKind.FILE),
        ("other", StrangerKind.FOLDER),
        (f"{own}/payload.bak", StrangerKind.FILE),
        (f"{own}/more", StrangerKind.FOLDER),
        (f"{own}/record.json", StrangerKind.LINK),
        ("2026", StrangerKind.LINK),
        (f"{own}/.lock/note", StrangerKind.FILE),
    }


def intrude_upon_a_bucket(server: S3Server, bucket: str, key: str) -> set[tuple[str, StrangerKind]]:
    """Do what anybody with the key could do; return the names and kinds of what came of it."""
    own, address = key.partition("/")[0], server.address
    raw = Minio(address.host, server.key.access, server.key.secret, secure=address.secure)
    for name in (key, "notes.txt", f"{own}/payload.bak"):
        raw.put_object(bucket, name, io.BytesIO(b"forged"), 6)
    raw.remove_object(bucket, key)
    raw.remove_object(bucket, f"{own}/never")
    return {
        (key, StrangerKind.VERSION),
        (key, StrangerKind.MARKER),
        ("notes.txt", StrangerKind.FILE),
        (f"{own}/payload.bak", StrangerKind.FILE),
        (f"{own}/never", StrangerKind.MARKER),
    }


def lose_notes(folder: Path) -> None:
    for notes in folder.rglob(".lock"):
        shutil.rmtree(notes)


@pytest.fixture(params=["folder", "s3", "tiered"])
def place(request, tmp_path) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(
            lambda: FolderObjects(tmp_path / "objects", os.urandom),
            lambda: FolderObjects(tmp_path / "another", os.urandom),
            lambda key: intrude_upon_a_folder(tmp_path / "objects", key),
            lambda: lose_notes(tmp_path),
        )
        for path in tmp_path.rglob("*"):
            set_immutable(path, immutable=False)
    elif request.param == "tiered":
        archive = FolderObjects(tmp_path / "archive", os.urandom)
        yield Place(
            lambda: TieredObjects(FolderObjects(tmp_path / "objects", os.urandom), lambda: archive),
            lambda: FolderObjects(tmp_path / "another", os.urandom),
            lambda key: intrude_upon_a_folder(tmp_path / "objects", key),
            lambda: lose_notes(tmp_path),
        )
        for path in tmp_path.rglob("*"):
            set_immutable(path, immutable=False)
    else:
        server = request.getfixturevalue("s3_server")
        bucket = server.bucket()
        S3Objects(bucket, server.key, os.urandom, utc_now).create_bucket()
        yield Place(
            lambda: S3Objects.open(bucket, server.key, os.urandom, utc_now),
            server.store,
            lambda key: intrude_upon_a_bucket(server, bucket.bucket, key),
        )


@pytest.fixture
def store(place) -> ObjectStore:
    return place.open()


@pytest.fixture
def now() -> datetime:
    """The real time: a server keeps its own."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def recording(now) -> RecordingId:
    return new_recording_id(now, os.urandom(10))
