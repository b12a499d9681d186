"""A volume full of hostile and broken files: each is told, and everything else goes on."""

import base64
import fcntl
import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import pytest

from api.office.evidence.integrity_check import whole_check
from api.problems import reason_en, reason_zh
from ingest.bays.bay import BayState, FileReport
from ingest.bays.settle import Patience
from ingest.media.probe import probe_file
from ingest.media.sandbox import Level, Sandbox, Scene, render_scene
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.tables import RecordingRow
from storage.record import SealedRecord
from tests.faults.conftest import OpenDesk, kept, shown
from tests.office import Desk

WHOLE = b"0000012_000123_20261120090000_0004.MP4"
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
    b"<script>alert(1)<_script>.mp4": b"html",
    b"-rf.mp4": b"an option",
    b" .mp4": b"a space",
    b"0000012_000123_19700101000000_0001.MP4": b"1970",
    b"0000012_000123_20991231235959_0002.MP4": b"2099",
    b"0000012_000123_20261399256199_0003.MP4": b"no such time",
}
TIMES = {b"old.mp4": (b"changed in 1970", 0), b"coming.mp4": (b"changed in 2099", 4_086_000_000)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def offer(desk: Desk, name: bytes, data: bytes) -> Path:
    path = Path(os.fsdecode(os.path.join(os.fsencode(desk.bay("bay-1")), name)))
    path.write_bytes(data)
    return path


def left(bay: Path) -> set[str]:
    return {
        str(path.relative_to(bay))
        for path in bay.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


@dataclass
class Volume:
    """One docked volume after its sweep: all that was offered, and what became of it."""

    desk: Desk
    offered: dict[bytes, bytes]
    results: list[FileReport]

    @property
    def rows(self) -> dict[str, RecordingRow]:
        return {row.sha256: row for row in kept(self.desk)}

    def row(self, name: bytes) -> RecordingRow:
        return self.rows[sha256(self.offered[name])]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    render_scene(Scene(1, "0000012", 1_763_625_600), path)
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("picture") / "picture.jpg"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x240"]
    subprocess.run([*command, "-frames:v", "1", str(path)], check=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def volume(
    open_desk: OpenDesk, clip: Path, picture: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Volume]:
    desk = open_desk(tmp_path_factory.mktemp("office"))
    whole = clip.read_bytes()
    offered = dict(NAMES) | {
        WHOLE: whole,
        b"cut.mp4": whole[: len(whole) // 2],
        b"film.jpg": whole + b" ",
        b"picture.mp4": picture,
    }
    for name, data in offered.items():
        offer(desk, name, data)
    for name, (data, changed) in TIMES.items():
        offered[name] = data
        os.utime(offer(desk, name, data), (changed, changed))
    bay = desk.bay("bay-1")
    (bay / "link.mp4").symlink_to("/etc/passwd")
    (bay / "folder").symlink_to("/etc")
    os.mkfifo(bay / "pipe.mp4")
    deep = bay.joinpath(*(f"d{level}" for level in range(40)))
    deep.mkdir(parents=True)
    (deep / "deep.mp4").write_bytes(b"deep")
    yield Volume(desk, offered, desk.sweep())
    desk.office.close()


def test_every_file_is_accessioned_whole_whatever_its_name_or_bytes(volume: Volume) -> None:
    assert set(volume.rows) == {sha256(data) for data in volume.offered.values()}
    for data in volume.offered.values():
        row = volume.rows[sha256(data)]
        assert row.size == len(data)
        assert row.receipt_text is not None
    assert volume.row(b"empty.mp4").unplayable_reason == "empty"
    assert volume.row(b"cut.mp4").media["truncated"]
    assert [wrong.to_json() for wrong in whole_check(volume.desk.office)] == []


def test_what_a_file_is_is_told_by_its_bytes_not_by_its_name(volume: Volume) -> None:
    assert volume.row(WHOLE).kind == "video"
    assert volume.row(b"film.jpg").kind == "video"
    assert volume.row(b"picture.mp4").kind == "photo"
    for name in (b"one.mp4", b"text.mp4", b"playlist.mp4"):
        row = volume.row(name)
        assert (row.playable, row.unplayable_reason) == (False, "unknown-format")


def test_a_name_is_sealed_byte_for_byte_as_the_source_spells_it(volume: Volume) -> None:
    stations = volume.desk.office.ring.stations
    for name in volume.offered:
        record = SealedRecord.verify(volume.row(name).record_text.encode(), stations)
        assert base64.b64decode(record.offered["path_bytes"]) == name


def test_what_was_taken_is_cleared_and_only_what_was_refused_stays(volume: Volume) -> None:
    deep = "/".join([*(f"d{level}" for level in range(40)), "deep.mp4"])
    assert left(volume.desk.bay("bay-1")) == {"link.mp4", "folder", "pipe.mp4", deep}
    taken = [one for one in volume.results if one.outcome != "quarantined"]
    assert len(taken) == len(volume.offered)
    assert all(one.cleared for one in taken)


def test_what_is_no_file_is_refused_with_what_to_do_and_stays(volume: Volume) -> None:
    refused = {one.path: one.reason for one in volume.results if one.outcome == "quarantined"}
    assert refused.pop("link.mp4") == refused.pop("folder") == "link"
    assert refused.pop("pipe.mp4") == "not-regular"
    assert list(refused.values()) == ["too-deep"]
    for reason in ("link", "not-regular", "too-deep"):
        assert reason_zh(reason) != reason != reason_en(reason)
    bay = volume.desk.bay("bay-1")
    assert (bay / "link.mp4").is_symlink()
    assert (bay / "pipe.mp4").is_fifo()
    assert shown(volume.desk).state == BayState.ATTENTION


def test_nothing_outside_the_volume_was_read(volume: Volume) -> None:
    assert sha256(Path("/etc/passwd").read_bytes()) not in volume.rows


@contextmanager
def watched_by_the_kernel(path: Path) -> Iterator[list[int]]:
    """Yield a list that fills when any process opens the file: a lease is broken (fcntl(2))."""
    opened: list[int] = []
    handle = os.open(path, os.O_RDWR)

    def broken(number: int, _frame: FrameType | None) -> None:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        opened.append(number)

    before = signal.signal(signal.SIGIO, broken)
    try:
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield opened
    finally:
        os.close(handle)
        signal.signal(signal.SIGIO, before)


POINTERS: dict[str, Callable[[Path], str]] = {
    "HLS": lambda clip: f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
    "HLS by URL": lambda clip: f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n",
    "ffconcat": lambda clip: f"ffconcat version 1.0\nfile '{clip}'\n",
    "DASH": lambda clip: (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>file://{clip}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ),
}


def test_the_kernel_tells_of_every_open(clip: Path) -> None:
    with watched_by_the_kernel(clip) as opened:
        subprocess.run(["cat", str(clip)], stdout=subprocess.DEVNULL, check=True)
    assert opened == [signal.SIGIO]


@pytest.mark.parametrize("level", [Level.BWRAP, Level.RLIMITS])
@pytest.mark.parametrize("kind", POINTERS)
def test_a_list_that_names_another_file_does_not_make_it_read(
    sandbox: Sandbox, clip: Path, tmp_path: Path, kind: str, level: Level
) -> None:
    """Even where no name space hides the other file, nobody opens it."""
    if level is Level.BWRAP and sandbox.level is not Level.BWRAP:
        pytest.skip("NO NAME SPACES HERE: bubblewrap was not tested")
    used = sandbox if level is Level.BWRAP else Sandbox(level)
    path = tmp_path / "film.mp4"
    path.write_text(POINTERS[kind](clip))
    with watched_by_the_kernel(clip) as opened, path.open("rb") as file:
        found = probe_file(file, path.stat().st_size, used)
    assert opened == []
    assert (found.playable, found.unplayable_reason) == (False, "unknown-format")


def test_times_that_cannot_be_are_asked_not_believed(volume: Volume) -> None:
    for name in list(NAMES)[-3:]:
        row = volume.row(name)
        assert row.start_at is None
        assert "start" in row.questions
    for name in TIMES:
        assert volume.row(name).start_at is None


def test_names_are_shown_without_their_tricks(volume: Volume) -> None:
    names = [row.name for row in volume.rows.values()] + [one.path for one in volume.results]
    for name in names:
        assert name.isprintable()
        assert "\u202e" not in name
    with volume.desk.office.catalogue.read() as session:
        log = LogReader(session)
        leaves = [log.get_leaf(index) for index in range(log.size)]
    assert not any(row.name in leaf for leaf in leaves for row in volume.rows.values())


def test_a_file_that_grows_for_ever_is_never_taken_and_is_told(desk: Desk) -> None:
    now = [datetime(2026, 11, 23, tzinfo=UTC)]
    desk.office.clock = desk.office.journal._clock = lambda: now[0]

    def monotonic() -> float:
        return now[0].timestamp()

    desk.office.monotonic = monotonic
    station = desk.office.build_station(patience=Patience(3, 60))
    bay = desk.office.list_bays()[0]
    path = offer(desk, b"growing.mp4", b"x")
    reasons = []
    for _ in range(30):
        with path.open("ab") as file:
            file.write(b"more")
        now[0] += timedelta(seconds=4)
        reasons += [result.reason for result in station.sweep_bay(bay)]
    assert list(dict.fromkeys(reasons)) == ["still-writing", "growing"]
    assert kept(desk) == []
    assert path.stat().st_size == 1 + 30 * 4
    for _ in range(2):  # it has come to rest at last
        now[0] += timedelta(seconds=4)
        station.sweep_bay(bay)
    assert [row.size for row in kept(desk)] == [1 + 30 * 4]
    assert not path.exists()


def test_a_file_that_somebody_still_writes_is_not_taken(desk: Desk) -> None:
    path = offer(desk, b"open.mp4", b"x")
    with path.open("ab") as file:
        holder = subprocess.Popen(["sleep", "60"], stdout=file)
    try:
        assert {result.reason for result in desk.sweep(3)} == {"still-writing"}
    finally:
        holder.kill()
        holder.wait()
    assert [result.outcome for result in desk.sweep(2)] == ["accessioned"]


def test_a_file_that_changes_while_it_is_read_is_taken_again_later(desk: Desk) -> None:
    path = offer(desk, b"changing.txt", b"first" * 10)

    def change(step: str) -> None:
        if step == "payload-stored" and path.exists() and path.stat().st_size == 50:
            with path.open("ab") as file:
                file.write(b"second")

    desk.office.centre.on_step = change
    desk.sweep()
    desk.sweep(3)
    assert {row.sha256 for row in kept(desk)} == {sha256(b"first" * 10 + b"second")}


@pytest.mark.parametrize("how", ["a link to elsewhere", "other bytes of the same time"])
def test_what_took_the_place_of_a_receipted_file_is_not_cleared_for_it(
    desk: Desk, how: str
) -> None:
    elsewhere = desk.bay("bay-2").with_name("elsewhere.txt")
    elsewhere.write_bytes(b"mine")
    path = offer(desk, b"a.txt", b"mine")
    offer(desk, b"b.txt", b"next")
    swapped: list[str] = []

    def swap(step: str) -> None:
        if step == "clearing" and not swapped:
            status = path.stat()
            swapped.append(step)
            path.unlink()
            if how == "a link to elsewhere":
                path.symlink_to(elsewhere)
            else:
                path.write_bytes(b"hers")
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    desk.office.on_step = swap
    station = desk.office.build_station(patience=Patience(0, 1000))
    (bay, _other) = desk.office.list_bays()
    for _ in range(2):
        station.sweep_bay(bay)
    assert swapped
    assert elsewhere.read_bytes() == b"mine"
    assert path.read_bytes() in {b"mine", b"hers"}  # the link, or the other bytes: still there
    assert shown(desk).state in {BayState.ATTENTION, BayState.WAITING}  # never green
    desk.sweep(3)
    hers = sha256(b"hers") in {row.sha256 for row in kept(desk)}
    assert hers == (how != "a link to elsewhere")
    assert path.is_symlink() != hers
    assert sha256(b"next") in {row.sha256 for row in kept(desk)}, "the whole bay stood still"
