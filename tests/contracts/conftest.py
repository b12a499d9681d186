"""The stores that the contract holds, each empty, and what it takes to open one again."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage.recording import RecordingId, new_recording_id
from storage.vault.folder_objects import FolderObjects, set_immutable
from storage.vault.minio_objects import MinioObjects
from storage.vault.objects import ObjectStore
from storage.vault.tiered_objects import TieredObjects


@dataclass(frozen=True)
class Place:
    """One empty place for objects: open it as often as there are processes."""

    open: Callable[[], ObjectStore]
    another: Callable[[], ObjectStore]
    lose_locks: Callable[[], None] = lambda: None  # whatever is written of locks beside objects


def lose_notes(folder: Path) -> None:
    for notes in folder.rglob(".lock"):
        shutil.rmtree(notes)


@pytest.fixture(params=["folder", "s3", "tiered"])
def place(request, tmp_path) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(
            lambda: FolderObjects(tmp_path / "objects", os.urandom),
            lambda: FolderObjects(tmp_path / "another", os.urandom),
            lambda: lose_notes(tmp_path),
        )
        for path in tmp_path.rglob("*"):
            set_immutable(path, immutable=False)
    elif request.param == "tiered":
        archive = FolderObjects(tmp_path / "archive", os.urandom)
        yield Place(
            lambda: TieredObjects(FolderObjects(tmp_path / "objects", os.urandom), lambda: archive),
            lambda: FolderObjects(tmp_path / "another", os.urandom),
            lambda: lose_notes(tmp_path),
        )
        for path in tmp_path.rglob("*"):
            set_immutable(path, immutable=False)
    else:
        server = request.getfixturevalue("s3_server")
        bucket = server.bucket()
        MinioObjects(bucket, server.key, os.urandom).create_bucket()
        yield Place(lambda: MinioObjects.open(bucket, server.key, os.urandom), server.store)


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
