"""Looking at media: what synthetic footage holds, and what hostile bytes cannot do."""

import json
import subprocess
import sys

import pytest

from ingest.media.inspect import Weight, inspect_media
from ingest.media.probe import probe_file
from ingest.media.sandbox import Level, MediaToolError, Sandbox, Scene, _run_child, render_scene
from storage.recording import MediaKind
from storage.signed import canonical


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


class Liar:
    """A child that a hostile file took over, and that answers what it likes."""

    level = Level.BWRAP

    def __init__(self, answer: bytes) -> None:
        self.answer = answer

    def inspect_file(self, *_asked: object) -> bytes:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        b"[]", b"7", b'"text"', b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xff", b"",
        b'{"tracks":[{}]}', b'{"tracks":{}}', b'{"tracks":7}', b'{"tracks":[7]}',
        b'{"tracks":[{"type":[],"packets":"many","codec":{},"slow":7,"jumps":"x","gaps":{}}]}',
        b'{"kind":"video","tracks":[{"type":"video","packets":1,"last_s":1' + b"0" * 400 + b"}]}",
        b'{"kind":"video","tracks":[{"type":"video","packets":1,"rate":1e999,"last_s":NaN}]}',
        b'{"kind":[],"demuxer":{},"boxes":[1],"tags":[[]],"stopped":{},"av":[]}',
        b'{"demuxer":"mov","boxes":{"missing_bytes":"all of it","moov":[]}}',
        b'{"demuxer":"mov","boxes":{"missing_bytes":' + b"9" * 400 + b"}}",
        b'{"kind":"photo","demuxer":"\\ud800\\u0000","tags":{"creation_time":7,"location":[]}}',
        b'{"codes":{"text":"x"},"pictures":[],"sounds":{"upto_s":true}}',
        b'{"kind":"audio","tracks":[{"type":"audio","packets":1}],"sounds":{"upto_s":1,"damaged":"x"}}',
    ],
)  # fmt: skip
def test_no_answer_of_a_child_raises_or_spoils_the_record(tmp_path, answer):
    facts = look(Liar(answer), b"hostile", tmp_path)
    assert not facts.has_video or facts.duration_s is None
    inspect_media(facts)
    # What goes into the signed record has a canonical form (RFC 8785).
    assert canonical.encode(facts.to_json())


def test_a_childs_answer_is_bounded_before_it_is_recorded(tmp_path):
    track = {"type": "video", "packets": 1, "codec": "x" * 10_000, "more": ["x"] * 10_000}
    track["gaps"] = [[n, n + 0.5] for n in range(5_000)]
    code = {"text": "x" * 10_000, "first_s": 0, "more": {"x": "x" * 10_000}}
    told = {
        "kind": "video",
        "tracks": [track] * 100,
        "codes": [code] * 10_000,
        "stopped": "x" * 999,
    }
    facts = look(Liar(json.dumps(told).encode()), b"hostile", tmp_path)
    assert (len(facts.tracks), len(facts.codes)) == (32, 200)
    assert facts.tracks[0]["codec"] == facts.codes[0]["text"] == facts.stopped == "x" * 200
    assert len(facts.tracks[0]["gaps"]) == 1_000
    assert "more" not in facts.tracks[0]
    assert facts.codes[0] == {"text": "x" * 200, "first_s": 0}


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
