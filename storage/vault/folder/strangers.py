"""Foreign files in a folder store: all that is neither an object nor the store's own."""

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from storage.vault.objects import Stranger, StrangerKind, is_key

_LOST_AND_FOUND = "lost+found"  # a file system's own, where the store is all of a disk
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PART = r"(?:payload|record\.json|envelope\.json|rendition)"
_OWN_FOLDER = re.compile(rf"{_ID}(?:/\.lock)?|\.marked")
_OWN_FILE = re.compile(
    rf"store\.json|\.store\.json\.[0-9a-f]+"
    rf"|{_ID}/\.put-{_PART}-[0-9a-f]+"
    rf"|{_ID}/\.lock/(?:{_PART}\.json|\.{_PART}\.json\.[0-9]+-[0-9]+\.new)"
    rf"|\.marked/(?:{_ID}\.{_PART}|\.{_ID}\.{_PART}\.[0-9]+-[0-9]+\.new)"
)


def find_strangers(folder: Path, name: str) -> Iterator[Stranger]:
    """Yield what is strange in a folder of the store and below; what vanishes meanwhile is none."""
    try:
        with os.scandir(folder) as found_here:
            entries = sorted(found_here, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        place = f"{name}/{entry.name}" if name else entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        is_folder = stat.S_ISDIR(status.st_mode)
        if is_folder and _OWN_FOLDER.fullmatch(place):
            yield from find_strangers(folder / entry.name, place)
        elif is_folder and place != _LOST_AND_FOUND:
            yield Stranger(place, StrangerKind.FOLDER, 0)
        elif stat.S_ISREG(status.st_mode) and (is_key(place) or _OWN_FILE.fullmatch(place)):
            continue
        elif not is_folder:
            kind = StrangerKind.LINK if stat.S_ISLNK(status.st_mode) else StrangerKind.FILE
            yield Stranger(place, kind, status.st_size)
