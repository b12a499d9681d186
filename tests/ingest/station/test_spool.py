"""How full a station's spool is: counted once, added up since, and never the reason of a refusal."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.station.delivery.spool import Spool, SpoolFullError
from storage.recording import RecordingId, new_recording_id
from storage.vault.folder.folder_objects import FolderObjects

SIZE = 1000


class Counting(FolderObjects):
    """A folder that knows how often it was counted."""

    counts = 0

    def keys(self) -> Iterator[str]:
        self.counts += 1
        return super().keys()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    root = tmp_path / "spool"
    return Spool(Counting(root, os.urandom, immutable=False), root, limit=10 * SIZE, reserve=0)


def fill(spool: Spool, count: int, now) -> list[RecordingId]:
    made = [new_recording_id(now, os.urandom(10)) for _ in range(count)]
    for recording in made:
        spool.check_room(SIZE)
        spool.put(recording, [bytes(SIZE)], SIZE)
    return made


def test_files_that_wait_are_counted_once(spool, now):
    first, *_others = fill(spool, 8, now)
    spool.remove_payload(first)
    spool.remove_payload(first)
    fill(spool, 3, now)
    assert spool.objects.counts == 1
    assert spool.measure_used() == 10 * SIZE


def test_a_full_spool_refuses_until_something_went(spool, now):
    first, *_others = fill(spool, 10, now)
    with pytest.raises(SpoolFullError):
        spool.check_room(1)
    with pytest.raises(SpoolFullError):
        fill(spool, 1, now)
    spool.remove_payload(first)
    fill(spool, 1, now)


def test_what_others_removed_is_room_again(spool, now):
    first, *_others = fill(spool, 10, now)
    (spool.root / f"{first}/payload").unlink()
    spool.check_room(SIZE)


def test_the_same_payload_again_is_counted_once(spool, now):
    (one,) = fill(spool, 1, now)
    spool.remove_payload(one)
    spool.put(one, [bytes(SIZE)], SIZE)
    assert spool._total == spool.measure_used() == SIZE
