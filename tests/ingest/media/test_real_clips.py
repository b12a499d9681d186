"""Every real clip: accessioned whole, and probed, or accessioned as unplayable with the reason."""

import hashlib
import shutil

import pytest

from ingest.media.probe import probe_file
from ingest.media.sandbox import Sandbox
from storage.catalogue.recordings import recordings
from tests.office import Desk

pytestmark = pytest.mark.footage

# name: kind, why it cannot be played, seconds (± 0.1), picture, sound, in a browser, truncated
EXPECTED = {
    "avi_named_as.mp4": ("video", None, 2.73, True, True, False, False),
    "debian-forensics-samples-files__IMG_20200827_231612.jpg": ("photo", None, None, False, False, True, False),
    "debian-forensics-samples-files__VID_20191220_170832.mp4": ("video", None, 1.6, True, True, True, False),
    "debian-forensics-samples-files__debian.wav": ("audio", None, 5.41, False, True, True, False),
    "debian-forensics-samples-files__movie-hello.mp4": ("video", None, 8.33, True, True, True, False),
    "hls_playlist_named_as.mp4": ("unknown", "unknown-format", None, False, False, False, False),
    "mapillary_tools__videos_sample-5s.mp4": ("video", None, 5.76, True, True, True, False),
    "mapillary_tools__videos_sample-5s_h265.mp4": ("video", None, 5.03, True, True, False, False),
    "metadata-extractor-images__3gp_sample.3gp": ("video", None, 5.0, True, True, False, False),
    "metadata-extractor-images__avi_100_0306.AVI": ("video", None, 2.73, True, True, False, False),
    "metadata-extractor-images__mov_with-gps.mov": ("video", None, 4.02, True, True, True, False),
    "mp4parse-rust__tests_chunk_out_of_range.mp4": ("video", "damaged", None, False, False, False, False),
    "mp4parse-rust__tests_no_timescale.mp4": ("video", None, 6.04, True, False, True, False),
    "mux.js__segments_test-no-audio-segment.ts": ("video", None, 8.93, True, False, False, False),
    "mux.js__segments_test-segment.ts": ("video", None, 8.93, True, True, False, False),
    "sample-videos___one-by-one-person-detection.mp4": ("video", None, 139.4, True, False, True, False),
    "truncated_moovfirst.mp4": ("video", None, 1.05, True, True, True, True),
    "truncated_nomoov_1080p.mp4": ("video", "no-index", None, False, False, False, True),
    "ts_cut_midpacket.ts": ("video", None, 4.27, True, True, False, False),
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(footage):
    return [
        p for p in sorted(footage.rglob("*")) if p.is_file() and p.suffix not in {".tsv", ".md"}
    ]


@pytest.fixture(scope="module")
def docked(clips, tmp_path_factory):
    """All clips on one docked volume, each in a folder of its own."""
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    for number, clip in enumerate(clips):
        folder = desk.bay("bay-1") / f"{number:03}"
        folder.mkdir()
        shutil.copyfile(clip, folder / clip.name)
    results = desk.sweep()
    yield desk, results
    desk.office.close()


def test_every_clip_is_accessioned_whole(docked, clips):
    desk, results = docked
    assert {result.outcome for result in results} <= {"accessioned", "duplicate"}
    with desk.office.catalogue.read() as session:
        kept = {row.sha256 for row in recordings.iterate_recordings(session)}
    assert kept == {hashlib.sha256(clip.read_bytes()).hexdigest() for clip in clips}


def test_every_clip_plays_back_byte_for_byte(docked):
    desk, _results = docked
    with desk.office.catalogue.read() as session:
        rows = list(recordings.iterate_recordings(session))
    visitor = desk.visitor("zhang")
    for row in rows:
        reader = desk.service.open_plaintext(visitor, row, "copy")
        digest = hashlib.sha256()
        for piece in reader.read(0, reader.size):
            digest.update(piece)
        assert digest.hexdigest() == row.sha256


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_clip_is_probed_as_what_it_is(clips, name):
    found = [clip for clip in clips if clip.name == name]
    if not found:
        pytest.skip(f"{name} is not in the folder")
    with found[0].open("rb") as file:
        facts = probe_file(file, found[0].stat().st_size, Sandbox.detect())
    kind, reason, seconds, picture, sound, browser, truncated = EXPECTED[name]
    assert facts.kind == kind
    assert facts.unplayable_reason == reason
    assert facts.playable is (reason is None)
    assert facts.duration_s == (None if seconds is None else pytest.approx(seconds, abs=0.1))
    assert (facts.has_video, facts.has_audio) == (picture, sound)
    assert facts.browser_playable is browser
    assert facts.truncated is truncated


def test_a_place_and_a_time_are_read_where_the_recorder_wrote_them(clips):
    (clip,) = [clip for clip in clips if clip.name.endswith("mov_with-gps.mov")]
    with clip.open("rb") as file:
        facts = probe_file(file, clip.stat().st_size, Sandbox.detect())
    assert facts.location
    assert facts.creation_time is not None
    assert facts.creation_time.tzinfo is not None
