"""An embedded office moves to PostgreSQL and S3: log, objects and catalogue arrive, or nothing ends."""

import sqlite3

import pytest

from api.office.evidence import migration as module
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.evidence.migration import migrate_office
from api.office.founding import with_record
from api.office.settings.settings import Settings
from api.office.wiring import MovedError, Office
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings
from storage.errors import ConflictError, NoOfficeError
from storage.record import Receipt
from tests.command import run
from tests.office import FIRST, Desk, dock, segment
from tests.servers import database

pytestmark = pytest.mark.engines


@pytest.fixture
def old(tmp_path):
    """An office at work: footage, a closed seizure, a permanent lock."""
    desk = Desk.set_up(tmp_path, database_url=None)
    dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 25))
    desk.sweep()
    _case, action = desk.seizure(30)
    desk.link(action)
    desk.close(action)
    yield desk
    desk.office.close()


@pytest.fixture
def target(tmp_path, s3_server):
    for name, value in (("access", s3_server.key.access), ("secret", s3_server.key.secret)):
        (tmp_path / name).write_text(value)
    bucket = s3_server.bucket()
    secure = str(bucket.secure).lower()
    return Settings(
        home=tmp_path / "county",
        database_url=database.server().create(),
        objects_url=f"s3://{bucket.host}/{bucket.bucket}?secure={secure}",
        objects_access_key_file=tmp_path / "access",
        objects_secret_file=tmp_path / "secret",
    )


def kept(office):
    with office.catalogue.read() as session:
        log = LogReader(session)
        rows = {row.id: row.snapshot() for row in recordings.iterate_recordings(session)}
        return log.size, log.compute_root(log.size), rows


def test_an_office_arrives_whole_and_what_it_proved_stays_proved(old, target, tmp_path):
    old.office.close()
    before = Office.open(old.office.settings)
    size, root, rows = kept(before)
    keys = sorted(before.objects.keys())
    before.close()
    own = old.office.settings.home / "profiles"
    own.mkdir()
    (own / "ex9.yaml").write_text("family: ex9\n")

    moved = migrate_office(old.office.settings.home, target)

    assert moved.objects == len(keys)
    assert (target.home / "profiles" / "ex9.yaml").read_text() == "family: ex9\n"
    new = Office.open(with_record(target))  # as settings that are read afterwards
    try:
        assert list(whole_check(new)) == []
        assert list_orphans(new) == []
        assert sorted(new.objects.keys()) == keys
        new_size, _root, new_rows = kept(new)
        assert new_rows == rows
        with new.catalogue.read() as session:
            log = LogReader(session)
            assert log.compute_root(size) == root
            assert [log.get_event(index).act for index in range(size, new_size)] == [
                "office.migrate"
            ]
            receipts = [row.receipt_text for row in recordings.iterate_recordings(session)]
        for receipt in receipts:
            Receipt.verify(
                receipt.encode(), new.ring.get_verify_key("centre"), new.ring.get_verify_key("log")
            )
    finally:
        new.close()


def test_the_old_home_opens_no_more_and_the_move_can_be_repeated(old, target):
    old.office.close()
    first = migrate_office(old.office.settings.home, target)
    with pytest.raises(MovedError):
        Office.open(old.office.settings)
    assert migrate_office(old.office.settings.home, target) == first


@pytest.mark.parametrize(
    "step", ["_copy_objects", "copy_rows", "_check_arrival", "replace_file", "_log_move"]
)
def test_a_move_that_was_cut_short_goes_on(old, target, monkeypatch, step):
    old.office.close()

    class CutError(Exception):
        pass

    def cut(*_words, **_more):
        raise CutError

    with monkeypatch.context() as patched:
        patched.setattr(module, step, cut)
        with pytest.raises(CutError):
            migrate_office(old.office.settings.home, target)
    migrate_office(old.office.settings.home, target)
    new = Office.open(target)
    try:
        assert list(whole_check(new)) == []
        with new.catalogue.read() as session:
            assert len(LogReader(session).events_of("system:migrate")) == 1
    finally:
        new.close()


def test_an_office_that_is_not_whole_is_not_moved(old, target):
    old.office.close()
    connection = sqlite3.connect(old.office.settings.home / "catalogue.db")
    with connection:
        connection.execute("UPDATE recording SET name = 'other'")
    connection.close()
    with pytest.raises(ConflictError) as refused:
        migrate_office(old.office.settings.home, target)
    assert refused.value.facts["problem"] == "the old office is not whole"
    Office.open(old.office.settings).close()


def test_a_place_that_is_not_empty_is_refused(old, target, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    stranger = Desk.set_up(other, database_url=target.database_url)
    stranger.office.close()
    old.office.close()
    with pytest.raises(ConflictError):
        migrate_office(old.office.settings.home, target)
    Office.open(old.office.settings).close()


def test_the_environment_names_the_new_place_and_not_the_old(old, target, tmp_path):
    """As an administrator does it: the new place stands in LIUHEN_* variables."""
    old.office.close()
    told = {
        "LIUHEN_DATABASE_URL": target.database_url,
        "LIUHEN_OBJECTS_URL": target.objects_url,
        "LIUHEN_OBJECTS_ACCESS_KEY_FILE": str(target.objects_access_key_file),
        "LIUHEN_OBJECTS_SECRET_FILE": str(target.objects_secret_file),
    }
    done = run(target.home, "migrate", old.office.settings.home, **told)
    assert done.returncode == 0, done.err
    new = Office.open(target)
    assert list(whole_check(new)) == []
    new.close()


def test_a_folder_without_an_office_is_not_moved_and_stays_as_it_is(tmp_path, target):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    with pytest.raises(NoOfficeError):
        migrate_office(wrong, target)
    assert not list(wrong.iterdir())
    assert not target.home.exists()
