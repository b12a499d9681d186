"""Build volumes as recorders write them, for the demonstration and the tests.

Segments are rendered by ffmpeg with a burnt-in clock and sound, named and laid out as GA/T 947
recorders do (`DCIM/<day>/DSJ-<model>_<serial>@<officer>_<start>_<sequence>[_IMP].MP4` with a
`.log` beside it), with the times of change that a recorder leaves.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ingest.media.sandbox import Scene, render_scene
from ingest.media.scene_code import write_picture
from policies.identifiers import ActionId
from policies.scene_code import Kind, day_key, encode_scene_code, tag_of
from policies.time.wording import COUNTY_TIME

SAMPLES = Path("/usr/share/forensics-samples/original-files")  # Debian: forensics-samples-files
_SAMPLE_FILES = (
    "movie1/VID_20191220_170832.mp4",
    "movie2/movie-hello.mp4",
    "pic1/IMG_20200827_231612.jpg",
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """A recorder as its files name it."""

    serial: str
    officer_no: str
    model: str = "DSJ-A7"
    ahead_s: float = 0.0  # by how much its clock is ahead of true time


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a recorder: from when (true time), how many seconds, with what."""

    start: datetime
    seconds: float
    marked: bool = False
    picture: bool = True
    sound: bool = True
    codes: tuple[tuple[datetime, str], ...] = ()  # what a screen showed, from each whole second

    @property
    def end(self) -> datetime:
        """When it ends."""
        return self.start + timedelta(seconds=self.seconds)


def write_segments(
    volume: Path, recorder: Recorder, segments: Sequence[Segment], first_sequence: int = 1
) -> list[Path]:
    """Render the segments onto the volume and return their files, in order.

    Raises: MediaToolError.
    """
    return [
        _render_segment(volume, recorder, segment, number)
        for number, segment in enumerate(segments, first_sequence)
    ]


def add_truncated(whole: Path, name: str, keep: float = 0.5) -> Path:
    """Write a file whose battery died: the first part of a whole one. Returns its path."""
    target = whole.with_name(name)
    content = whole.read_bytes()
    target.write_bytes(content[: int(len(content) * keep)])
    return target


def add_duplicate(original: Path, folder: Path) -> Path:
    """Copy a file under another name into another folder of the volume. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy2(original, folder / f"COPY_{original.name}"))


def real_clips(footage: Path | None) -> list[Path]:
    """Return the real clips of this machine: Debian's samples, and those of a folder."""
    files = [SAMPLES / name for name in _SAMPLE_FILES if (SAMPLES / name).is_file()]
    if footage is not None and footage.is_dir():
        clips = sorted(path for path in footage.iterdir() if path.suffix not in {".tsv", ".md"})
        files += [path for path in clips if path.is_file()]
    return files


def copy_clips(clips: Iterable[Path], folder: Path) -> list[Path]:
    """Copy clips as a handheld terminal's upload would land them. Returns the new paths."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy2(clip, folder / clip.name)) for clip in clips]


def film_codes(
    action: ActionId, kind: Kind, key: bytes, since: datetime, seconds: int = 3
) -> tuple[tuple[datetime, str], ...]:
    """Return the codes that a screen shows from a whole second on; `key` is the master."""
    first = since.replace(microsecond=0)
    times = [first + timedelta(seconds=n) for n in range(seconds)]
    day = first.astimezone(COUNTY_TIME).date()
    return tuple(
        (at, encode_scene_code(tag_of(action), kind, at, day_key(key, day))) for at in times
    )


def _render_segment(volume: Path, recorder: Recorder, segment: Segment, number: int) -> Path:
    recorder_start = segment.start + timedelta(
        seconds=recorder.ahead_s
    )  # by the recorder's own clock
    local = recorder_start.astimezone(COUNTY_TIME)
    folder = volume / "DCIM" / f"{local:%Y%m%d}"
    folder.mkdir(parents=True, exist_ok=True)
    mark = "_IMP" if segment.marked else ""
    stem = f"{recorder.model}_{recorder.serial}@{recorder.officer_no}_{local:%Y%m%d%H%M%S}"
    target = folder / f"{stem}_{number:04}{mark}.MP4"
    with tempfile.TemporaryDirectory(prefix="liuhen-codes-") as pictures:
        stills = []
        for index, (at, text) in enumerate(segment.codes):
            still = Path(pictures) / f"{index}.pgm"
            write_picture(text, still)
            # In seconds of the film: the code is of true time, whatever the recorder's clock says.
            stills.append(((at - segment.start).total_seconds(), still))
        scene = Scene(
            segment.seconds,
            recorder.serial,
            int(recorder_start.timestamp()),
            picture=segment.picture,
            sound=segment.sound,
            overlays=tuple(stills),
        )
        render_scene(scene, target)
    log = target.with_suffix(".log")
    log.write_text(f"{local:%Y-%m-%d %H:%M:%S} POWER ON {recorder.serial}\n", encoding="utf-8")
    changed = segment.end.timestamp()
    for path in (target, log):
        # A recorder closes its file at the end of a segment: its time of change is then, by true
        # time.
        os.utime(path, (changed, changed))
    return target
