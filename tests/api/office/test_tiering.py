"""Old payloads and their pictures in an archive: read from there, kept as well, recalled, and away when it is away."""

from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.jobs import request
from api.jobs.attempt import Runner
from api.jobs.kinds import rendition
from api.office.evidence import tiering
from api.office.evidence.integrity_check import list_orphans, whole_check
from api.office.stores.store_opening import attach_archive
from api.office.wiring import Office
from policies.identifiers import Subject
from storage.catalogue.jobs import jobs, recording_upkeep
from storage.catalogue.log import custody_log
from storage.catalogue.recordings import recordings
from storage.custody.entries.event import PremisType
from storage.errors import ArchiveAwayError, DestroyedError, FixityError, RetentionError
from storage.upkeep.fixity import Fixity, Problem
from storage.vault import tiered_objects
from storage.vault.folder.file_flags import set_immutable
from storage.vault.objects import PARTS, PAYLOAD, RENDITION
from tests.aged_office import AgedDesk
from tests.office import FIRST, SECOND, Desk, dock, segment


@pytest.fixture(scope="module")
def docked(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("docked"))
    dock(desk, "bay-1", FIRST, segment(0, 2), segment(3, 2))
    desk.sweep(3)
    return desk.rest()


@pytest.fixture
def desk(docked, tmp_path):
    desk = docked.copy(tmp_path, archive=str(tmp_path / "safe"))
    attach_archive(desk.office.settings, new=True)
    yield desk
    desk.office.close()
    for path in tmp_path.rglob("*"):
        set_immutable(path, immutable=False)


def rows(desk):
    with desk.office.catalogue.read() as session:
        return [row for row in recordings.iterate_recordings(session) if row.kind == "video"]


def archive_all(desk, **more):
    return list(
        tiering.archive_payloads(desk.office, desk.office.clock(), 100, actor="system", **more)
    )


def reopened(desk):
    desk.office.close()
    return Office.open(desk.office.settings)


def pictured(desk, row):
    """Have a picture made of a recording; return its object's key."""
    runner = Runner(desk.office)
    with desk.office.catalogue.write() as uow:
        runner.life = jobs.register_worker(uow, f"worker-{uow.new_id()}", over=None)
    job = request.ask_as(desk.service, desk.visitor("zhang"), "rendition", row.id).id
    assert runner.run(job, 1) == "done"
    with desk.office.catalogue.read() as session:
        made = recording_upkeep.newest_rendition(session, row.id, rendition.POSTER)
    return f"{made.id}/{RENDITION}"


def picture(desk, row):
    return rendition.read_poster(desk.service, desk.visitor("zhang"), UUID(row.id))


def archived_with(desk, row):
    """Return the SHA-256 of the renditions that each entry of its archiving names."""
    with desk.office.catalogue.read() as session:
        events = custody_log.LogReader(session).events_of(f"recording:{row.id}")
    return [one.details["renditions"] for one in events if one.act == "recording.archive"]


def payload(desk, row):
    return desk.office.settings.home / "objects" / row.id / PAYLOAD


def test_an_archived_payload_is_read_checked_and_locked_as_before(desk):
    moved = archive_all(desk)
    assert {one.recording for one in moved} >= {row.id for row in rows(desk)}
    assert all(one.freed for one in moved)
    for row in rows(desk):
        assert not payload(desk, row).exists()
        assert row.archived_at is not None
        key = f"{row.id}/{PAYLOAD}"
        assert desk.office.objects.facts(key).retain_until >= row.retain_until
        with pytest.raises(RetentionError):
            desk.office.objects.delete(key, desk.office.clock())
        with desk.office.catalogue.read() as session:
            events = custody_log.LogReader(session).events_of(f"recording:{row.id}")
        assert [one.act for one in events if one.act == "recording.archive"] == [
            "recording.archive"
        ]
    assert list(whole_check(desk.office)) == []
    assert archive_all(desk) == []


def test_a_damaged_copy_in_the_archive_is_found(desk, tmp_path):
    archive_all(desk)
    path = tmp_path / "safe" / rows(desk)[0].id / PAYLOAD
    set_immutable(path, immutable=False)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert [one.kind for one in whole_check(desk.office)] == ["changed-object"]


@pytest.mark.parametrize("act", ["archive", "recall"])
def test_a_copy_made_while_its_recording_was_destroyed_is_taken_away(tmp_path, monkeypatch, act):
    desk = AgedDesk.aged(tmp_path, archive=str(tmp_path / "safe"))
    office = desk.office
    attach_archive(office.settings, new=True)
    recording = desk.keep()
    if act == "recall":
        archive_all(desk)
    copy = tiered_objects._copy_object

    def destroyed_meanwhile(source, target, key):
        digest = copy(source, target, key)
        data, until = target.read(key, 0, 1000), target.facts(key).retain_until
        for part in PARTS:
            office.objects.delete(f"{recording}/{part}", office.clock())
        with office.catalogue.write() as uow:
            row = recordings.by_id(uow.session, recording)
            row.destroyed_at, row.envelope_text = uow.at, ""
            subject = Subject.of_recording(recording)
            uow.record(
                "recording.destroy", PremisType.DELETION, row, actor="system", subject=subject
            )
        target.put(key, [data])  # its last step came after all that
        target.lock(key, until)
        return digest

    monkeypatch.setattr(tiered_objects, "_copy_object", destroyed_meanwhile)
    recall = partial(tiering.recall_recording, office, UUID(recording), actor="system")
    do = recall if act == "recall" else partial(archive_all, desk)
    with pytest.raises(DestroyedError):
        do()
    assert list(office.objects.keys()) == []
    office.close()
    for path in tmp_path.rglob("*"):
        set_immutable(path, immutable=False)


def test_what_is_recalled_lies_in_the_first_store_again(desk):
    archive_all(desk)
    row = rows(desk)[0]
    tiering.recall_recording(desk.office, row.id, actor="system")
    assert payload(desk, row).exists()
    assert rows(desk)[0].archived_at is None
    assert list(whole_check(desk.office)) == []


def test_a_picture_goes_where_its_payload_goes_and_comes_back_with_it(desk):
    row, other = rows(desk)
    key, objects = pictured(desk, row), desk.office.objects
    digest, shown = objects.digest(key), picture(desk, row)
    archive_all(desk)
    assert objects.is_archived(key)
    assert objects.archive_store.digest(key) == digest
    assert (archived_with(desk, row), archived_with(desk, other)) == ([[digest.hex]], [[]])
    assert picture(desk, row) == shown
    assert (list(whole_check(desk.office)), list_orphans(desk.office)) == ([], [])
    later = pictured(desk, row)
    assert not objects.is_archived(later)
    tiering.recall_recording(desk.office, row.id, actor="system")
    assert not objects.is_archived(key)
    assert picture(desk, row) == shown
    archive_all(desk)
    assert objects.is_archived(key)
    assert objects.is_archived(later)


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_no_evidence_waits_for_a_picture_that_is_lost_or_damaged(desk, how):
    row = rows(desk)[0]
    key = pictured(desk, row)
    path = desk.office.settings.home / "objects" / key
    data = path.read_bytes()
    path.unlink()
    if how == "damaged":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    archive_all(desk)
    assert not payload(desk, row).exists()
    assert path.exists() is (how == "damaged")
    assert archived_with(desk, row) == [[]]
    with pytest.raises(FixityError):
        picture(desk, row)
    tiering.recall_recording(desk.office, row.id, actor="system")
    pictured(desk, row)
    assert picture(desk, row)


def test_a_picture_whose_payload_stays_is_copied_and_stays_too(desk, monkeypatch):
    """As in a bucket, which lets nothing go that is locked."""
    row = rows(desk)[0]
    key = pictured(desk, row)
    monkeypatch.setattr(type(desk.office.objects.first), "let_go", lambda *_given: False)
    assert not any(one.freed for one in archive_all(desk))
    assert not desk.office.objects.is_archived(key)
    assert desk.office.objects.archive_store.facts(key)
    assert len(archived_with(desk, row)[0]) == 1


STEPS = ["copied", "let-go", "rendition-copied", "rendition-let-go", "noted"]


@pytest.mark.parametrize("step", STEPS)
def test_cut_short_after_any_step_the_next_run_goes_on(desk, step):
    class Died(BaseException):
        pass

    keys = [pictured(desk, row) for row in rows(desk)]

    def die(reached):
        if reached == step:
            raise Died

    with pytest.raises(Died):
        archive_all(desk, on_step=die)
    assert list(whole_check(desk.office)) == []
    steps = []
    archive_all(desk, on_step=steps.append)
    assert set(steps) == set(STEPS)
    for row, key in zip(rows(desk), keys, strict=True):
        assert row.archived_at
        assert not payload(desk, row).exists()
        assert desk.office.objects.is_archived(key)
        assert archived_with(desk, row) == [[desk.office.objects.digest(key).hex]]
        assert picture(desk, row)
    assert list(whole_check(desk.office)) == []


def test_an_archive_that_is_away_is_told_and_nothing_is_made_in_an_empty_folder(desk, tmp_path):
    archive_all(desk)
    safe, elsewhere = tmp_path / "safe", tmp_path / "elsewhere"
    safe.rename(elsewhere)
    safe.mkdir()  # the mount point without its disk
    office = reopened(desk)
    key = f"{rows(desk)[0].id}/{PAYLOAD}"
    with pytest.raises(ArchiveAwayError):
        office.objects.read(key, 0, 10)
    with pytest.raises(ArchiveAwayError):
        office.objects.delete(key, office.clock())
    assert not office.archive_attached
    assert list(safe.iterdir()) == []
    safe.rmdir()
    elsewhere.rename(safe)
    assert office.archive_attached
    assert list(whole_check(office)) == []
    office.close()


def test_a_disk_unplugged_amid_work_is_away_and_not_evidence_that_is_missing(desk, tmp_path):
    pictured(desk, rows(desk)[0])
    archive_all(desk)
    key = f"{rows(desk)[0].id}/{PAYLOAD}"
    assert desk.office.objects.read(key, 0, 10)
    (tmp_path / "safe").rename(tmp_path / "elsewhere")
    (tmp_path / "safe").mkdir()
    for use in (
        lambda: desk.office.objects.facts(key),
        lambda: desk.office.objects.lock(key, desk.office.clock()),
        lambda: desk.office.objects.delete(key, desk.office.clock()),
        lambda: picture(desk, rows(desk)[0]),
    ):
        with pytest.raises(ArchiveAwayError):
            use()
    assert {one.kind for one in whole_check(desk.office)} == {"unreadable-object"}


def test_what_may_be_left_of_the_destroyed_in_an_archive_that_is_away_is_told(desk, tmp_path):
    row, office = rows(desk)[0], desk.office
    key = f"{row.id}/{PAYLOAD}"
    archive_all(desk)
    verify = office.ring.get_verify_key
    fixity = Fixity(office.objects, office.station_keys, verify("centre"), verify("log"))
    said = {row.id: [key]}
    assert [one.kind for one in fixity.find_leftovers(said)] == [Problem.NOT_GONE]
    (tmp_path / "safe").rename(tmp_path / "elsewhere")
    assert [one.kind for one in fixity.find_leftovers(said)] == [Problem.UNREADABLE]


def test_while_the_archive_is_away_footage_still_comes_in(desk, tmp_path):
    """Its usual place is a safe."""
    (tmp_path / "safe").rename(tmp_path / "elsewhere")
    before = len(rows(desk))
    dock(desk, "bay-2", SECOND, segment(10, 2))
    desk.sweep(3)
    (new,) = rows(desk)[before:]
    assert new.receipt_text is not None
    objects = desk.office.objects
    assert objects.facts(f"{new.id}/{PAYLOAD}").retain_until >= new.retain_until
    with pytest.raises(ArchiveAwayError):  # a copy may lie there
        objects.delete(f"{new.id}/{PAYLOAD}", desk.office.clock())


def test_a_duty_that_grows_while_a_copy_is_away_reaches_it_before_it_is_alone(desk, tmp_path):
    """The first store lets go only of what is kept as well behind."""
    row = rows(desk)[0]
    key = f"{row.id}/{PAYLOAD}"
    desk.office.objects.archive_object(key)
    (tmp_path / "safe").rename(tmp_path / "elsewhere")
    longer = row.retain_until + timedelta(days=400)
    desk.office.objects.lock(key, longer)
    (tmp_path / "elsewhere").rename(tmp_path / "safe")
    with pytest.raises(RetentionError):
        desk.office.objects.let_go(key)
    archive_all(desk)
    assert desk.office.objects.is_archived(key)
    assert desk.office.objects.facts(key).retain_until >= longer


def test_another_offices_archive_is_refused(desk, tmp_path):
    archive_all(desk)
    (tmp_path / "safe" / "store.json").write_text('{"store":"%s"}' % ("0" * 32))
    office = reopened(desk)
    with pytest.raises(ArchiveAwayError):
        office.objects.read(f"{rows(desk)[0].id}/{PAYLOAD}", 0, 10)
    office.close()


def test_the_command_archives_and_recalls(desk, monkeypatch):
    settings = desk.office.settings
    monkeypatch.setenv("LIUHEN_HOME", str(settings.home))
    monkeypatch.setenv("LIUHEN_ARCHIVE", settings.archive)
    if settings.database_url is not None:
        monkeypatch.setenv("LIUHEN_DATABASE_URL", settings.database_url)
    runner = CliRunner()
    done = runner.invoke(app, ["archive", "run", "--older-than-days", "0"])
    assert done.exit_code == 0, done.output
    assert "已释放" in done.output
    row = rows(desk)[0]
    done = runner.invoke(app, ["archive", "recall", row.id])
    assert done.exit_code == 0, done.output
    assert payload(desk, row).exists()
