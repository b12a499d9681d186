"""Byte ranges of a sealed recording over HTTP (RFC 9110, 14): 200, 206, 416, `If-Range`, `HEAD`.

Pure parsing, and one response that streams verified plaintext. The first piece is opened before
the status line is sent: what was tampered with never looks like a success.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from api.office.identity import Visitor
from api.office.service import Service, stream_pieces
from api.problems import ApiError
from storage.catalogue.tables import RecordingRow
from storage.recording import MediaKind

# 18 digits: more than any size, and never so many that reading the number costs anything.
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_TYPES = {
    "mov": "video/mp4",
    "matroska": "video/webm",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}
_PHOTOS = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, stop) that were asked for; `partial` answers with 206."""

    start: int
    stop: int
    partial: bool


def parse_range(header: str | None, size: int) -> ByteRange:
    """Parse a Range header; no, several or malformed ranges mean the whole file.

    Raises: ApiError(range) when the range lies outside (416).
    """
    whole = ByteRange(0, size, partial=False)
    match = _ONE_RANGE.fullmatch(header.strip()) if header else None
    # A server may ignore a Range header (RFC 9110, 14): several ranges would need multipart
    # answers, which players do not ask for.
    if match is None or match.group(0) == "bytes=-":
        return whole
    first, last = match.groups()
    if not first:
        # A suffix: the last bytes. More of them than there are mean all.
        start, stop = max(size - int(last), 0), size
        satisfiable = int(last) > 0 and size > 0
    else:
        start = int(first)
        stop = min(int(last) + 1, size) if last else size
        satisfiable = start < size
        # A range that ends before it begins is malformed, not outside: it is ignored, no 416.
        if last and int(last) < start:
            return whole
    if not satisfiable:
        raise ApiError("range", size=size)
    return ByteRange(start, stop, partial=True)


def content_type(row: RecordingRow) -> str:
    """Return a type that a browser may be told; anything else is a plain stream of bytes."""
    # Only types of film, sound and pictures are ever told, and only of what the probe could play: a
    # page of HTML on a card must not run as a page of ours.
    if not row.playable:
        return "application/octet-stream"
    if row.kind == MediaKind.PHOTO:
        suffix = row.name.rpartition(".")[2].lower()
        return _PHOTOS.get(suffix, "application/octet-stream")
    kind = _TYPES.get(row.container or "", "application/octet-stream")
    # The same container without pictures: as video, a player would show an empty frame.
    if row.kind == MediaKind.AUDIO and kind == "video/mp4":
        return "audio/mp4"
    return kind


def stream_original(
    service: Service, visitor: Visitor, row: RecordingRow, request: Request, purpose: str
) -> Response:
    """Answer a GET or HEAD for a recording's original.

    A GET is logged before its first byte; a HEAD gives sizes alone. The caller has authorised
    looking at the recording. Raises: ApiError, FixityError, KeyRingError, VaultError.
    """
    etag = f'"{row.sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        # No copy of footage may stay in a browser's or a proxy's cache, where no log tells of
        # reading it.
        "Cache-Control": "private, no-store",
        "Content-Disposition": _content_disposition(row, purpose),
        "Repr-Digest": _repr_digest(row.sha256),
    }
    range_header = request.headers.get("range")
    # The ETag is the original's digest, which never changes; a client that has another file must
    # get the whole.
    condition = request.headers.get("if-range")
    if condition is not None and condition != etag:
        range_header = None
    # Range means something for GET alone (RFC 9110, 14): a HEAD tells the whole size.
    span = parse_range(range_header if request.method == "GET" else None, row.size)
    headers["Content-Length"] = str(span.stop - span.start)
    if span.partial:
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{row.size}"
    kind = content_type(row)
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers, media_type=kind)
    # Here the access is logged and the key unwrapped; everything above has read the row alone.
    reader = service.open_plaintext(visitor, row, purpose)
    # Its first piece is verified before the status line leaves: a 200 cannot be taken back.
    body: Iterator[bytes] = stream_pieces(reader, span.start, span.stop)
    status = 206 if span.partial else 200
    return StreamingResponse(body, status_code=status, headers=headers, media_type=kind)


def _content_disposition(row: RecordingRow, purpose: str) -> str:
    is_inline = purpose == "play" and content_type(row) != "application/octet-stream"
    # The last 150 characters: the suffix matters most. Encoded whole: a name from a card may hold
    # quotes and line ends.
    name = row.name.replace("/", "_").replace("\\", "_")[-150:]
    return f"{'inline' if is_inline else 'attachment'}; filename*=UTF-8''{quote(name, safe='')}"


def _repr_digest(sha256: str) -> str:
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
