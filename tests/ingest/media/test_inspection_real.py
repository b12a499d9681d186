"""Inspection of real clips: as they are, and as a worn recorder might have seen them.

What happens to a lens at night, in fog or under a hand is rendered over real pictures; whether a
person would doubt them is known by construction.
"""

import subprocess
from itertools import cycle

import pytest

from ingest.media.inspect import Weight, inspect_media
from ingest.media.probe import probe_file
from ingest.media.sandbox import Sandbox
from tests.sampling import sample

pytestmark = pytest.mark.footage

# Every real clip that raises a finding of picture or sound; each was looked at by eye.
DOUBTED = {"mp4parse-rust__tests_no_timescale.mp4": {"damaged"}}

CLIPS = {
    "trees": ("mapillary_tools__videos_sample-5s.mp4", 0),
    "street": ("mapillary_tools__videos_sample-5s_h265.mp4", 0),
    "fixed room": ("sample-videos___one-by-one-person-detection.mp4", 25),
    "in the hand": ("metadata-extractor-images__mov_with-gps.mov", 0),
}
SCENES: dict[str, tuple[str, set[str]]] = {
    "as it is": ("", set()),
    "dusk": ("eq=brightness=-0.25:contrast=0.5,noise=alls=12:allf=t", set()),
    "night": ("curves=all='0/0 0.6/0.12 1/0.55',noise=alls=14:allf=t", set()),
    "infrared": ("format=gray,curves=all='0/0 0.5/0.25 1/0.9',noise=alls=10:allf=t", set()),
    "fog": ("eq=contrast=0.35:brightness=0.2,noise=alls=4:allf=t", set()),
    "a hand": ("boxblur=30:3,eq=brightness=-0.35:contrast=0.3,noise=alls=12:allf=t", {"covered"}),
    "a cloth": ("boxblur=40:3,eq=contrast=0.25,noise=alls=6:allf=t", {"covered"}),
    "a cap": ("drawbox=c=0x080808:t=fill,noise=alls=10:allf=t", {"black", "covered"}),
    "frozen": ("loop=loop=-1:size=1:start=0,setpts=N/(10*TB)", {"frozen"}),
}
H264 = ["-c:v", "libx264", "-preset", "veryfast", "-b:v", "2M", "-g", "10"]
MJPEG = ["-c:v", "mjpeg", "-q:v", "6"]  # every picture a keyframe: nothing lies between
MADE = [*((scene, H264) for scene in SCENES), ("as it is", MJPEG), ("frozen", MJPEG)]
CLOCK = r"drawtext=text='BWC 4712 %{pts\:gmtime\:1768959780}':fontsize=h/20:fontcolor=white:box=1:boxcolor=black"


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox.detect()


def doubts(path, sandbox):
    with path.open("rb") as file:
        facts = probe_file(file, path.stat().st_size, sandbox)
    return [one for one in inspect_media(facts) if one.weight is Weight.DOUBT]


def test_real_clips_raise_only_the_doubts_that_an_eye_confirmed(footage, sandbox):
    clips = [path for path in sorted(footage.rglob("*")) if path.is_file()]
    found = {path.name: {one.kind for one in doubts(path, sandbox)} for path in clips}
    assert {name: kinds for name, kinds in found.items() if kinds} == DOUBTED


@pytest.mark.parametrize(
    ("clip", "scene", "coding"),
    sample(
        [(clip, *made) for clip in CLIPS for made in MADE],
        always=[(clip, *made) for clip, made in zip(cycle(CLIPS), MADE, strict=False)],
        drawn=4,
    ),
)
def test_a_scene_is_doubted_if_the_lens_or_the_encoder_failed(
    footage, sandbox, tmp_path, clip, scene, coding
):
    name, since = CLIPS[clip]
    treatment, expected = SCENES[scene]
    size = "fps=10,scale=480:270:force_original_aspect_ratio=increase,crop=480:270,setsar=1"
    filters = ",".join(one for one in (size, treatment, "trim=duration=9", CLOCK) if one)
    path = tmp_path / "scene.mkv"
    source = ["-ss", since, "-stream_loop", 5, "-i", footage / name, "-an"]
    made = ["ffmpeg", "-v", "error", "-nostdin", *source, "-vf", filters, *coding, path]
    subprocess.run([str(one) for one in made], check=True)
    found = doubts(path, sandbox)
    assert len(found) == bool(expected)
    assert {one.kind for one in found} <= expected
    assert all(one.end_s - one.start_s > 7 for one in found)
