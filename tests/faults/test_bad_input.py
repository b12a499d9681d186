"""A volume full of hostile and broken files: each is told, and everything else goes on."""

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.problems import reason_en, reason_zh
from api.sample_volume import Recorder, write_segments
from ingest.bay import BayState
from ingest.clear import When
from ingest.settle import Patience
from storage.catalogue import recordings
from storage.catalogue.custody_log import LogReader
from tests.office import Desk, segment

NAMES = {
    b"empty.mp4": b"",
    b"one.mp4": b"\x00",
    b"text.mp4": b"this is no film",
    b"playlist.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
    b"..%2f..%2fetc%2fpasswd.mp4": b"dots",
    b"...mp4": b"only dots",
    b"line\nbreak\r\x1b[31m.mp4": b"newline",
    "name\u202egnp.4pm".encode(): b"right to left",
    b"not\xff\xfeutf8.mp4": b"bytes",
    b"x" * 251 + b".mp4": b"long",
    b"'; DROP TABLE recording; --.mp4": b"sql",
    b"<script>alert(1)</script>.mp4".replace(b"/", b"_"): b"html",
    b"-rf.mp4": b"an option",
    b"0000012_000123_19700101000000_0001.MP4": b"1970",
    b"0000012_000123_20991231235959_0002.MP4": b"2099",
    b"0000012_000123_20261399256199_0003.MP4": b"no such time",
}


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path, clear=When.AT_ONCE)
    yield desk
    desk.office.close()


def rows(desk):
    with desk.office.catalogue.read() as session:
        return {row.sha256: row for row in recordings.everything(session)}


def offer(desk, name, data):
    path = os.path.join(os.fsencode(desk.bay("bay-1")), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


@pytest.fixture
def swept(desk):
    for name, data in NAMES.items():
        offer(desk, name, data)
    (clip,) = write_segments(desk.bay("bay-1"), Recorder("0000012", "000123"), [segment(0, 1)])
    clip.with_suffix(".log").unlink()
    whole = clip.read_bytes()
    offer(desk, b"cut.mp4", whole[: len(whole) // 2])
    offer(desk, b"film.jpg", whole + b" ")
    bay = desk.bay("bay-1")
    (bay / "link.mp4").symlink_to("/etc/passwd")
    (bay / "folder").symlink_to("/etc")
    os.mkfifo(bay / "pipe.mp4")
    deep = bay
    for level in range(40):
        deep /= f"d{level}"
    deep.mkdir(parents=True)
    (deep / "deep.mp4").write_bytes(b"deep")
    old = offer(desk, b"old.mp4", b"old")
    os.utime(old, (0, 0))
    coming = offer(desk, b"coming.mp4", b"coming")
    os.utime(coming, (4_086_000_000, 4_086_000_000))
    return desk.sweep(), whole


def test_every_file_is_accessioned_whole_whatever_its_name_or_bytes(desk, swept):
    _results, whole = swept
    kept = rows(desk)
    for name, data in NAMES.items():
        assert hashlib.sha256(data).hexdigest() in kept, name
    assert hashlib.sha256(whole).hexdigest() in kept
    assert kept[hashlib.sha256(b"").hexdigest()].unplayable_reason == "empty"
    assert kept[hashlib.sha256(whole + b" ").hexdigest()].kind == "video"
    playlist = kept[hashlib.sha256(NAMES[b"playlist.mp4"]).hexdigest()]
    assert (playlist.playable, playlist.unplayable_reason) == (False, "unknown-format")
    cut = kept[hashlib.sha256(whole[: len(whole) // 2]).hexdigest()]
    assert cut.media["truncated"]


def test_what_is_no_file_is_refused_with_what_to_do_and_stays(desk, swept):
    results, _whole = swept
    refused = {result.path: result.reason for result in results if result.outcome == "quarantined"}
    assert refused["link.mp4"] == refused["folder"] == "link"
    assert refused["pipe.mp4"] == "not-regular"
    assert "too-deep" in refused.values()
    for reason in refused.values():
        assert reason_zh(reason) != reason != reason_en(reason)
    bay = desk.bay("bay-1")
    assert (bay / "link.mp4").is_symlink()
    assert (bay / "pipe.mp4").is_fifo()
    assert next(row for row in desk.office.journal.bays()).state == BayState.ATTENTION


def test_nothing_outside_the_volume_was_read(desk, swept):
    passwd = hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest()
    assert passwd not in rows(desk)


def test_times_that_cannot_be_are_asked_not_believed(desk, swept):
    kept = rows(desk)
    for data in (b"1970", b"2099", b"no such time"):
        row = kept[hashlib.sha256(data).hexdigest()]
        assert row.start_at is None
        assert "start" in row.questions


def test_names_are_shown_without_their_tricks(desk, swept):
    shown = [row.name for row in rows(desk).values()]
    for name in shown:
        assert name.isprintable()
        assert "\u202e" not in name
    with desk.office.catalogue.read() as session:
        log = LogReader(session)
        leaves = [log.leaf(index) for index in range(log.size)]
    assert not any(name in leaf for leaf in leaves for name in shown)


def test_a_file_that_grows_for_ever_is_never_taken_and_is_told(desk):
    now = [datetime(2026, 11, 23, tzinfo=UTC)]
    desk.office.clock = lambda: now[0]
    station = desk.office.station(patience=Patience(3, 60))
    bay = desk.office.bays()[0]
    path = offer(desk, b"growing.mp4", b"x")
    reasons = []
    for _ in range(30):
        with open(path, "ab") as file:
            file.write(b"more")
        now[0] = now[0].replace(
            second=(now[0].second + 4) % 60, minute=now[0].minute + (now[0].second >= 56)
        )
        reasons += [result.reason for result in station.sweep(bay)]
    assert set(reasons) == {"still-writing", "growing"}
    assert rows(desk) == {}


def test_a_file_that_somebody_still_writes_is_not_taken(desk):
    path = offer(desk, b"open.mp4", b"x")
    with open(path, "ab") as file:
        holder = subprocess.Popen(["sleep", "60"], stdout=file)
    try:
        assert {result.reason for result in desk.sweep(3)} == {"still-writing"}
    finally:
        holder.kill()
        holder.wait()
    assert [result.outcome for result in desk.sweep(2)] == ["accessioned"]


def test_a_file_that_changes_while_it_is_read_is_taken_again_later(desk):
    path = offer(desk, b"changing.txt", b"first" * 10)

    def change(step):
        if step == "payload-stored" and os.path.exists(path) and os.path.getsize(path) == 50:
            with open(path, "ab") as file:
                file.write(b"second")

    desk.office.centre.on_step = change
    desk.sweep()
    desk.sweep(3)
    assert set(rows(desk)) == {hashlib.sha256(b"first" * 10 + b"second").hexdigest()}
