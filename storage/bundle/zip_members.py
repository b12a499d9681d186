"""Members of a zip under the names that are meant, whatever program wrote it.

A bundle is zipped again by whoever passes it on. Programs differ in separators, in the encoding
of names, in how they compose letters, and in what they can pack with; each such habit is named,
and none is taken for tampering. What a member holds is nobody's business here.

Sources: APPNOTE.TXT 6.3.10 (4.4.4 general purpose bits, 4.4.5 methods, 4.4.17 file name, 4.6.9
Unicode path extra field, appendix D).
"""

import lzma
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from storage.bundle.bag import DECLARATION_NAME, MANIFEST
from storage.bundle.report import Remark

# What reading a damaged or hostile archive raises: `zipfile` lets its tools' errors through.
UNREADABLE = (
    *(OSError, ValueError, RuntimeError, EOFError, NotImplementedError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
)
MOST_MEMBERS = 100_000
_MOST_MANIFEST = 64 << 20  # bytes
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_UNICODE_PATH = 0x7075
_FIELD = struct.Struct("<HH")  # kind and size of an extra field
_PATH_FIELD = struct.Struct("<BI")  # version, and the CRC-32 of the name that it stands for
_METHODS = frozenset(
    {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
)
_OTHER_METHODS = {
    9: "Deflate64(Windows 资源管理器压缩大文件的习惯 as Windows Explorer packs large files)",
    93: "Zstandard",
    95: "XZ",
    98: "PPMd",
}
# Beginnings of files that people call a zip, and what they are.
_OTHER_ARCHIVES = {
    b"Rar!\x1a\x07": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x1f\x8b": "gzip",
    b"PK\x07\x08": "分卷 zip 的第一卷 the first volume of a split zip",
}
_BACKSLASHES = Remark(
    "文件名以反斜杠分隔(PowerShell 5 等程序的习惯),已按文件夹读取"
    " backslashes in names, a habit of PowerShell 5 and others, read as folders"
)
_UNMARKED = {
    "utf-8": Remark(
        "文件名是未标明的 UTF-8(macOS 等的习惯),已照此读取"
        " names in unmarked UTF-8, a habit of macOS and others, read so"
    ),
    "gb18030": Remark(
        "文件名是 GBK 编码(中文 Windows 的习惯),已照此读取"
        " names in GBK, a habit of Chinese Windows, read so"
    ),
}
_COMPOSED = Remark(
    "文件名中的字母被拆开书写(macOS 的习惯),已合并读取"
    " letters of names taken apart, a habit of macOS, put together again"
)


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One file of an archive, and the path that its name means; hostile, with `/` between."""

    entry: zipfile.ZipInfo
    untrusted_path: str


@dataclass(frozen=True, slots=True)
class NamedMembers:
    """An archive's files under the names that are meant, and the habits that were met."""

    members: Sequence[ZipMember]
    root: str  # the folder that holds the bag; "." where it lies in none
    habits: Sequence[Remark]


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Open an archive whose members can be read. Raises: BadZipFile, which says why not."""
    head = file.read(8)
    file.seek(0)
    for magic, kind in _OTHER_ARCHIVES.items():
        if head.startswith(magic):
            raise zipfile.BadZipFile(f"这是 {kind},不是 zip not a zip")
    archive = zipfile.ZipFile(file)
    if len(archive.infolist()) > MOST_MEMBERS:
        raise zipfile.BadZipFile("文件太多 too many files")
    for entry in archive.infolist():
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise zipfile.BadZipFile("压缩包设有密码,请去掉密码再压缩 packed with a password")
        if entry.compress_type not in _METHODS:
            method = _OTHER_METHODS.get(entry.compress_type, f"method {entry.compress_type}")
            raise zipfile.BadZipFile(
                f"用 {method} 压缩,此处不能解开:请解压成文件夹再核验"
                " packed in a way that cannot be read here: unpack it and verify the folder"
            )
    return archive


def name_members(archive: zipfile.ZipFile) -> NamedMembers:
    """Return the archive's files under the names under which they are a whole bag.

    Where no reading gives one, the first that can be read is returned, with what is missing to be
    found by whoever verifies the bag. Raises: BadZipFile (no bag in it, or two; hostile names).
    """
    readings = list(_read_names(archive))
    for reading in readings:
        if _is_whole(archive, reading):
            return reading
    if not readings:
        raise zipfile.BadZipFile("文件名的编码无法识别 names in no encoding that is known")
    return readings[0]


def _read_names(archive: zipfile.ZipFile) -> Iterator[NamedMembers]:
    """Yield each way to read the names, the likelier ones first."""
    entries = archive.infolist()
    unmarked = [entry for entry in entries if _is_unmarked(entry)]
    for encoding, habit in _UNMARKED.items() if unmarked else [("utf-8", None)]:
        try:
            names = [_decode_name(entry, encoding) for entry in entries]
        except UnicodeDecodeError:
            continue
        habits = [habit] if habit else []
        if any("\\" in name for name in names):
            habits.append(_BACKSLASHES)
            names = [name.replace("\\", "/") for name in names]
        yield _gather_members(entries, names, habits)
        composed = [unicodedata.normalize("NFC", name) for name in names]
        if composed != names:
            yield _gather_members(entries, composed, [*habits, _COMPOSED])


def _gather_members(
    entries: Sequence[zipfile.ZipInfo], names: Sequence[str], habits: Sequence[Remark]
) -> NamedMembers:
    members = [
        ZipMember(entry, name)
        for entry, name in zip(entries, names, strict=True)
        if not name.endswith("/")
    ]
    paths = [member.untrusted_path for member in members]
    # Two of one name: a reader could check one and be shown the other.
    if len(set(paths)) != len(paths):
        raise zipfile.BadZipFile("两个文件同名 two files of one name")
    return NamedMembers(members, _find_root(paths), habits)


def _find_root(untrusted_paths: Sequence[str]) -> str:
    """Return the folder that holds the bag; a recording may be called `bagit.txt`, too."""
    folders = [
        path.parent
        for path in map(PurePosixPath, untrusted_paths)
        if path.name == DECLARATION_NAME and not path.is_absolute() and ".." not in path.parts
    ]
    outer = [
        folder
        for folder in folders
        if not any(other in folder.parents for other in folders if other != folder)
    ]
    # Two bundles in one archive: the reader could check one and be shown the other.
    if len(outer) != 1:
        raise zipfile.BadZipFile(
            f"压缩包里应有且只有一个证据包(含 {DECLARATION_NAME} 的文件夹)"
            f" not one folder with {DECLARATION_NAME}"
        )
    return outer[0].as_posix()


def _is_whole(archive: zipfile.ZipFile, reading: NamedMembers) -> bool:
    """Tell whether every file that the bag's payload manifest lists is there under its name."""
    entries: Mapping[str, zipfile.ZipInfo] = {
        member.untrusted_path: member.entry for member in reading.members
    }
    root = PurePosixPath(reading.root)
    entry = entries.get((root / MANIFEST).as_posix())
    if entry is None or entry.file_size > _MOST_MANIFEST:
        return False
    with archive.open(entry) as file:
        untrusted_text = file.read(_MOST_MANIFEST).decode(errors="replace")
    names = [line.partition("  ")[2] for line in untrusted_text.splitlines()]
    return all((root / name).as_posix() in entries for name in names)


def _is_unmarked(entry: zipfile.ZipInfo) -> bool:
    """Tell whether the name is in an encoding that the archive does not state."""
    return (
        not entry.flag_bits & _UTF8_FLAG
        and not entry.orig_filename.isascii()
        and _unicode_path(entry) is None
    )


def _decode_name(entry: zipfile.ZipInfo, encoding: str) -> str:
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8_FLAG:
        # `zipfile` takes unmarked names for IBM 437, which maps every byte: they come back whole.
        name = _unicode_path(entry) or name.encode("cp437").decode(encoding)
    if "\0" in name:
        raise zipfile.BadZipFile("文件名含有空字符 a name with a zero byte")
    return name


def _unicode_path(entry: zipfile.ZipInfo) -> str | None:
    """Return the name of the Unicode path field, where it belongs to this name (4.6.9)."""
    extra = entry.extra
    while len(extra) >= _FIELD.size:
        kind, size = _FIELD.unpack_from(extra)
        field = extra[_FIELD.size : _FIELD.size + size]
        extra = extra[_FIELD.size + size :]
        if kind != _UNICODE_PATH or len(field) <= _PATH_FIELD.size:
            continue
        version, crc = _PATH_FIELD.unpack_from(field)
        if version == 1 and crc == zlib.crc32(entry.orig_filename.encode("cp437", "replace")):
            return field[_PATH_FIELD.size :].decode(errors="replace")
    return None
