"""Looking at media: what synthetic footage holds, and what hostile bytes cannot do."""

import subprocess
import sys

import pytest

from ingest.media.inspect import Weight, inspect_media
from ingest.media.probe import probe_file
from ingest.media.sandbox import MediaToolError, Sandbox, Scene, _run_child, render_scene
from storage.recording import MediaKind


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox.detect()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "a.mp4"
    render_scene(Scene(3, "BWC 1", 1_768_959_780), path)
    return path


def look(sandbox, data, tmp_path, **more):
    path = tmp_path / "offered"
    path.write_bytes(data)
    with path.open("rb") as file:
        return probe_file(file, len(data), sandbox, **more)


def kinds(facts):
    return {one.kind for one in inspect_media(facts)}


def test_a_whole_clip_is_known_whole(sandbox, clip, tmp_path):
    facts = look(sandbox, clip.read_bytes(), tmp_path)
    assert facts.playable
    assert facts.browser_playable
    assert (facts.has_video, facts.has_audio) == (True, True)
    assert facts.duration_s == pytest.approx(3, abs=0.15)
    assert facts.creation_time is not None
    assert facts.creation_time.timestamp() == 1_768_959_780
    assert inspect_media(facts) == ()


@pytest.mark.parametrize(("picture", "sound"), [(True, False), (False, True)])
def test_a_missing_track_is_seen_by_its_packets(sandbox, tmp_path, picture, sound):
    path = tmp_path / "a.mp4"
    render_scene(Scene(2, "x", 0, picture=picture, sound=sound), path)
    facts = look(sandbox, path.read_bytes(), tmp_path)
    assert (facts.has_video, facts.has_audio) == (picture, sound)
    assert facts.kind is (MediaKind.VIDEO if picture else MediaKind.AUDIO)
    assert ("no-sound-track" in kinds(facts)) is picture


def test_a_hole_between_packets_is_placed(sandbox, tmp_path):
    # Two parts of three seconds, five seconds apart, put together without re-encoding.
    whole, holed = tmp_path / "whole.mp4", tmp_path / "holed.mkv"
    render_scene(Scene(12, "x", 0), whole)
    keep = "not(between(t,4,9))"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", whole, "-vf", f"select='{keep}'", "-af", f"aselect='{keep}'",
         "-fps_mode", "passthrough", holed],
        check=True,
    )  # fmt: skip
    facts = look(sandbox, holed.read_bytes(), tmp_path)
    ((start, end),) = facts.missing_video
    assert start == pytest.approx(4, abs=0.3)
    assert end == pytest.approx(9, abs=0.3)
    assert "no-picture" in kinds(facts)
    assert all(one.weight is Weight.FACT for one in inspect_media(facts))


def test_a_film_without_a_frame_rate_is_looked_at(sandbox, tmp_path):
    uneven = tmp_path / "uneven.mkv"
    source = ["-f", "lavfi", "-i", "testsrc2=r=10:d=3:s=160x90"]
    coding = ["-vf", "fps=10,setpts=N/10/TB", "-c:v", "mjpeg"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *coding, uneven], check=True)
    facts = look(sandbox, uneven.read_bytes(), tmp_path)
    assert facts.playable
    (track,) = facts.tracks
    assert track["rate"] is None or track["rate"] > 0


def test_a_track_that_stops_early_leaves_a_missing_end(sandbox, tmp_path):
    long, short, both = tmp_path / "v.mp4", tmp_path / "a.mp4", tmp_path / "b.mp4"
    render_scene(Scene(6, "x", 0, sound=False), long)
    render_scene(Scene(2, "x", 0, picture=False), short)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", long, "-i", short, "-c", "copy", both], check=True
    )
    facts = look(sandbox, both.read_bytes(), tmp_path)
    ((start, end),) = facts.missing_audio
    assert start == pytest.approx(2, abs=0.2)
    assert end == pytest.approx(6, abs=0.2)


def test_a_damaged_transport_stream_is_read_to_its_end(sandbox, tmp_path):
    # Damage makes tracks appear under way that PyAV does not know, and times that are hours off.
    import random

    clip, stream = tmp_path / "a.mp4", tmp_path / "a.ts"
    render_scene(Scene(20, "x", 0), clip)
    coding = ["-c:v", "mpeg2video", "-c:a", "mp2"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *coding, stream], check=True)
    data = stream.read_bytes()
    for seed in range(30):
        chance, damaged = random.Random(seed), bytearray(data)
        for _ in range(1000):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        facts = look(sandbox, bytes(damaged), tmp_path)
        assert facts.playable
        assert facts.duration_s == pytest.approx(20, abs=10), seed


def test_a_truncated_clip_plays_as_far_as_it_goes(sandbox, clip, tmp_path):
    data = clip.read_bytes()
    facts = look(sandbox, data[: len(data) // 2], tmp_path)
    assert facts.truncated
    assert facts.playable
    assert 0 < facts.duration_s < 2
    assert {"truncated", "shorter-than-declared"} <= kinds(facts)


def test_a_clip_without_its_index_is_unplayable_and_says_so(sandbox, tmp_path):
    from tests.ingest.boxes import without_moov

    path = tmp_path / "a.mp4"
    render_scene(Scene(2, "x", 0), path)
    facts = look(sandbox, without_moov(path.read_bytes()), tmp_path)
    assert facts.unplayable_reason == "no-index"
    assert not facts.playable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\x00", "unknown-format"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "unknown-format"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "unknown-format"),
        (b"\xff" * 5000, "unknown-format"),
        (b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 5000, "no-index"),
        (b"RIFF\xff\xff\xff\xffAVI " + b"\xff" * 3000, "no-packets"),
    ],
)
def test_what_is_no_media_is_named_not_raised(sandbox, tmp_path, data, reason):
    facts = look(sandbox, data, tmp_path)
    assert facts.unplayable_reason == reason
    assert not facts.playable
    assert facts.sandbox == sandbox.level


def test_a_log_is_a_document_only_if_it_is_text(sandbox, tmp_path):
    assert look(sandbox, "开机 09:43\n".encode(), tmp_path, text=True).kind is MediaKind.DOCUMENT
    assert (
        look(sandbox, "开机 09:43\n".encode("gb18030"), tmp_path, text=True).kind
        is MediaKind.DOCUMENT
    )
    assert look(sandbox, b"\x00\x01\x02", tmp_path, text=True).kind is MediaKind.UNKNOWN
    assert look(sandbox, b"plain", tmp_path).unplayable_reason == "unknown-format"


def test_random_damage_never_raises(sandbox, clip, tmp_path):
    import random

    chance = random.Random(20260121)
    data = clip.read_bytes()
    for _ in range(12):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 200)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        facts = look(sandbox, bytes(damaged), tmp_path)
        assert facts.playable or facts.unplayable_reason


@pytest.mark.parametrize(
    "program",
    [
        "open('/etc/passwd')",
        "open('/etc/shadow')",
        "import os; os.listdir('/var')",
        "import os; os.listdir('/home')",
        "import socket; socket.create_connection(('127.0.0.1', 1), 1)",
        "import os; os.kill(1, 9) or os.kill(os.getppid(), 9); open('/no')",
        "open('/usr/x', 'w')",
        "bytearray(8 << 30)",
    ],
)
def test_the_sandbox_shows_nothing_but_the_file(sandbox, program):
    if sandbox.level != "bwrap":
        pytest.skip(f"NO BUBBLEWRAP HERE: the sandbox is {sandbox.level}")
    command = [*sandbox.wrap, sys.executable, "-I", "-c", program]
    with open("/dev/null", "rb") as nothing, pytest.raises(MediaToolError):
        _run_child(command, nothing, 20)


def test_a_tool_that_hangs_is_killed_with_its_children(sandbox):
    program = "import subprocess; subprocess.run(['/bin/sleep', '600'])"
    with open("/dev/null", "rb") as nothing, pytest.raises(MediaToolError) as caught:
        _run_child([*sandbox.wrap, sys.executable, "-I", "-c", program], nothing, 1)
    assert caught.value.reason == "timeout"
