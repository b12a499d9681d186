"""Inspection of picture and sound: known defects are found where they are, and nothing else is."""

import os
import subprocess
import time

import pytest

from ingest.media.inspect import WORDS, Weight, inspect_media
from ingest.media.probe import probe_file
from ingest.media.sandbox import Effort, Level, Sandbox, Scene, render_scene
from ingest.media.scene_code import write_picture

# A worn camera's picture: it sways, it has noise, and the recorder writes its clock into it.
SWAY = "crop=320:180:x='40+30*sin(1.3*t)':y='30+20*sin(1.9*t)',setsar=1,noise=alls=8:allf=t"
CLOCK = (
    r"drawtext=text='BWC 4712 %{pts\:gmtime\:1768959780}':fontsize=10:fontcolor=white"
    ":box=1:boxcolor=black:x=4:y=4"
)
HAND = "boxblur=20:3,eq=brightness=-0.30:contrast=0.35,noise=alls=8:allf=t"
FIRST_PICTURE = "loop=loop=-1:size=1:start=0,setpts=N/(10*TB)"
CODING = [
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-crf",
    "24",
    "-g",
    "10",
    "-pix_fmt",
    "yuv420p",
]


@pytest.fixture(scope="module")
def sandbox():
    return Sandbox.detect()


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-y", "-v", "error", "-nostdin", *map(str, arguments)], check=True)


def picture(filters, seconds=10, source="testsrc2=s=400x240:r=10", sway=SWAY):
    """A chain of ffmpeg filters: a swaying scene, what happened to it, and the clock over all."""
    chain = [f"{source}:d={seconds}", sway, filters, f"trim=duration={seconds}", CLOCK]
    return ",".join(one for one in chain if one)


def speech(seconds, volume=1.0):
    return (
        f"aevalsrc='{volume}*0.2*sin(2*PI*(180+40*sin(5*t))*t)*(1+sin(9*t))/2':s=16000:d={seconds}"
    )


def made(folder, pictures, sounds, *, coding=CODING, name="clip.mp4"):
    """Render parts of picture and of sound, each after the other, into one file."""
    inputs = []
    for chain in (*pictures, *sounds):
        inputs += ["-f", "lavfi", "-i", chain]
    join = "".join(f"[{n}:v]" for n in range(len(pictures)))
    join += f"concat=n={len(pictures)}:v=1:a=0[v];"
    join += "".join(f"[{len(pictures) + n}:a]" for n in range(len(sounds)))
    join += f"concat=n={len(sounds)}:v=0:a=1[a]"
    path = folder / name
    ffmpeg(
        *inputs, "-filter_complex", join, "-map", "[v]", "-map", "[a]", *coding, "-c:a", "aac", path
    )
    return path


def facts_of(path, sandbox, effort=None):
    with path.open("rb") as file:
        more = {} if effort is None else {"effort": effort}
        return probe_file(file, path.stat().st_size, sandbox, **more)


def found(path, sandbox, weight=Weight.DOUBT):
    """{kind: [(start, end), …]} of the findings of one weight."""
    spans = {}
    for one in inspect_media(facts_of(path, sandbox)):
        if one.weight is weight:
            spans.setdefault(one.kind, []).append((one.start_s, one.end_s))
    return spans


def near(start, end, within=1.05):
    return [pytest.approx((start, end), abs=within)]


@pytest.fixture(scope="module")
def defective(tmp_path_factory):
    """Fifty seconds: well, black, frozen, covered, well; silence while the picture is frozen."""
    parts = ["", "drawbox=c=black:t=fill", FIRST_PICTURE, HAND, ""]
    sounds = [speech(20), speech(10, volume=0.002), speech(20)]
    return made(tmp_path_factory.mktemp("defective"), [picture(one) for one in parts], sounds)


def test_each_known_defect_is_found_to_one_group_of_pictures(defective, sandbox):
    assert found(defective, sandbox) == {
        "black": near(10, 20),
        "frozen": near(20, 30),
        "covered": near(30, 40),
        "silent": near(20, 30),
    }


RECODED = {
    "mpeg2.ts": ["-c:v", "mpeg2video", "-b:v", "2M", "-g", "12", "-c:a", "mp2"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-b:v", "1M", "-g", "20", "-c:a", "pcm_s16le"],
    "open.mkv": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=20:open-gop=1:bframes=3:log-level=none"],
    "reordered.ts": ["-c:v", "libx264", "-bf", "3", "-g", "20", "-b:v", "800k", "-c:a", "aac"],
    "interlaced.mp4": ["-vf", "interlace", "-c:v", "libx264", "-flags", "+ilme+ildct", "-g", "10"],
    "filled.mp4": ["-c:v", "libx264", "-x264-params", "keyint=20:nal-hrd=cbr:filler=1", "-b:v", "1M", "-maxrate", "1M", "-bufsize", "1M"],
    "motion.mov": ["-c:v", "mjpeg", "-q:v", "5", "-c:a", "pcm_s24le"],
}  # fmt: skip


@pytest.mark.parametrize("name", RECODED)
def test_the_same_defects_are_found_in_every_coding(defective, sandbox, tmp_path, name):
    # Two groups of pictures: an encoder may need one more until a frozen picture stands still.
    path = tmp_path / name
    ffmpeg("-i", defective, *RECODED[name], path)
    doubts = found(path, sandbox)
    assert set(doubts) == {"black", "frozen", "covered", "silent"}
    for kind, start, end in (("black", 10, 20), ("frozen", 20, 30), ("covered", 30, 40)):
        assert doubts[kind] == near(start, end, within=4.1)


def test_doubts_are_for_a_person_and_no_fact_is_made_of_them(defective, sandbox):
    facts = facts_of(defective, sandbox)
    assert [one for one in inspect_media(facts) if one.weight is Weight.FACT] == []
    assert facts.pictures.complete
    assert facts.pictures.resolution_s == pytest.approx(1.0, abs=0.05)


def test_the_same_is_found_without_bubblewrap(defective, sandbox):
    assert found(defective, Sandbox(Level.RLIMITS)) == found(defective, sandbox)


@pytest.mark.parametrize("size", ["320x240", "640x360"])
def test_footage_without_defect_raises_no_doubt(sandbox, tmp_path, size):
    path = tmp_path / "clean.mp4"
    render_scene(Scene(14, "BWC 1", 1_768_959_780, size=size), path)
    assert inspect_media(facts_of(path, sandbox)) == ()


def test_a_quiet_room_seen_by_a_fixed_camera_is_not_frozen(sandbox, tmp_path):
    # Nothing moves but the noise of the sensor, and the clock.
    room = picture("noise=alls=12:allf=t", 12, "smptehdbars=s=400x240:r=10", "")
    coding = [*CODING, "-preset", "veryfast"]
    assert found(made(tmp_path, [room], [speech(12)], coding=coding), sandbox) == {}


def test_a_dark_street_with_lamps_is_not_covered(sandbox, tmp_path):
    night = "eq=brightness=-0.30:contrast=0.35,noise=alls=8:allf=t"
    assert found(made(tmp_path, [picture(night, 12)], [speech(12)]), sandbox) == {}


def test_a_short_black_moment_is_no_finding(sandbox, tmp_path):
    parts = [picture("", 6), picture("drawbox=c=black:t=fill", 1), picture("", 6)]
    assert found(made(tmp_path, parts, [speech(13)]), sandbox) == {}


def test_one_glimpse_does_not_end_a_covered_lens(sandbox, tmp_path):
    parts = [picture("", 5), picture(HAND, 8), picture("", 1), picture(HAND, 8), picture("", 5)]
    assert found(made(tmp_path, parts, [speech(27)]), sandbox) == {"covered": near(5, 22)}


def test_few_keyframes_are_made_up_for_by_decoding_all(sandbox, tmp_path):
    parts = [picture("", 8), picture("drawbox=c=black:t=fill", 6), picture("", 8)]
    coding = [*CODING, "-g", "9999", "-sc_threshold", "0", "-x264-params", "keyint=9999:scenecut=0"]
    path = made(tmp_path, parts, [speech(22)], coding=coding)
    assert found(path, sandbox) == {"black": near(8, 14)}
    assert facts_of(path, sandbox).pictures.resolution_s < 1


def test_a_scene_code_between_keyframes_far_apart_is_read(sandbox, tmp_path):
    still, path = tmp_path / "code.pgm", tmp_path / "film.mp4"
    write_picture("A" * 36, still)
    shown = "[0][1]overlay=80:40:enable='between(t,12,14)'"
    scene = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=10:d=24", "-i", still]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "100", "-sc_threshold", "0"]
    ffmpeg(*scene, "-filter_complex", shown, *coding, path)
    (code,) = facts_of(path, sandbox).codes
    assert code["text"] == "A" * 36
    assert (code["first_s"], code["last_s"]) == pytest.approx((12, 14), abs=0.2)


def sound(folder, chain, *options, name="sound.wav"):
    path = folder / name
    ffmpeg("-f", "lavfi", "-i", chain, *options, path)
    return path


def parts_of_sound(*chains):
    labels = "".join(f"[p{n}]" for n in range(len(chains)))
    graph = "".join(f"{chain}[p{n}];" for n, chain in enumerate(chains))
    return f"{graph}{labels}concat=n={len(chains)}:v=0:a=1"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sound.wav", []),
        ("sound.wav", ["-ac", "2", "-ar", "48000"]),
        ("sound.m4a", ["-c:a", "aac", "-ar", "44100"]),
        ("sound.flac", ["-sample_fmt", "s32"]),
        ("sound.mkv", ["-c:a", "pcm_alaw", "-ar", "8000"]),
    ],
)
def test_a_silence_of_many_minutes_is_found_in_every_coding(sandbox, tmp_path, name, options):
    chain = parts_of_sound(speech(20), speech(400, volume=0.004), speech(20))
    path = sound(tmp_path, chain, *options, name=name)
    assert found(path, sandbox) == {"silent": near(20, 420)}


def test_zeros_are_told_apart_from_silence(sandbox, tmp_path):
    chain = parts_of_sound(speech(8), "anullsrc=r=16000:cl=mono:d=9", speech(8), speech(9, 0.004))
    path = sound(tmp_path, chain)
    assert found(path, sandbox) == {"muted": near(8, 17), "silent": near(25, 34)}


@pytest.mark.parametrize("channel", [0, 1])
def test_speech_on_one_channel_alone_is_no_silence(sandbox, tmp_path, channel):
    graph = f"{speech(10)}[s];anullsrc=r=16000:cl=mono:d=10[z];"
    order = "[s][z]" if channel == 0 else "[z][s]"
    graph += f"{order}join=inputs=2:channel_layout=stereo"
    assert found(sound(tmp_path, graph, "-ar", "48000"), sandbox) == {}


def test_a_pause_in_speech_is_no_finding(sandbox, tmp_path):
    chain = parts_of_sound(speech(8), speech(3, volume=0.001), speech(8))
    assert found(sound(tmp_path, chain), sandbox) == {}


def test_sound_alone_is_asked_for_no_picture(sandbox, tmp_path):
    facts = facts_of(sound(tmp_path, speech(6)), sandbox)
    assert facts.pictures is None
    assert inspect_media(facts) == ()


def test_a_photo_of_a_dark_room_raises_no_doubt(sandbox, tmp_path):
    path = tmp_path / "night.jpg"
    ffmpeg("-f", "lavfi", "-i", "color=black:s=640x480:d=1", "-frames:v", 1, path)
    facts = facts_of(path, sandbox)
    assert facts.pictures is None
    assert inspect_media(facts) == ()


def test_a_collapse_of_the_frame_rate_is_a_fact_with_a_place(sandbox, tmp_path):
    scene = picture("select='not(between(t,8,15))+not(mod(n,5))'", 24)
    path = tmp_path / "slow.mp4"
    ffmpeg("-f", "lavfi", "-i", scene, *CODING, "-fps_mode", "vfr", path)
    assert found(path, sandbox, Weight.FACT) == {
        "no-sound-track": [(None, None)],
        "frame-rate-collapse": near(8, 15),
    }
    assert found(path, sandbox) == {}


def test_a_frame_rate_that_was_always_low_is_no_collapse(sandbox, tmp_path):
    path = tmp_path / "low.mp4"
    render_scene(Scene(12, "x", 0, rate=2), path)
    assert inspect_media(facts_of(path, sandbox)) == ()


def test_a_clock_that_runs_backwards_inside_a_recording_is_a_fact(sandbox, tmp_path):
    # The recorder's clock was set back by a minute between two parts of one transport stream.
    early, late = tmp_path / "early.ts", tmp_path / "late.ts"
    for path, start in ((early, 100), (late, 50)):
        scene = Scene(8, "x", 0)
        whole = tmp_path / "whole.mp4"
        render_scene(scene, whole)
        ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", start, path)
    both = tmp_path / "both.ts"
    both.write_bytes(early.read_bytes() + late.read_bytes())
    jumps = [one for one in inspect_media(facts_of(both, sandbox)) if one.kind == "clock-jump"]
    assert jumps
    assert {one.weight for one in jumps} == {Weight.FACT}
    assert jumps[0].end_s - jumps[0].start_s == pytest.approx(58, abs=1)


def test_what_the_time_was_too_short_for_is_told_and_is_no_doubt(defective, sandbox):
    facts = facts_of(defective, sandbox, Effort(seconds=0.001))
    assert facts.playable
    assert facts.duration_s == pytest.approx(50, abs=0.2)
    assert not facts.pictures.complete
    told = {(one.detail, one.end_s) for one in inspect_media(facts) if one.kind == "not-inspected"}
    assert told == {("pictures", facts.duration_s), ("sounds", facts.duration_s)}
    assert all(one.weight is Weight.FACT for one in inspect_media(facts))


def test_a_look_keeps_to_its_share_of_the_processor(tmp_path):
    # Without bubblewrap, whose child's time is not counted as ours.
    path = tmp_path / "long.mp4"
    short = made(tmp_path, [picture("", 20)], [speech(20)], name="short.mp4")
    ffmpeg("-stream_loop", 49, "-i", short, "-c", "copy", path)
    used, began = os.times(), time.monotonic()
    facts = facts_of(path, Sandbox(Level.RLIMITS), Effort(share=0.25))
    passed, now = time.monotonic() - began, os.times()
    busy = now.children_user + now.children_system - used.children_user - used.children_system
    assert facts.pictures.complete
    assert busy > 1.3  # or this would prove nothing
    # The start of the interpreter and half a second of work are not held back.
    assert busy - 1.0 < 0.25 * passed


def test_a_decoder_that_dies_leaves_the_facts_of_the_packets(defective):
    dies = 'case "$*" in *--packets-only*) exec "$@";; *) kill -SEGV $$;; esac'
    facts = facts_of(defective, Sandbox(Level.RLIMITS, ("/bin/sh", "-c", dies, "sh")))
    assert facts.playable
    assert facts.duration_s == pytest.approx(50, abs=0.2)
    assert (facts.pictures, facts.sounds) == (None, None)
    assert {(one.kind, one.detail, one.start_s) for one in inspect_media(facts)} == {
        ("not-inspected", "pictures", 0.0),
        ("not-inspected", "sounds", 0.0),
    }


def test_pictures_that_no_decoder_reads_are_counted_and_doubted(sandbox, tmp_path):
    path = tmp_path / "torn.mkv"
    whole = made(tmp_path, [picture("", 12)], [speech(12)])
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "noise=amount=20:dropamount=0", path)
    facts = facts_of(path, sandbox)
    assert facts.playable
    assert facts.pictures.damaged
    assert (
        next(one.weight for one in inspect_media(facts) if one.kind == "undecodable") is Weight.FACT
    )
    assert {one.kind for one in inspect_media(facts) if one.weight is Weight.DOUBT} == {"damaged"}


def test_every_finding_can_be_told_to_a_person(defective, sandbox):
    kinds = {one.kind for one in inspect_media(facts_of(defective, sandbox))}
    assert kinds <= set(WORDS)
    assert all(zh and en for zh, en in WORDS.values())


def test_a_share_that_is_none_is_refused():
    for share in (0, -1, 1.5):
        with pytest.raises(ValueError, match="share"):
            Effort(share=share)
