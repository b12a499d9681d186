"""Which source is docked: the identity of a volume, from what it carries or what holds it.

In this order: an id file that the profile names (or ours, `liuhen-source.json`), the one serial
that all matching file names agree on, the file system's UUID. None of them: the volume is known
by its bay alone and a person is asked whose it is.

A landing folder has no volume: each file names its own source, or the sub-folder does that a
terminal or an NVR has for itself.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ingest.sources.names import display_text
from ingest.sources.profile import SourceFacts
from ingest.sources.profile_files import Profile, load_profiles

_ID_FILES = ("liuhen-source.json", "DEVICEID.TXT", "deviceid.txt")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,39}")
# What a device or a camera's upload calls its own folders: no name of a device.
_NO_DEVICE = re.compile(r"(?i)(19|20)\d{2}-?\d{2}-?\d{2}|dcim|videos?|photos?|pictures|audio|log")
_BY_UUID = Path("/dev/disk/by-uuid")


@dataclass(frozen=True, slots=True)
class VolumeIdentity:
    """`identity` names the source for ever; `serial` is None where nobody knows it yet."""

    identity: str
    serial: str | None
    how: str


def identify_volume(
    mount: Path, serials: Iterable[str | None], profiles: Sequence[Profile] = ()
) -> VolumeIdentity:
    """Identify a volume; `serials` come from its file names, None where a name has none.

    The shipped profiles name the id files where none are given.
    Never raises on what the volume carries.
    """
    if serial := _from_id_file(mount, profiles or load_profiles()):
        return VolumeIdentity(serial, serial, "id-file")
    named = {serial for serial in serials if serial}
    if len(named) == 1:
        (only,) = named
        if _SERIAL.fullmatch(only):
            return VolumeIdentity(only, only, "file-names")
    if uuid := _find_uuid(mount):
        return VolumeIdentity(f"unknown:volume-{uuid}", None, "volume-uuid")
    return VolumeIdentity(f"unknown:{mount.name or 'bay'}", None, "bay")


def is_vacant(mount: Path) -> bool:
    """Tell whether nothing is docked here: no entry at all, and no volume of its own.

    A device that was cleared keeps its folders; one without even these is known by its mount.
    """
    try:
        return next(mount.iterdir(), None) is None and _find_uuid(mount) is None
    except OSError:
        return True


def add_landing_serial(facts: SourceFacts, parts: tuple[bytes, ...], place: str) -> SourceFacts:
    """Return the facts of a file in a landing folder, with the serial that its place tells.

    A name's own serial stands. Where it has none, the first sub-folder is the device's; a bare
    channel number belongs to that NVR, or to `place`, a name of the landing folder that no other
    station has.
    """
    folder = display_text(parts[0]) if len(parts) > 1 else ""
    device = folder if _SERIAL.fullmatch(folder) and not _NO_DEVICE.fullmatch(folder) else None
    serial = facts.serial or device
    if facts.serial is None and facts.channel is not None:
        serial = f"{device or place}-{facts.channel}"
    if serial is None:
        return facts
    questions = tuple(question for question in facts.questions if question != "serial")
    return replace(facts, serial=serial, questions=questions)


def _from_id_file(mount: Path, profiles: Sequence[Profile]) -> str | None:
    names = {name for profile in profiles for name in profile.serial_files} | set(_ID_FILES)
    for name in sorted(names):
        path = mount / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            text = os.read(handle, 4096).decode("utf-8", errors="replace").strip()
        except OSError:
            continue
        finally:
            os.close(handle)
        if text.startswith("{"):
            try:
                text = str(json.loads(text)["serial"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        if _SERIAL.fullmatch(text):
            return text
    return None


def _find_uuid(mount: Path) -> str | None:
    try:
        device = mount.stat().st_dev
        if device == mount.parent.stat().st_dev:
            return None  # a folder, not a mount of its own
        for link in _BY_UUID.iterdir():
            if link.stat().st_rdev == device:
                return link.name[:40]
    except OSError:
        return None
    return None
