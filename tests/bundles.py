"""Bundles to attack and to read: made once for a run, copied for each attempt upon them."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from api.office.evidence.export import export_bundle
from storage.signed.signing import SigningKey
from tests.office import FIRST, SECOND, Desk, dock, segment


@dataclass(frozen=True, slots=True)
class MadeBundle:
    """A bundle's folder, the office's public keys, and its own keys to sign it all again."""

    folder: Path
    keys: Path
    centre: SigningKey
    station: SigningKey

    def copy(self, target: Path) -> Path:
        """Return a copy whose files are links: replace one, and never write into it."""
        return Path(shutil.copytree(self.folder, target, copy_function=os.link))


def export_seizure(folder: Path) -> MadeBundle:
    """Export a seizure that was refused once, and closed with three recordings."""
    desk = Desk.set_up(folder)
    try:
        case, action = desk.seizure(30)
        dock(desk, "bay-1", FIRST, segment(-5, 15), segment(10, 8))
        desk.sweep()
        desk.link(action)
        assert not desk.close(action).allowed
        dock(desk, "bay-2", SECOND, segment(8, 30))
        desk.sweep()
        desk.link(action)
        assert desk.close(action).allowed
        export_bundle(desk.service, desk.visitor("zhang"), case, folder / "bag")
        ring, settings = desk.office.ring, desk.office.settings
        station = ring.get_signing_key(f"station-{settings.station}")
        return MadeBundle(folder / "bag", settings.keys, ring.get_signing_key("centre"), station)
    finally:
        desk.office.close()
