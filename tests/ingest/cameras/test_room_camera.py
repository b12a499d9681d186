"""Room cameras: an RTSP server on loopback, recorded by real ffmpeg, taken by a real station."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from api.office.founding import found_office
from api.office.settings.settings import Settings
from api.station.threads import Worker
from ingest.bays.settle import Patience
from ingest.cameras import room_camera
from ingest.cameras.room_camera import (
    Camera,
    CameraState,
    Limits,
    Places,
    Recorder,
    Timeline,
    _Session,
    ask_for,
    let_go,
    recover_segments,
)
from ingest.cameras.rtsp import (
    Address,
    Answer,
    CameraError,
    Frame,
    Login,
    Message,
    Relay,
    describe_camera,
    take_message,
)
from ingest.media.sandbox import Level, Sandbox
from ingest.sources.profile import ALONE, read_source_facts
from policies.facts.facts import ActionFacts
from policies.facts.stages import ActionKind, Stage
from policies.requirements.footage.premises import Premises
from policies.time.intervals import Span
from storage.catalogue.people import people
from storage.catalogue.reading.rule_facts import footage_of
from storage.catalogue.recordings import recordings
from tests.office import Desk
from tests.servers import rtsp

LIUHEN = Path(sys.executable).with_name("liuhen")
SEGMENT_S = 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return rtsp.render(tmp_path_factory.mktemp("clip") / "clip.mkv", 60)


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox.detect()


def until(holds, seconds=60.0):
    """Wait until something holds; return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


class Room:
    """A recorder at work in a thread, and what it told."""

    def __init__(self, folder, sandbox, address, limits=None, *, secured=True, **camera):
        secret = folder / "secret"
        secret.write_text(rtsp.PASSWORD + "\n")
        login = {"user": rtsp.USER, "password_file": secret} if secured else {}
        self.told = []
        self.places = Places.for_camera(folder / "cameras", "room-1")
        self.recorder = Recorder(
            Camera("room-1", address, "询问室一", **(login | camera)),
            self.places,
            sandbox,
            lambda: datetime.now(UTC),
            time.monotonic,
            os.urandom,
            limits or Limits(segment_s=SEGMENT_S, reserve=0, silence_s=3, longest_wait_s=1),
            lambda state, reason: self.told.append((state, reason)),
        )
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.recorder.run, args=(self.stop,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def landed(self):
        if not self.places.landing.is_dir():
            return []
        return sorted(self.places.landing.iterdir())

    def hears(self, state, reason=None):
        return until(lambda: (state, reason) in self.told)


def written(folder, size):
    """Whether a segment in the making holds more than so many bytes."""
    with contextlib.suppress(FileNotFoundError):  # closed while we looked
        return any(path.stat().st_size > size for path in folder.rglob("*.mkv"))
    return False


def span(path):
    """What a landed segment's name claims."""
    facts = read_source_facts((os.fsencode(path.name),), ALONE, datetime.now(UTC))
    assert facts.profile == "roomcamera"
    return facts.start, facts.end


def seconds_of(path):
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time", "-of", "json", str(path)],
        capture_output=True,
        check=True,
    )
    times = [float(packet["pts_time"]) for packet in json.loads(done.stdout)["packets"]]
    return max(times) - min(times)


def ours(pid):
    """Whether a process descends from this one."""
    while pid > 1 and pid != os.getpid():
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(status.split("PPid:")[1].split()[0])
    return pid == os.getpid()


def recording_ffmpegs():
    """The ids of every ffmpeg that records below this process."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0] == b"ffmpeg" and b"pipe:1" in words and ours(int(process.name)):
                    found.append(int(process.name))
    return found


# The whole way


def test_a_camera_becomes_accessioned_recordings_that_join_without_a_gap(clip, tmp_path):
    with rtsp.camera(clip) as camera:
        secret = tmp_path / "secret"
        secret.write_text(rtsp.PASSWORD)
        setting = {"url": camera.url, "room": "询问室一"}
        setting |= {"user": rtsp.USER, "password_file": secret}
        more = {"camera_segment_s": SEGMENT_S, "camera_reserve_gb": 0}
        desk = Desk.set_up(tmp_path, cameras={"room-1": setting}, **more)
        office = desk.office

        def rows():
            with office.catalogue.read() as session:
                return sorted(recordings.iterate_recordings(session), key=lambda row: row.start_at)

        worker = Worker(
            office.build_station(patience=Patience(0, 1000)),
            office.list_bays(),
            0.3,
            recorders=office.build_recorders(),
        )
        worker.start()
        try:
            until(lambda: len(rows()) >= 4)
            shown = {bay.name: bay.state for bay in desk.service.office.journal.list_bays()}
            assert shown["room-1"] == CameraState.RECORDING
        finally:
            worker.stop()
        desk.sweep()
        found = rows()
        landed = sorted((tmp_path / "var" / "cameras" / "landed" / "room-1").iterdir())
        assert [row.name for row in found] == [path.name for path in landed]
        assert all(row.receipt_text and row.has_video and row.has_audio for row in found)
        assert {(row.source_serial, row.source_kind) for row in found} == {
            ("room-1", "room-camera")
        }
        assert all(row.playable and not row.questions for row in found)
        for earlier, later in itertools.pairwise(found):
            assert abs((later.start_at - earlier.end_at).total_seconds()) < 0.5
        with office.catalogue.read() as session:
            source = people.find_source(session, "room-1")
            footage = tuple(footage_of(row) for row in rows())
        assert (source.kind, source.label) == ("room-camera", "询问室一")
        shown = Premises().coverage.check_facts(
            ActionFacts(
                action="a",
                case="c",
                kind=ActionKind.INTERVIEW,
                stage=Stage.INVESTIGATION,
                township=office.settings.township,
                start=found[0].start_at + timedelta(seconds=2.5),
                end=found[-1].end_at - timedelta(seconds=2.5),
                footage=footage,
            )
        )
        assert shown.facts["share"] == 1.0
        desk.office.close()


def test_neither_password_nor_address_can_be_seen_while_a_camera_is_recorded(
    clip, tmp_path, sandbox, caplog
):
    with rtsp.camera(clip) as camera, Room(tmp_path, sandbox, Address.parse(camera.url)) as room:
        room.hears(CameraState.RECORDING)
        (pid,) = recording_ffmpegs()
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                for part in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        seen = (process / part).read_bytes()
                        assert rtsp.PASSWORD.encode() not in seen
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert camera.url.encode() not in words
        assert str(camera.port).encode() not in words
        if sandbox.wrap:  # shut in: nothing but a loopback of its own
            devices = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
            assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    assert rtsp.PASSWORD not in caplog.text
    assert rtsp.PASSWORD not in repr(room.recorder)
    assert all(rtsp.PASSWORD.encode() not in path.read_bytes() for path in room.landed())


def test_the_segment_being_written_is_not_offered(clip, tmp_path, sandbox):
    limits = Limits(segment_s=3600, reserve=0)
    with (
        rtsp.camera(clip) as camera,
        Room(tmp_path, sandbox, Address.parse(camera.url), limits) as room,
    ):
        room.hears(CameraState.RECORDING)
        until(lambda: written(room.places.open, 50_000))
        assert room.landed() == []
    (only,) = room.landed()
    start, end = span(only)
    assert abs((end - start).total_seconds() - seconds_of(only)) < 0.5
    assert list(room.places.open.iterdir()) == []


def test_a_camera_with_telephone_sound_is_recorded_as_it_speaks(tmp_path, sandbox):
    """G.711, the usual sound of cameras, which MP4 does not hold."""
    clip = rtsp.render(tmp_path / "clip.mkv", 20, sound="pcma")
    with (
        rtsp.camera(clip, sound="pcma", method="basic") as camera,
        Room(tmp_path, sandbox, Address.parse(camera.url)) as room,
    ):
        assert describe_camera(
            room.recorder.camera.address, room.recorder.camera.read_login(), os.urandom
        ) == [
            "video H264/90000",
            "audio PCMA/8000",
        ]
        until(lambda: len(room.landed()) >= 2)
    asked = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]
    told = subprocess.run(
        [*asked, str(room.landed()[0])],
        capture_output=True,
        check=True,
    )
    assert told.stdout.split() == [b"h264", b"pcm_alaw"]


def test_a_camera_is_recorded_where_bubblewrap_cannot_run_too(clip, tmp_path):
    with (
        rtsp.camera(clip) as camera,
        Room(tmp_path, Sandbox(Level.RLIMITS), Address.parse(camera.url)) as room,
    ):
        until(lambda: len(room.landed()) >= 2)
        (pid,) = recording_ffmpegs()
        assert rtsp.PASSWORD.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert not list(room.places.open.iterdir())
    assert all(span(path)[1] for path in room.landed())


# Breaks


def test_a_camera_that_went_away_leaves_a_gap_that_no_file_spans(clip, tmp_path, sandbox):
    with rtsp.camera(clip) as camera, Room(tmp_path, sandbox, Address.parse(camera.url)) as room:
        until(lambda: len(room.landed()) >= 2)
        gone = datetime.now(UTC)
        camera.kill()
        room.hears(CameraState.ATTENTION, "camera-away")
        time.sleep(2)  # the gap itself: nothing is waited for
        back = datetime.now(UTC)
        before = len(room.landed())
        camera.start()
        until(lambda: len(room.landed()) >= before + 2)
    spans = [span(path) for path in room.landed()]
    second = timedelta(seconds=1)
    assert all(end <= gone + second or start >= back - second for start, end in spans)
    assert all(start < end for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    for path in room.landed():
        start, end = span(path)
        assert seconds_of(path) <= (end - start).total_seconds() + 0.5


def test_a_silent_camera_is_given_up_and_called_again(clip, tmp_path, sandbox):
    with rtsp.camera(clip) as camera, Room(tmp_path, sandbox, Address.parse(camera.url)) as room:
        room.hears(CameraState.RECORDING)
        until(lambda: written(room.places.open, 50_000))
        camera.freeze()
        room.hears(CameraState.ATTENTION, "camera-silent")
        camera.kill()
        camera.start()
        until(lambda: room.told[-1] == (CameraState.RECORDING, None))
    assert room.landed()


def test_what_a_killed_ffmpeg_had_written_is_landed_once_and_can_be_played(clip, tmp_path, sandbox):
    limits = Limits(segment_s=3600, reserve=0, longest_wait_s=1)
    with (
        rtsp.camera(clip) as camera,
        Room(tmp_path, sandbox, Address.parse(camera.url), limits) as room,
    ):
        room.hears(CameraState.RECORDING)
        until(lambda: written(room.places.open, 200_000))
        (pid,) = recording_ffmpegs()
        os.kill(pid, signal.SIGKILL)
        room.hears(CameraState.ATTENTION, "camera-no-tool")
        until(lambda: written(room.places.open, 30_000))
    cut, closed = room.landed()
    assert span(cut)[1] is None
    assert span(cut)[0] < span(closed)[0] < span(closed)[1]
    assert seconds_of(cut) > 2  # of the five seconds or so that 200 kB are


def test_a_killed_station_takes_what_was_recorded_up_to_the_cut_and_nothing_twice(clip, tmp_path):
    home, secret = tmp_path / "var", tmp_path / "secret"
    asked = {"county": "兴隆县", "township": "兴隆镇", "log_origin": "office.test/custody"}
    found_office(Settings(home=home, **asked)).close()
    secret.write_text(rtsp.PASSWORD)
    with rtsp.camera(clip) as camera:
        setting = {"url": camera.url, "room": "听证室", "user": rtsp.USER}
        setting["password_file"] = str(secret)
        environment = {"PATH": os.environ["PATH"], "LIUHEN_HOME": str(home), "PYTHONUTF8": "1"}
        environment |= {
            "LIUHEN_IMMUTABLE": "false",
            "LIUHEN_QUIET_S": "0",
            "LIUHEN_SWEEP_S": "0.3",
            "LIUHEN_CAMERAS": json.dumps({"room-2": setting}),
            "LIUHEN_CAMERA_SEGMENT_S": str(2 * SEGMENT_S),
            "LIUHEN_CAMERA_RESERVE_GB": "0",
        }
        landing = home / "cameras" / "landed" / "room-2"
        opened = home / "cameras" / "open" / "room-2"

        def landed():
            return len(list(landing.iterdir())) if landing.is_dir() else 0

        def started():
            return subprocess.Popen(
                [LIUHEN, "station"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        for lives in (1, 3):
            with started() as station:
                try:
                    until(lambda: landed() >= lives)  # noqa: B023 - called at once
                    children = recording_ffmpegs()
                    until(lambda: written(opened, 30_000))
                finally:
                    station.kill()
            until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))  # noqa: B023
        assert list(opened.iterdir())
        settings = Settings(
            home=home,
            immutable=False,
            quiet_s=0,
            cameras={"room-2": setting},
            camera_reserve_gb=0,
        )
    from api.office.wiring import Office

    office = Office.open(settings)
    (recorder,) = office.build_recorders()
    assert recover_segments(recorder.places, "room-2") == 1
    station = office.build_station(patience=Patience(0, 1000))
    for _ in range(2):
        results = station.sweep_bay(office.list_bays()[-1])
    assert {(one.outcome, one.reason) for one in results} == {("accessioned", None)}
    with office.catalogue.read() as session:
        rows = list(recordings.iterate_recordings(session))
    names = sorted(row.name for row in rows)
    assert names == sorted(path.name for path in landing.iterdir())
    assert len({row.sha256 for row in rows}) == len(rows)
    cut = [row for row in rows if span(Path(row.name))[1] is None]
    assert len(cut) == 2
    assert all(row.has_video and row.has_audio and row.start_at for row in cut)
    office.close()


def test_a_cut_off_segment_whose_start_was_lost_is_kept_and_asked_about(clip, tmp_path):
    places = Places.for_camera(tmp_path, "room-1")
    session = places.open / "20261124T010203000000"
    session.mkdir(parents=True)
    places.landing.mkdir(parents=True)
    shutil.copy(clip, session / "000000.mkv")
    (session / "000001.mkv").touch()
    assert recover_segments(places, "room-1") == 1
    (kept,) = places.landing.iterdir()
    facts = read_source_facts((os.fsencode(kept.name),), ALONE, datetime.now(UTC))
    assert (facts.profile, facts.serial, facts.start) == ("roomcamera", "room-1", None)
    assert facts.questions == ("start",)
    assert not session.exists()


class PowerCutError(BaseException):
    """The power goes."""


def test_a_power_cut_between_a_segments_note_and_its_move_loses_neither_time(tmp_path, monkeypatch):
    places = Places.for_camera(tmp_path, "room-1")
    folder = places.open / "20261124T010203000000"
    folder.mkdir(parents=True)
    places.landing.mkdir(parents=True)
    for number in range(2):
        (folder / f"{number:06d}.mkv").write_bytes(b"film")
    began = datetime(2026, 11, 24, 1, 2, 3, 4000, tzinfo=UTC)
    owner = SimpleNamespace(
        clock=lambda: began, places=places, camera=SimpleNamespace(name="room-1")
    )
    session = _Session(owner, folder, None, None, None)
    session._timeline, session._printed = Timeline(began), b"000000.mkv,0,2\n"

    def cut(*_moved):
        raise PowerCutError

    monkeypatch.setattr(room_camera, "_move_segment", cut)
    with pytest.raises(PowerCutError):
        session._land_closed_segments()
    monkeypatch.undo()
    assert recover_segments(places, "room-1") == 2
    assert [path.name for path in sorted(places.landing.iterdir())] == [
        "room-1_20261124T010203.004Z-20261124T010205.004Z.mkv",
        "room-1_20261124T010205.004Z.mkv",
    ]


def test_a_session_that_gets_no_folder_hangs_up(tmp_path, sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address.parse(f"rtsp://127.0.0.1:{server.getsockname()[1]}/live")
        room = Room(tmp_path, sandbox, address)
        at = datetime(2026, 11, 24, tzinfo=UTC)
        room.recorder.clock = lambda: at
        (room.places.open / f"{at:%Y%m%dT%H%M%S%f}").mkdir(parents=True)
        with pytest.raises(FileExistsError) as refused:
            room.recorder._record_session(room.stop)
        camera, _ = server.accept()
        with camera:
            camera.settimeout(5)
            # While the error, and with it every name in its frames, is still there.
            assert camera.recv(1) == b""
        assert refused.value is not None


def test_landing_never_replaces_what_has_landed(tmp_path):
    places = Places.for_camera(tmp_path, "room-1")
    places.landing.mkdir(parents=True)
    for number, data in enumerate((b"first", b"second")):
        session = places.open / str(number)
        session.mkdir(parents=True)
        (session / "000000.mkv").write_bytes(data)
        told = {"segment": 0, "began": "2026-11-24T01:02:03.004+00:00"}
        (session / "starts.json").write_text(json.dumps(told))
        recover_segments(places, "room-1")
    found = {path.name: path.read_bytes() for path in places.landing.iterdir()}
    assert found == {
        "room-1_20261124T010203.004Z.mkv": b"first",
        "room-1_20261124T010203.004Z_2.mkv": b"second",
    }
    assert {span(Path(name))[0] for name in found} == {
        datetime(2026, 11, 24, 1, 2, 3, 4000, tzinfo=UTC)
    }


# Bounds and refusals


def test_a_camera_that_sends_more_than_allowed_is_stopped(clip, tmp_path, sandbox):
    limits = Limits(segment_s=SEGMENT_S, reserve=0, most=2_000, longest_wait_s=1)
    with (
        rtsp.camera(clip) as camera,
        Room(tmp_path, sandbox, Address.parse(camera.url), limits) as room,
    ):
        room.hears(CameraState.ATTENTION, "camera-too-much")
    assert sum(path.stat().st_size for path in room.landed()) < 2_000 * 10 * len(room.told) + 65_536


GARBAGE = {
    "noise": bytes(range(128, 256)) * 64,
    "another-protocol": b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
    "endless-head": b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 10_000,
    "huge-body": b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n",
}


@pytest.mark.parametrize("name", sorted(GARBAGE))
def test_what_is_no_camera_is_told_apart(tmp_path, sandbox, name):
    with rtsp.speaking(GARBAGE[name]) as port:
        address = Address("127.0.0.1", port, "/live")
        with pytest.raises(CameraError, match="camera-garbage"):
            describe_camera(address, None, os.urandom)
        with Room(tmp_path, sandbox, address) as room:
            room.hears(CameraState.ATTENTION, "camera-garbage")
    assert room.landed() == []


def test_media_without_end_that_is_no_media_makes_no_recording(tmp_path, sandbox):
    noise = b"".join(b"$" + bytes([n % 2, 0, 200]) + os.urandom(200) for n in range(5_000))
    limits = Limits(segment_s=SEGMENT_S, reserve=0, silence_s=2, longest_wait_s=1)
    with rtsp.speaking(noise) as port:
        address = Address("127.0.0.1", port, "/live")
        with Room(tmp_path, sandbox, address, limits) as room:
            until(lambda: [told for told in room.told if told[0] is CameraState.ATTENTION])
    assert room.landed() == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password_file": None, "user": None}, "camera-denied"),
        ({"user": "somebody"}, "camera-denied"),
        ({"password_file": Path("/nowhere/secret")}, "camera-secret"),
        ({"path": "/other"}, "camera-refused"),
        ({"port": 1}, "camera-away"),
    ],
)
def test_a_camera_that_cannot_be_had_says_why(clip, tmp_path, sandbox, wrong, reason):
    with rtsp.camera(clip) as camera:
        address = Address.parse(camera.url)
        address = replace(address, rest=wrong.pop("path", "/live"))
        address = replace(address, port=wrong.pop("port", address.port))
        with Room(tmp_path, sandbox, address, **wrong) as room:
            room.hears(CameraState.ATTENTION, reason)
    assert room.landed() == []


def test_recording_stops_before_the_disk_is_full_and_deletes_nothing(clip, tmp_path, sandbox):
    with rtsp.camera(clip) as camera, Room(tmp_path, sandbox, Address.parse(camera.url)) as room:
        until(lambda: len(room.landed()) >= 2)
        before = {path: path.read_bytes() for path in room.landed()}
        calm = room.recorder.limits
        room.recorder.limits = replace(calm, reserve=1 << 62)
        room.hears(CameraState.ATTENTION, "camera-disk")
        until(lambda: not recording_ffmpegs())
        room.recorder.limits = calm  # somebody made room
        until(lambda: room.told[-1] == (CameraState.RECORDING, None))
    assert all(path.read_bytes() == data for path, data in before.items())


# By command


def test_a_camera_by_command_is_recorded_from_start_to_stop(clip, tmp_path, sandbox):
    with (
        rtsp.camera(clip) as camera,
        Room(tmp_path, sandbox, Address.parse(camera.url), always=False) as room,
    ):
        room.hears(CameraState.OFF)
        assert room.landed() == []
        ask_for(room.places, datetime.now(UTC))
        room.hears(CameraState.RECORDING)
        until(room.landed)
        let_go(room.places)
        until(lambda: room.told[-1] == (CameraState.OFF, None))
        count = len(room.landed())
        assert not recording_ffmpegs()
    assert len(room.landed()) == count


def test_the_commands_tell_check_start_and_stop(clip, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(rtsp.PASSWORD)
    with rtsp.camera(clip) as camera:
        one = {"url": camera.url, "user": rtsp.USER, "password_file": str(secret)}
        given = {
            "room-1": one | {"room": "询问室一", "when": "on-command"},
            "room-2": {"url": "rtsp://127.0.0.1:1/x", "room": "听证室"},
        }

        def liuhen(*words):
            return subprocess.run(
                [LIUHEN, "cameras", *words],
                env={
                    "PATH": os.environ["PATH"],
                    "LIUHEN_HOME": str(tmp_path / "var"),
                    "LIUHEN_CAMERAS": json.dumps(given),
                    "PYTHONUTF8": "1",
                    "COLUMNS": "200",
                },
                capture_output=True,
                text=True,
                check=False,
            )

        checked = liuhen("check")
        assert checked.returncode == 1
        assert "video H264/90000, audio MPEG4-GENERIC/16000/1" in checked.stdout
        assert "连接中断" in checked.stdout
        assert liuhen("check", "询问室一").returncode == 0
        assert liuhen("start", "询问室一").returncode == 0
        listed = [json.loads(line) for line in liuhen("list", "--json").stdout.splitlines()]
        assert [(one["name"], one["wanted"]) for one in listed] == [
            ("room-1", True),
            ("room-2", True),
        ]
        assert liuhen("stop", "room-1").returncode == 0
        listed = [json.loads(line) for line in liuhen("list", "--json").stdout.splitlines()]
        assert [one["wanted"] for one in listed] == [False, True]
        assert liuhen("stop", "room-2").returncode == 2
        assert liuhen("start", "无此房间").returncode == 1
        assert all(rtsp.PASSWORD not in str(done) for done in (checked, listed))


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "rtsp://admin:hunter2@10.0.0.8/live"},
        {"url": "rtsp://admin@10.0.0.8/live"},
        {"url": "http://10.0.0.8/live"},
        {"url": "rtsp:///live"},
        {"url": "rtsp://10.0.0.8/询问室"},
        {"url": "rtsp://10.0.0.8/a\r\nX: y"},
        {"user": "admin"},
        {"password_file": "secret"},
        {"room": ""},
    ],
)
def test_a_camera_that_is_set_wrongly_is_refused_and_its_secret_not_repeated(tmp_path, wrong):
    with pytest.raises(ValidationError) as refused:
        Settings(
            home=tmp_path, cameras={"room-1": {"url": "rtsp://10.0.0.8/", "room": "室"} | wrong}
        )
    assert "hunter2" not in str(refused.value)


def test_bays_and_cameras_do_not_share_a_name(tmp_path):
    camera = {"url": "rtsp://10.0.0.8/", "room": "室"}
    for bays in ({"room-1": tmp_path}, {"cameras": tmp_path}):
        with pytest.raises(ValidationError):
            Settings(home=tmp_path, bays=bays, cameras={"room-1": camera})


# The conversation


def test_digest_answers_are_those_of_the_published_examples():
    """RFC 7616, 3.9.1, both algorithms; RFC 2069's form without qop as most cameras speak it."""
    login = Login("Mufasa", "Circle of Life")
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    nonce = b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

    class Known(bytes):
        """Randomness that prints as the example's cnonce."""

        def hex(self, *_):
            return self.decode()

    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        answer = Answer(login, lambda _count: Known(nonce))
        assert answer.accept_challenge([challenge.format(algorithm)])
        assert f'response="{response}"' in answer.build_header("GET", "/dir/index.html")
    plain = Answer(Login("Mufasa", "CircleOfLife"), os.urandom)
    assert plain.accept_challenge(
        ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f6"']
    )
    assert "qop" not in plain.build_header("GET", "/dir/index.html")


def test_a_camera_cannot_coax_the_password_out_by_offering_basic_beside_digest():
    answer = Answer(Login("a", "b"), os.urandom)
    assert answer.accept_challenge(['Basic realm="x"', 'Digest realm="x", nonce="n"'])
    assert answer.build_header("DESCRIBE", "/").startswith("Digest ")
    assert not Answer(Login("a", "b"), os.urandom).accept_challenge(["Negotiate abc"])


def test_the_relay_puts_the_cameras_address_in_place_of_its_own():
    relay = Relay(Address.parse("rtsp://10.0.0.8/cam/realmonitor?channel=1"), None, 1e6)
    asked = b"SETUP rtsp://127.0.0.1:40001/stream/trackID=0 RTSP/1.0\r\nCSeq: 3\r\n\r\n"
    assert relay.from_inside(asked[:20]) == b""
    sent = relay.from_inside(asked[20:])
    assert sent.startswith(b"SETUP rtsp://10.0.0.8/cam/realmonitor?channel=1/trackID=0 RTSP/1.0")
    other = b"PLAY rtsp://10.0.0.8/x RTSP/1.0\r\nCSeq: 4\r\n\r\n"
    assert relay.from_inside(other) == other


@pytest.mark.parametrize("answer", ["RTSP/1.0 200", "RTSP/1.0 501 Not Implemented"])
def test_an_answer_from_inside_passes_and_gets_nothing_of_ours(answer):
    relay = Relay(Address.parse("rtsp://10.0.0.8/"), Answer(Login("a", "b"), os.urandom), 1e6)
    assert relay.answer.accept_challenge(['Basic realm="x"'])
    asked = b"PLAY rtsp://127.0.0.1/stream RTSP/1.0\r\nCSeq: 7\r\n\r\n"
    assert b"Authorization: Basic " in relay.from_inside(asked)
    sent = f"{answer}\r\nCSeq: 7\r\n\r\n".encode()
    assert relay.from_inside(sent) == sent
    # The request of that number still stands, and is what the camera refuses.
    with pytest.raises(CameraError) as refused:
        relay.from_camera(b"RTSP/1.0 404 No\r\nCSeq: 7\r\n\r\n", 0.0)
    assert refused.value.reason == "camera-refused"


@pytest.mark.parametrize(
    "line",
    ["RTSP/1.0 200abc", "RTSP/1.0 2000 OK", "RTSP/1.0 200\tOK", "RTSP/1.0 20\u0662 OK", "RTSP/1.0"],
)
def test_a_status_that_is_no_number_is_garbage(line):
    relay = Relay(Address.parse("rtsp://10.0.0.8/"), None, 1e6)
    for take in (relay.from_inside, lambda block: relay.from_camera(block, 0.0)):
        with pytest.raises(CameraError) as refused:
            take(f"{line}\r\nCSeq: 1\r\n\r\n".encode())
        assert refused.value.reason == "camera-garbage"


def test_a_realm_in_another_encoding_is_answered_with_its_own_bytes():
    realm = "登录".encode("gb18030")
    relay = Relay(Address.parse("rtsp://10.0.0.8/"), Answer(Login("a", "b"), os.urandom), 1e6)
    relay.from_inside(b"DESCRIBE rtsp://127.0.0.1/stream RTSP/1.0\r\nCSeq: 1\r\n\r\n")
    challenge = b'WWW-Authenticate: Digest realm="' + realm + b'", nonce="n"\r\n'
    _, back = relay.from_camera(b"RTSP/1.0 401 No\r\nCSeq: 1\r\n" + challenge + b"\r\n", 0.0)
    md5 = partial(hashlib.md5, usedforsecurity=False)
    ours = md5(b"a:" + realm + b":b").hexdigest()
    theirs = md5(b"DESCRIBE:rtsp://10.0.0.8/").hexdigest()
    response = md5(f"{ours}:n:{theirs}".encode()).hexdigest()
    assert f'response="{response}"'.encode() in back
    assert b'realm="' + realm + b'"' in back


def test_messages_and_packets_are_cut_apart_wherever_the_network_cut_them():
    packet = b"$\x00\x00\x05hello"
    response = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc"
    stream = packet + response + b"\r\n" + packet
    for cut in range(len(stream)):
        buffer, found = bytearray(), []
        for part in (stream[:cut], stream[cut:]):
            buffer += part
            while (one := take_message(buffer)) is not None:
                found.append(one)
        assert [type(one) for one in found] == [Frame, Message, Frame]
        assert found[1].encode() == response


def test_a_cameras_clock_that_runs_wrong_is_followed_but_a_late_closure_is_not():
    began = datetime(2026, 11, 24, tzinfo=UTC)
    line = Timeline(began)
    line.record_closure(300, began + timedelta(seconds=320))  # the network stood still for 20 s
    line.record_closure(600, began + timedelta(seconds=600))
    line.record_closure(900, began + timedelta(seconds=900))
    assert line.began == began
    for number in range(1, 4):
        line.record_closure(
            1000.0 * number, began + timedelta(seconds=1000.0 * number + 1.5 + number)
        )
    assert line.began == began + timedelta(seconds=2.5)


def test_spans_are_named_in_whole_milliseconds():
    start, end = span(Path("room-1_20261124T010203.004Z-20261124T010703.250Z.mkv"))
    assert Span(start, end).seconds == pytest.approx(300.246)
