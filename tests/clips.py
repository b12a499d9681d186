"""Rendered clips, each rendered once in a run: the same scene is the same file, byte for byte.

ffmpeg renders as ever, and whoever asks for a scene that was rendered before gets a copy.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from api.office.samples import sample_volume
from ingest.media.sandbox import Scene, render_scene

_FOLDER = "LIUHEN_TEST_CLIPS"  # workers of one run share it through the environment


def begin() -> Path | None:
    """Keep what is rendered from now on; return the folder if it is new, to be removed."""
    new = None
    if _FOLDER not in os.environ:
        new = Path(tempfile.mkdtemp(prefix="liuhen-clips-"))
        os.environ[_FOLDER] = str(new)
    sample_volume.render_scene = render_once
    return new


def render_once(scene: Scene, target: Path) -> None:
    clip = Path(os.environ[_FOLDER]) / f"{_name(scene)}{target.suffix}"
    if not clip.exists():
        with tempfile.TemporaryDirectory(dir=clip.parent) as aside:
            fresh = Path(aside) / clip.name
            render_scene(scene, fresh)
            fresh.replace(clip)
    shutil.copyfile(clip, target)


def _name(scene: Scene) -> str:
    """Name a scene by all that it shows: the pictures of its codes by their bytes."""
    plain = [getattr(scene, name) for name in scene.__slots__ if name != "shown"]
    shown = [(at, hashlib.sha256(still.read_bytes()).hexdigest()) for at, still in scene.overlays]
    return hashlib.sha256(repr((plain, shown)).encode()).hexdigest()
