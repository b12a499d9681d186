"""Zips as other programs write them: each trait at the byte level, as APPNOTE.TXT names it.

No program is run: none of them is to be had on every machine. What they write is told by their
documentation and by files that people posted; each habit in `HABITS` says which trait it has.
"""

import bz2
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

UTF8, DESCRIPTOR, ENCRYPTED = 0x800, 0x8, 0x1
STORED, DEFLATED, DEFLATE64, BZIP2, ZSTANDARD = 0, 8, 9, 12, 93
_UNIX, _MACOS, _NTFS = 3 << 8, 19 << 8, 10 << 8  # "version made by" (4.4.2)


@dataclass(frozen=True, slots=True)
class Habit:
    """How a program packs. `descriptor` is the form of the sizes that follow a member's bytes."""

    encoding: str = "utf-8"
    flags: int = 0
    method: int = DEFLATED
    separator: str = "/"
    folders: bool = False  # whether folders have entries of their own
    made_by: int = _NTFS | 20
    descriptor: str = ""  # "", "signed" (4.3.9.3), "bare", "zip64"
    local_extra: bytes = b""
    central_extra: bytes = b""
    unicode_path: bool = False  # 4.6.9
    decomposed: bool = False
    around: str = ""  # a folder around the bundle's
    bare: bool = False  # the bundle's files without their folder
    beside: tuple[str, ...] = ()  # what the computer adds


def _field(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


HABITS = {
    # Info-ZIP 3.0: folders, bit 11, extended timestamp (0x5455) and owner (0x7875).
    "Info-ZIP": Habit(
        flags=UTF8,
        folders=True,
        made_by=_UNIX | 30,
        local_extra=_field(0x5455, b"\x03" + bytes(8)) + _field(0x7875, b"\x01\x04" + bytes(9)),
        central_extra=_field(0x5455, b"\x03" + bytes(4)),
    ),
    # Finder: signed data descriptors, UTF-8 without bit 11, resource forks beside.
    "Finder": Habit(
        flags=DESCRIPTOR,
        descriptor="signed",
        folders=True,
        made_by=_MACOS | 21,
        beside=("__MACOSX/{root}/._bagit.txt", "__MACOSX/._{root}", "{root}/.DS_Store"),
    ),
    # PowerShell 5 (.NET Framework before 4.6.1): backslashes, against 4.4.17.1.
    "PowerShell 5": Habit(separator="\\", flags=UTF8),
    # Windows Explorer in Chinese: names in code page 936, no bit 11.
    "Explorer": Habit(encoding="gb18030"),
    # PowerShell 5 on Chinese Windows, with an old library: both at once.
    "old .NET in Chinese": Habit(encoding="gb18030", separator="\\"),
    # 7-Zip: NTFS times (0x000a) in the directory alone, folders last.
    "7-Zip": Habit(
        flags=UTF8,
        folders=True,
        central_extra=_field(0x000A, bytes(4) + _field(0x0001, bytes(24))),
    ),
    # 7-Zip told to use BZip2.
    "7-Zip with BZip2": Habit(flags=UTF8, method=BZIP2),
    # WinRAR: the code page's name, and the true one in the Unicode path field.
    "WinRAR": Habit(encoding="gb18030", unicode_path=True),
    # bsdtar, which Windows 11 packs with: 64-bit sizes in the descriptors (4.3.9.2).
    "libarchive": Habit(flags=UTF8 | DESCRIPTOR, descriptor="zip64", made_by=_UNIX | 45),
    # Writers to a pipe that leave the descriptor's signature out (4.3.9.3 says SHOULD).
    "a bare descriptor": Habit(flags=UTF8 | DESCRIPTOR, descriptor="bare"),
    # HFS+ takes letters apart (NFD).
    "HFS+": Habit(decomposed=True, made_by=_MACOS | 21),
    # Somebody packed the folder that holds the bundle's folder.
    "a folder around": Habit(flags=UTF8, around="新建文件夹/"),
    # Somebody marked all files in the bundle's folder and packed them.
    "no folder": Habit(flags=UTF8, bare=True),
    # What an Android phone's or a Mac's archiver leaves unpacked.
    "stored": Habit(flags=UTF8, method=STORED),
}


def pack_bundle(folder: Path, habit: Habit, root: str = "证据包é") -> bytes:
    """Return the zip of a bundle's folder, which is called `root` in it."""
    place = "" if habit.bare else f"{habit.around}{root}/"
    files = [(f"{place}{name}", content) for name, content in _list_files(folder, habit)]
    files += [(name.format(root=root), b"\0\5\x16\7") for name in habit.beside]
    return pack_files(files, habit)


def _list_files(folder: Path, habit: Habit) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            yield name, path.read_bytes()
        elif habit.folders:
            yield f"{name}/", b""


def pack_files(files: Sequence[tuple[str, bytes]], habit: Habit) -> bytes:
    """Return a zip of named contents, byte by byte as the habit has it (4.3.6)."""
    body, directory = bytearray(), bytearray()
    for name, content in files:
        offset = len(body)
        local, central = _pack_member(name, content, habit)
        body += local
        directory += central + struct.pack("<HHHII", 0, 0, 0, 0, offset) + b""
        directory += _names(name, habit) + _extra(name, habit, habit.central_extra)
    end = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, len(files), len(files), len(directory), len(body), 0
    )
    return bytes(body + directory + end)


def _pack_member(name: str, content: bytes, habit: Habit) -> tuple[bytes, bytes]:
    """Return a member with its local header, and its directory entry up to the comment's size."""
    if name.endswith("/"):
        habit = replace(habit, method=STORED, descriptor="", flags=habit.flags & ~DESCRIPTOR)
    packed = _compress(content, habit.method)
    raw = _names(name, habit)
    crc, sizes = zlib.crc32(content), (len(packed), len(content))
    late = bool(habit.descriptor)
    large = habit.descriptor == "zip64"
    extra = _extra(name, habit, habit.local_extra)
    if large:
        extra += _field(0x0001, struct.pack("<QQ", 0, 0))
    stated = (0xFFFFFFFF, 0xFFFFFFFF) if large else (0, 0) if late else sizes
    common = (45 if large else 20, habit.flags, habit.method, 0, 0x5D7D)
    local = struct.pack(
        "<IHHHHHIIIHH", 0x04034B50, *common, 0 if late else crc, *stated, len(raw), len(extra)
    )
    descriptor = {
        "": b"",
        "signed": struct.pack("<IIII", 0x08074B50, crc, *sizes),
        "bare": struct.pack("<III", crc, *sizes),
        "zip64": struct.pack("<IIQQ", 0x08074B50, crc, *sizes),
    }[habit.descriptor]
    central_extra = _extra(name, habit, habit.central_extra)
    central = struct.pack(
        "<IHHHHHHIIIHH",
        *(0x02014B50, habit.made_by, *common, crc, *sizes, len(raw), len(central_extra)),
    )
    return local + raw + extra + packed + descriptor, central


def _compress(content: bytes, method: int) -> bytes:
    if method == DEFLATED:
        deflate = zlib.compressobj(wbits=-15)
        return deflate.compress(content) + deflate.flush()
    return bz2.compress(content) if method == BZIP2 else content


def _names(name: str, habit: Habit) -> bytes:
    if habit.decomposed:
        name = unicodedata.normalize("NFD", name)
    return name.replace("/", habit.separator).encode(habit.encoding)


def _extra(name: str, habit: Habit, extra: bytes) -> bytes:
    if not habit.unicode_path:
        return extra
    crc = zlib.crc32(_names(name, habit))
    return extra + _field(0x7075, struct.pack("<BI", 1, crc) + name.encode())
