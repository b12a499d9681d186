"""A migrated catalogue on the disk, a clock that moves on, and an office to begin with."""

import hashlib
from datetime import timedelta
from types import SimpleNamespace

import pytest

from storage.catalogue.people import people, register
from storage.catalogue.recordings.recordings import NewRecording
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.signer import LogSigner
from storage.digest import Digest
from storage.recording import MediaKind, new_recording_id
from storage.signed.signing import SigningKey
from tests.servers.database import Database

ADMIN = "system"


class Clock:
    """Moves on by a second with every look."""

    def __init__(self, now):
        self.now = now

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


class Counter:
    """Bytes that differ from call to call and from run to run not at all."""

    def __init__(self):
        self.calls = 0

    def __call__(self, size):
        self.calls += 1
        return hashlib.sha512(b"%d" % self.calls).digest()[:size]


@pytest.fixture
def clock(now):
    return Clock(now)


@pytest.fixture
def random_bytes():
    return Counter()


@pytest.fixture
def database(tmp_path):
    """The database behind everybody's back."""
    database = Database.fresh(tmp_path)
    yield database
    database.drop()


@pytest.fixture
def url(database):
    return database.url


@pytest.fixture
def catalogue(url, clock, random_bytes):
    catalogue = Catalogue(url, clock, random_bytes, busy_timeout_s=5)
    catalogue.migrate_tables()
    yield catalogue
    catalogue.close()


@pytest.fixture
def office(catalogue):
    """Two certified officers and an auxiliary of one township, and their station."""
    with catalogue.write() as uow:
        people.add_station(uow, id="s1", name="半壁山", township="半壁山镇", actor=ADMIN)
        first, second, helper = (
            people.add_person(
                uow,
                name=name,
                kind=kind,
                unit="综合行政执法队",
                township="半壁山镇",
                certificate_no=number,
                actor=ADMIN,
            )
            for name, kind, number in (
                ("张三", "officer", "001"),
                ("李四", "officer", "002"),
                ("王五", "auxiliary", None),
            )
        )
        for person, number in ((first, "001"), (second, "002")):
            register.record_certificate(
                uow, person.id, number=number, category="综合行政执法", unit="执法队", actor=ADMIN
            )
    return SimpleNamespace(first=first, second=second, helper=helper, township="半壁山镇")


@pytest.fixture
def new(random_bytes, now):
    """Make a recording of some seconds; whatever is given stands instead."""

    def make(content=b"footage", serial="R1", **given):
        start = given.get("start_at", now)
        facts = {
            "id": new_recording_id(now, random_bytes(10)),
            "source_serial": serial,
            "sha256": Digest.compute(content),
            "size": len(content),
            "name": "张三.mp4",
            "path": "DCIM/张三.mp4",
            "kind": MediaKind.VIDEO,
            "playable": True,
            "township": "半壁山镇",
            "station": "s1",
            "profile": "generic",
            "record_text": '{"record":1}',
            "envelope_text": '{"envelope":1}',
            "retain_until": now + timedelta(days=180),
            "container": "mp4",
            "duration_s": 60.0,
            "start_at": start,
            "end_at": start and start + timedelta(seconds=given.get("duration_s", 60.0)),
            "clock_offset_s": 0.0,
            "clock_uncertainty_s": 0.0,
            "has_video": True,
            "has_audio": True,
            "officer_no": "001",
            "media": {"streams": [{"type": "video", "rate": 25.0}]},
        }
        return NewRecording(**(facts | given))

    return make


@pytest.fixture
def signer(tmp_path, now):
    key = SigningKey.from_seeds("log", bytes(range(64)))
    signer = LogSigner(key, "liuhen.test/log", tmp_path / "signer" / "head")
    signer.begin_log(now)
    return signer


@pytest.fixture
def another(database, clock, random_bytes):
    """Open the database once more, as another process does; or a copy of it."""
    opened = []

    def make(copy=None):
        opened.append(Catalogue((copy or database).url, clock, random_bytes))
        return opened[-1]

    yield make
    for catalogue in opened:
        catalogue.close()


@pytest.fixture
def backup(database, tmp_path):
    """Copy the database as it is now."""
    return lambda: database.copy(tmp_path, "old.sqlite")
