"""A store is this office's by its name, and where that was lost, by what it holds."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.office.readiness import Readiness
from api.office.wiring import Office, adopt_archive
from storage.catalogue.recordings import recordings
from storage.errors import ArchiveAwayError, StoreReplacedError, StoreSetupError
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import ObjectStore
from tests.api.cli.test_founding import in_bucket
from tests.api.office.test_tiering import archive_all
from tests.command import run
from tests.office import Desk


@dataclass
class Stored:
    """An office with recordings, and another store that settings can point to instead."""

    desk: Desk
    another: ObjectStore

    @property
    def settings(self):
        return self.desk.office.settings

    @property
    def known(self) -> Path:
        return self.settings.home / "object-store.id"

    def swap(self):
        """Let the settings lead to the other store, as after a mistake with a mount or a name."""
        if self.settings.objects_url is None:
            root = self.settings.home / "objects"
            root.rename(root.with_name("objects-away"))
            self.another._root.rename(root)
            return self.settings
        url = self.settings.objects_url.replace(self.bucket, self.another._client.bucket)
        return self.settings.model_copy(update={"objects_url": url})

    @property
    def bucket(self):
        return self.settings.objects_url.rpartition("/")[2].partition("?")[0]


@pytest.fixture(params=["folder", "s3"])
def stored(request, tmp_path):
    if request.param == "folder":
        desk = Desk.set_up(tmp_path)
        another = FolderObjects(tmp_path / "another", lambda count: b"x" * count)
    else:
        server = request.getfixturevalue("s3_server")
        settings = in_bucket(server, server.bucket(), tmp_path / "office")
        more = {
            name: getattr(settings, name)
            for name in ("objects_url", "objects_access_key_file", "objects_secret_file")
        }
        desk = Desk.set_up(tmp_path / "office", **more)
        another = server.store()
    for number in range(7):
        (desk.bay("bay-1") / f"{number}.txt").write_text(f"note {number}")
    desk.sweep()
    yield Stored(desk, another)
    desk.office.close()


def copy_objects(source, target, keys):
    for key in keys:
        size = source.facts(key).size
        target.put(key, [source.read(key, 0, size)])


def test_a_home_put_back_without_the_name_knows_its_store_by_what_it_holds(stored):
    stored.desk.office.close()
    name = stored.known.read_text()
    stored.known.unlink()
    Office.open(stored.settings).close()
    assert stored.known.read_text() == name


@pytest.mark.parametrize("named", [False, True])
def test_without_the_name_no_other_store_is_adopted(stored, named):
    if named:
        stored.another.identity()
    stored.desk.office.close()
    settings = stored.swap()
    stored.known.unlink()
    with pytest.raises(StoreSetupError) as refusal:
        Office.open(settings)
    assert "object-store.id" in refusal.value.facts["problem"]
    assert not stored.known.exists()
    store = stored.another if settings.objects_url else FolderObjects(
        settings.home / "objects", lambda count: b"y" * count
    )  # fmt: skip
    assert (store.find_identity() is not None) == named


def test_without_the_name_a_store_with_a_few_of_the_objects_is_not_adopted(stored):
    """The copy of an earlier day, say: it has the oldest recordings, and not the newest."""
    office = stored.desk.office
    keys = list(office.objects.keys())
    with office.catalogue.read() as session:
        newest = recordings.sample_recordings(session)[-1].id
    stored.another.identity()
    copy_objects(office.objects, stored.another, [k for k in keys if not k.startswith(newest)])
    office.close()
    settings = stored.swap()
    stored.known.unlink()
    with pytest.raises(StoreSetupError) as refusal:
        Office.open(settings)
    assert newest in refusal.value.facts["problem"]


def test_without_the_name_a_whole_copy_is_this_offices(stored):
    office = stored.desk.office
    copy_objects(office.objects, stored.another, list(office.objects.keys()))
    office.close()
    settings = stored.swap()
    stored.known.unlink()
    Office.open(settings).close()
    again = Office.open(settings)
    assert stored.known.read_text() == again.objects.find_identity() == again.known_store.name
    again.close()


def test_another_name_is_told_at_the_start(stored):
    stored.another.identity()
    stored.desk.office.close()
    settings = stored.swap()
    with pytest.raises(StoreReplacedError) as refusal:
        Office.open(settings)
    assert refusal.value.facts["known"] == stored.known.read_text()


def test_an_unnamed_store_is_not_given_a_name_in_place_of_the_known_one(stored):
    stored.desk.office.close()
    settings = stored.swap()
    with pytest.raises(StoreReplacedError):
        Office.open(settings)
    if settings.objects_url is None:
        assert not (settings.home / "objects" / "store.json").exists()
    else:
        assert stored.another.find_identity() is None


def test_a_store_swapped_while_the_office_runs_is_another_store_and_takes_nothing(stored):
    """The bucket's name leads elsewhere now: DNS, a proxy, a server that was set up anew."""
    office = stored.desk.office
    moment = [0.0]
    office.known_store.monotonic = lambda: moment[0]
    office.known_store._right_until = 0.0
    readiness = Readiness(office)
    assert readiness.check_readiness() == {"status": "ready"}
    stored.another.identity()
    if office.settings.objects_url is None:
        stored.swap()
    else:
        there = stored.another
        office.objects._client, office.objects._uploads = there._client, there._uploads
        office.objects._sender = there._sender
        office.objects._versions._client = there._client  # what was remembered stays
        assert readiness.check_readiness() == {
            "status": "ready"
        }  # asked every few seconds, not each time
    moment[0] = 6.0
    with pytest.raises(StoreReplacedError):
        readiness.check_readiness()
    (stored.desk.bay("bay-1") / "more.txt").write_text("more")
    stored.desk.sweep()
    with office.catalogue.read() as session:
        assert len(list(recordings.iterate_recordings(session))) == 7
    assert list(office.objects.keys()) == []


def test_a_store_that_is_away_takes_no_page_away(stored):
    """Lists and cases need no object; what needs one says so itself."""
    office = stored.desk.office
    if office.settings.objects_url is None:
        pytest.skip("a folder is there or is another one")
    office.known_store.objects = replace_host(stored.another)
    office.known_store._right_until = 0.0
    office.known_store.monotonic = lambda: 1.0
    assert Readiness(office).check_readiness() == {
        "status": "ready",
        "objects": "store-unavailable",
    }


def replace_host(store):
    from storage.vault.s3.address import S3Address, S3Key
    from storage.vault.s3.s3_objects import S3Objects
    from tests.servers.s3 import utc_now

    address = S3Address.parse(f"s3://127.0.0.1:1/{store._client.bucket}?secure=false", None)
    key = S3Key("a", "b" * 8)
    return S3Objects(address, key, lambda count: b"z" * count, utc_now, timeout_s=0.1)


def test_a_new_office_takes_the_store_that_is_there(tmp_path):
    desk = Desk.set_up(tmp_path)
    desk.office.close()
    settings = desk.office.settings
    name = FolderObjects(settings.home / "objects", lambda count: b"x" * count).find_identity()
    assert (settings.home / "object-store.id").read_text() == name


def test_samples_are_the_oldest_the_newest_and_some_between(stored):
    with stored.desk.office.catalogue.read() as session:
        ids = [row.id for row in recordings.iterate_recordings(session)]
        assert [row.id for row in recordings.sample_recordings(session, 3)] == [
            ids[0],
            ids[3],
            ids[6],
        ]
        assert {row.id for row in recordings.sample_recordings(session, 50)} == set(ids)
        assert recordings.sample_recordings(session, archived=True) == []


@pytest.fixture
def archived(tmp_path):
    desk = Desk.set_up(tmp_path, archive=str(tmp_path / "safe"))
    (desk.bay("bay-1") / "note.txt").write_text("one")
    desk.sweep()
    adopt_archive(desk.office)
    assert archive_all(desk)
    yield desk
    desk.office.close()


def test_without_its_name_no_other_disk_becomes_the_archive(archived, tmp_path):
    office = archived.office
    known = office.settings.home / "archive-store.id"
    known.unlink()
    (tmp_path / "safe").rename(tmp_path / "away")
    with pytest.raises(ArchiveAwayError):  # a mount point without its disk
        adopt_archive(office)
    assert not (tmp_path / "safe").exists()
    FolderObjects(tmp_path / "safe", lambda count: b"x" * count).identity()
    with pytest.raises(StoreSetupError):
        adopt_archive(office)
    assert not known.exists()
    shutil.rmtree(tmp_path / "safe")
    (tmp_path / "away").rename(tmp_path / "safe")
    assert adopt_archive(office).find_identity() == known.read_text()


def test_an_office_whose_payloads_are_archived_knows_its_store_again(archived):
    archived.office.close()
    (archived.office.settings.home / "object-store.id").unlink()
    Office.open(archived.office.settings).close()


def test_archive_init_makes_nothing_on_a_disk_that_is_not_mounted(archived, tmp_path):
    (tmp_path / "safe").rename(tmp_path / "away")
    archived.office.close()
    home = archived.office.settings.home
    done = run(home, "archive", "init", LIUHEN_ARCHIVE=str(tmp_path / "safe"))
    assert done.returncode == 1
    assert "归档盘未接入" in done.err
    assert not (tmp_path / "safe").exists()
