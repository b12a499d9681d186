"""Generated cards: mixed, odd and broken content, as recorders, people and computers leave it."""

import os
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

Maker = Callable[[random.Random, Path], None]

FOLDERS = (
    b"DCIM/100MEDIA",
    b"DCIM/20261121",
    b"MISC",
    b"misc/old",
    b"LOG",
    b"System Volume Information",
    b"$RECYCLE.BIN/S-1-5-21",
    b".Trashes/501",
    b"LOST.DIR",
    "执法录像".encode(),
    "执法录像".encode("gbk"),
    b"a/b/c/d/e/f/g/h/i/j/k/l/m/n",
)
NAMES = (
    b"%07d_000123_20261121%06d_%04d.MP4",
    b"DSJ-A9_%07d@000123_20261121%06d_%04d.MP4",
    b"VID_2026%04d_%06d_%d.mp4",
    b"IMG_%d_%d_%d.JPG",
    b"%d_%d_%d.MP4.tmp",
    b"%d%d%d.tmp",
    b"%d_%d_%d.part",
    b".%d.%d.backup%d",
    b"%d-%d-%d.THM",
    b"%d-%d-%d.LRV",
    b"Thumbs%d%d%d.db",
    b"._%d%d%d.MP4",
    b"index%d%d%d.ini",
    b"GPS%d%d%d.log",
    "录像%d%d%d(1).avi".encode(),
    "录像%d%d%d.avi".encode("gbk"),
    b"\xff\xfe%d\n%d\t%d.mp4",
    b"-rf %d %d; $(%d).mp4",
)
TIMES = (0, 315532800, 1_700_000_000, 1_795_000_000, 13_569_465_600, -86400)
HEADS = (
    b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
    b"RIFF\0\0\1\0AVI LIST",
    b"\xff\xd8\xff\xe0JFIF",
    b"\x1aE\xdf\xa3",
    b"[.ShellClassInfo]",
    b"\xd0\xcf\x11\xe0",
    b"$GPRMC,094300,A",
    b"",
)


def put(card: Path, folder: bytes, name: bytes, data: bytes, mtime: int) -> None:
    place = os.path.join(os.fsencode(card), folder)
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, name)
    if os.path.lexists(path):
        return
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (mtime, mtime))


def regular(chance: random.Random, card: Path) -> None:
    name = chance.choice(NAMES) % tuple(chance.randrange(1, 9999) for _ in range(3))
    data = chance.choice(HEADS) + chance.randbytes(chance.choice((0, 1, 40, 3000)))
    put(card, chance.choice(FOLDERS), name, data, chance.choice(TIMES))


def film_with_preview(chance: random.Random, card: Path) -> None:
    stem = b"%07d_000123_20261122101010_%04d" % (chance.randrange(9999), chance.randrange(9999))
    for ending in (b".MP4", b".THM", b".LRV"):
        put(card, b"DCIM/100MEDIA", stem + ending, chance.choice(HEADS) + stem, 1_795_000_000)


def copy(chance: random.Random, card: Path) -> None:
    data = b"the same bytes again"
    put(card, b"DCIM", b"copy%d.MP4" % chance.randrange(5), data, 1_795_000_000)


def link(chance: random.Random, card: Path) -> None:
    path = card / f"link{chance.randrange(100)}"
    if not path.is_symlink():
        path.symlink_to(chance.choice(("/etc/passwd", "nowhere", ".")))


def pipe(chance: random.Random, card: Path) -> None:
    path = card / f"pipe{chance.randrange(100)}"
    if not path.exists():
        os.mkfifo(path)


def boxes(chance: random.Random, card: Path) -> None:
    length = chance.choice((0, 1, 7, 8, 1 << 31, (1 << 32) - 1))
    data = struct.pack(">I", length) + b"moov" + chance.randbytes(64)
    put(card, b"DCIM/100MEDIA", b"box%d.mp4" % chance.randrange(999), data, 1_795_000_000)


MAKERS: Sequence[Maker] = (regular,) * 8 + (film_with_preview, copy, link, pipe, boxes)


def make(seed: int, card: Path) -> None:
    """Fill a card with 1 to 9 things; the same seed makes the same card."""
    chance = random.Random(seed)
    card.mkdir(parents=True, exist_ok=True)
    for _ in range(chance.randrange(1, 10)):
        chance.choice(MAKERS)(chance, card)


def entries(card: Path) -> set[bytes]:
    """Every entry that is no folder to be walked into, by its raw path; links are not followed."""
    return {
        os.path.relpath(os.path.join(folder, name), os.fsencode(card))
        for folder, folders, files in os.walk(os.fsencode(card))
        for name in (*files, *(one for one in folders if os.path.islink(os.path.join(folder, one))))
    }
