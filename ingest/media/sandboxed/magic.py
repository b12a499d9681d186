"""What a file is by its first bytes: a table of magic numbers, and nothing that parses.

The child in the sandbox forces the demuxer that it names; the station asks it whether something
that is called like a system file may be footage after all (`ingest/bays/census.py`).
"""

MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ftyp", "mov", "video"),
    (4, b"moov", "mov", "video"),
    (4, b"mdat", "mov", "video"),
    (4, b"wide", "mov", "video"),
    (8, b"AVI ", "avi", "video"),
    (8, b"WAVE", "wav", "audio"),
    (0, b"\x1aE\xdf\xa3", "matroska", "video"),
    (0, b"DHAV", "dhav", "video"),
    (0, b"\x00\x00\x01\xba", "mpeg", "video"),
    (0, b"0&\xb2u", "asf", "video"),
    (0, b"OggS", "ogg", "audio"),
    (0, b"ID3", "mp3", "audio"),
    (0, b"\xff\xfb", "mp3", "audio"),
    (0, b"\xff\xf1", "aac", "audio"),
    (0, b"\xff\xf9", "aac", "audio"),
    (0, b"#!AMR", "amr", "audio"),
    (0, b"fLaC", "flac", "audio"),
    (0, b"\x00\x00\x00\x01\x67", "h264", "video"),
    (0, b"\xff\xd8\xff", "jpeg_pipe", "photo"),
    (0, b"\x89PNG\r\n", "png_pipe", "photo"),
    (0, b"%PDF-", "", "document"),
    (0, b"PK\x03\x04", "", "document"),
    (0, b"\xd0\xcf\x11\xe0", "", "document"),
)


def sniff_format(head: bytes) -> tuple[str, str]:
    """Return (demuxer, kind) by magic bytes; ("", "unknown") for what we do not know."""
    for offset, magic, demuxer, kind in MAGIC:
        if head[offset : offset + len(magic)] == magic:
            # The four letters alone, at that offset, may be anything; both formats lie in a RIFF
            # file.
            if demuxer in {"avi", "wav"} and head[:4] != b"RIFF":
                continue
            return demuxer, kind
    # Transport stream has no magic: three sync bytes a packet apart, or behind a time stamp.
    for step in (188, 192):
        start = step - 188
        if len(head) > start + 2 * step and all(head[start + n * step] == 0x47 for n in range(3)):  # noqa: PLR2004 - the TS sync byte
            return "mpegts", "video"
    return "", "unknown"
