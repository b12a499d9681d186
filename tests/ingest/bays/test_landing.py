"""Landing folders: what terminals upload is taken when it is whole, and once."""

import hashlib
import os
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from api.office.samples.sample_volume import write_segments
from ingest.bays.bay import BayState
from storage.catalogue.recordings import recordings
from tests.office import FIRST, Desk, segment
from tests.servers import sftp

NAME = "VID_20260121_094300.mp4"


class Landing:
    """An office with one landing folder, whose clocks stand still unless the test moves them on."""

    def __init__(self, folder, **more):
        self.root = folder / "landing"
        self.root.mkdir()
        self.desk = Desk.set_up(folder, landing={"sftp": self.root}, **more)
        office = self.desk.office
        self.now = datetime.now(UTC)
        self.passed = 0.0
        office.clock = lambda: self.now + timedelta(seconds=self.passed)
        office.monotonic = lambda: self.passed
        self.station = office.build_station()
        (self.bay,) = [bay for bay in office.list_bays() if bay.landing]

    def sweep(self, after_s=0.0):
        """Let so many seconds pass, look once, return outcome and reason by path."""
        self.passed += after_s
        return {one.path: (one.outcome, one.reason) for one in self.station.sweep_bay(self.bay)}

    def rows(self):
        with self.desk.office.catalogue.read() as session:
            return list(recordings.iterate_recordings(session))

    def shown(self):
        return next(row for row in self.desk.office.journal.list_bays() if row.name == "sftp")


@pytest.fixture
def landing(tmp_path):
    made = Landing(tmp_path)
    yield made
    made.desk.office.close()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    (path, *_more) = write_segments(folder, FIRST, [segment(0, 2)])
    return path


@pytest.fixture
def upload(tmp_path, landing):
    with sftp.server(tmp_path / "ssh", landing.root) as server:
        yield server


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Uploads over real SFTP


def test_an_upload_by_sftp_is_taken_once_it_is_whole(landing, film, upload):
    upload.say(f"put {film} {NAME}")
    assert landing.sweep()[NAME] == ("waiting", "still-writing")
    assert landing.sweep(29)[NAME] == ("waiting", "still-writing")
    assert landing.sweep(2)[NAME][0] == "accessioned"
    assert landing.sweep(60)[NAME][0] == "accessioned"
    (row,) = landing.rows()
    assert row.sha256 == digest(film)


def test_an_sftp_upload_in_progress_is_left_alone_however_slow(landing, film, upload, tmp_path):
    big = tmp_path / "big.mp4"
    big.write_bytes(film.read_bytes() + os.urandom(1 << 20))
    target = landing.root / NAME
    with upload.client("-l", "2000") as client:  # 2 Mbit/s
        client.stdin.write(f"put {big} {NAME}\n".encode())
        client.stdin.close()
        until(lambda: target.exists() and target.stat().st_size)
        while target.stat().st_size < big.stat().st_size:
            assert landing.sweep(40)[NAME][0] == "waiting"
        assert client.wait() == 0
    landing.sweep(40)
    assert landing.sweep(40)[NAME][0] == "accessioned"
    (row,) = landing.rows()
    assert row.sha256 == digest(big)


def test_an_sftp_upload_cut_off_and_resumed_is_one_recording(landing, film, upload, tmp_path):
    big = tmp_path / "big.mp4"
    big.write_bytes(film.read_bytes() + os.urandom(1 << 20))
    target = landing.root / NAME
    with upload.client("-l", "2000") as client:
        client.stdin.write(f"put {big} {NAME}\n".encode())
        client.stdin.flush()
        until(lambda: target.exists() and target.stat().st_size > 100_000)
        client.kill()
    assert 0 < target.stat().st_size < big.stat().st_size
    until(lambda: landing.sweep()[NAME] == ("waiting", "still-writing"))
    assert landing.sweep(20)[NAME][0] == "waiting"  # the terminal looks for its network
    upload.say(f"reput {big} {NAME}")
    assert landing.sweep(20)[NAME][0] == "waiting"
    assert landing.sweep(31)[NAME][0] == "accessioned"
    (row,) = landing.rows()
    assert row.sha256 == digest(big)


@pytest.mark.parametrize(
    "under",
    [f"{NAME}.part", f"{NAME}.filepart", f"{NAME}.uploading", f".in.{NAME}.", f".{NAME}.Xy12Zz"],
)
def test_an_sftp_upload_under_another_name_waits_for_its_renaming(landing, film, upload, under):
    upload.say(f"put {film} {under}")
    landing.sweep()
    assert landing.sweep(3590)[under][0] == "waiting"
    upload.say(f"rename {under} {NAME}")
    landing.sweep()
    assert landing.sweep(31)[NAME][0] == "accessioned"
    (row,) = landing.rows()
    assert (row.name, row.sha256) == (NAME, digest(film))


def test_two_terminals_with_the_same_name_are_two_sources(landing, film, upload, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes() + b"\0" * 8)
    upload.say("mkdir T-07", "mkdir T-08", f"put {film} T-07/{NAME}", f"put {other} T-08/{NAME}")
    upload.say("mkdir T-09", f"put {film} T-09/{NAME}")  # the very same bytes, another terminal
    landing.sweep()
    outcomes = landing.sweep(31)
    assert {outcome for outcome, _ in outcomes.values()} == {"accessioned"}
    found = {(row.source_serial, row.sha256, row.source_kind) for row in landing.rows()}
    assert found == {
        ("T-07", digest(film), "terminal"),
        ("T-08", digest(other), "terminal"),
        ("T-09", digest(film), "terminal"),
    }


# What else happens in a folder


def test_a_file_moved_in_from_outside_is_taken_though_nobody_wrote_it(landing, film, tmp_path):
    outside = tmp_path / "outside.mp4"
    shutil.copy2(film, outside)
    outside.rename(landing.root / NAME)
    landing.sweep()
    assert landing.sweep(31)[NAME][0] == "accessioned"


def test_a_file_reopened_and_appended_after_it_was_taken_is_another_recording(landing, film):
    target = landing.root / NAME
    shutil.copy(film, target)
    landing.sweep()
    assert landing.sweep(31)[NAME][0] == "accessioned"
    with target.open("ab") as file:
        file.write(b"\0" * 100)
        file.flush()
    assert landing.sweep()[NAME][0] == "waiting"
    assert landing.sweep(31)[NAME][0] == "accessioned"
    assert {row.sha256 for row in landing.rows()} == {digest(film), digest(target)}


def test_looking_often_while_others_upload_does_not_keep_a_file_waiting(landing, film):
    """Every event wakes the sweep: a busy folder is looked at each second."""
    shutil.copy(film, landing.root / NAME)
    seen = [landing.sweep(1)[NAME][0] for _ in range(34)]
    assert seen[:29] == ["waiting"] * 29
    assert seen[-1] == "accessioned"


def test_links_and_hostile_names_do_no_harm(landing, film, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not a terminal's")
    (landing.root / NAME).symlink_to(secret)
    (landing.root / "T-07").symlink_to(tmp_path)
    os.mkfifo(landing.root / "pipe.mp4")
    hostile = os.fsencode(landing.root) + b"/T-08/\xff\n\x1b[2J;rm -rf $(x)\xe2\x80\xae.mp4"
    (landing.root / "T-08").mkdir()
    with open(hostile, "wb") as file:
        file.write(film.read_bytes())
    landing.sweep()
    outcomes = landing.sweep(31)
    refused = {
        path: reason for path, (outcome, reason) in outcomes.items() if outcome == "quarantined"
    }
    assert refused == {NAME: "link", "T-07": "link", "pipe.mp4": "not-regular"}
    (row,) = landing.rows()
    assert (row.source_serial, row.sha256) == ("T-08", digest(film))
    assert "\n" not in row.name
    assert "\x1b" not in row.name
    assert landing.shown().state == BayState.ATTENTION


def test_a_file_swapped_for_a_link_after_it_settled_is_not_followed(landing, film, tmp_path):
    target = landing.root / NAME
    shutil.copy2(film, target)
    landing.sweep()
    secret = tmp_path / "secret"
    shutil.copy2(film, secret)

    def swap(step):
        if step == "found":
            target.unlink(missing_ok=True)
            target.symlink_to(secret)

    landing.station.on_step = swap
    assert landing.sweep(31)[NAME] == ("quarantined", "unreadable")
    assert landing.rows() == []


def test_a_file_that_vanishes_is_no_failure_and_is_taken_when_it_is_back(landing, film):
    target = landing.root / NAME
    shutil.copy2(film, target)
    landing.sweep()
    landing.station.on_step = lambda step: target.unlink() if step == "found" else None
    assert landing.sweep(31)[NAME] == ("waiting", "gone")
    landing.station.on_step = lambda _step: None
    assert landing.sweep() == {}
    shutil.copy2(film, target)
    landing.sweep()
    assert landing.sweep(31)[NAME][0] == "accessioned"
    assert len(landing.rows()) == 1


@pytest.mark.parametrize("change", ["cut", "grown", "gone"])
def test_a_file_that_changes_while_it_is_read_is_never_half_taken(landing, film, change):
    target = landing.root / NAME
    data = film.read_bytes()
    target.write_bytes(data)
    landing.sweep()
    once = threading.Event()

    def disturb(step):
        if step == "sealing" and not once.is_set():
            once.set()
            if change == "gone":
                target.unlink()
            else:
                target.write_bytes(data[:1000] if change == "cut" else data + b"more")

    landing.station.on_step = disturb
    outcome = landing.sweep(31)[NAME]
    if change == "gone":  # it was open: what was read is the whole file
        assert outcome[0] == "accessioned"
        assert [row.sha256 for row in landing.rows()] == [digest(film)]
        return
    assert outcome == ("waiting", "changed")
    landing.sweep()
    assert landing.sweep(31)[NAME][0] == "accessioned"
    assert [row.sha256 for row in landing.rows()] == [digest(target)]


def test_a_folder_that_is_unmounted_and_comes_back_gives_nothing_twice(landing, film):
    shutil.copy2(film, landing.root / NAME)
    landing.sweep()
    landing.sweep(31)
    landing.root.rename(landing.root.with_name("away"))
    assert landing.sweep() == {}
    assert landing.shown().state == BayState.EMPTY
    landing.root.with_name("away").rename(landing.root)
    landing.sweep()
    assert landing.sweep(31)[NAME][0] == "accessioned"
    assert len(landing.rows()) == 1


def test_an_nvrs_exports_join_under_its_channel_and_show_the_room(tmp_path, film):
    made = Landing(tmp_path, rooms={"hall-ch01": "听证室"})
    made.desk.office.build_recorders()  # registers the rooms
    folder = made.root / "hall"
    folder.mkdir()
    first = folder / "ch01_20260121094300-20260121094302.mp4"
    second = folder / "ch01_20260121094302-20260121094304.mp4"
    shutil.copy(film, first)
    second.write_bytes(film.read_bytes() + b"\0" * 8)
    made.sweep()
    made.sweep(31)
    rows = sorted(made.rows(), key=lambda row: row.start_at)
    assert [row.source_serial for row in rows] == ["hall-ch01"] * 2
    assert {row.source_kind for row in rows} == {"room-camera"}
    assert not any(row.questions for row in rows)
    assert abs((rows[1].start_at - rows[0].end_at).total_seconds()) < 0.5
    from storage.catalogue.people import people

    with made.desk.office.catalogue.read() as session:
        assert people.find_source(session, "hall-ch01").label == "听证室"
    made.desk.office.close()
