"""One picture of a film as a JPEG: the first keyframe after a tenth of it, made small."""

import os
from fractions import Fraction
from typing import Any, BinaryIO

import av
from look import FAILURES, find_film, open_container  # type: ignore[import-not-found]
from magic import sniff_format  # type: ignore[import-not-found]

WIDE = 640
HIGH = 640
_RATE = 8_000_000  # bits of one picture: far more than it takes


def make_poster(file: BinaryIO) -> bytes:
    """Return the picture; empty where there is none to be had."""
    size = os.fstat(file.fileno()).st_size
    demuxer, kind = sniff_format(file.read(1024))
    if not size or kind != "video":
        return b""
    # A tenth into the film, where the first seconds are often black; else its very beginning.
    for share in (0.1, 0.0):
        try:
            with open_container(file, demuxer) as container:
                picture = _decode_picture(container, share)
        except FAILURES:
            continue
        if picture is not None:
            return _encode_jpeg(picture)
    return b""


def _decode_picture(container: Any, share: float) -> Any:
    stream = find_film(container)
    if stream is None:
        return None
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.skip_frame = "NONKEY"
    if share and container.duration:
        container.seek(int(container.duration * share))
    return next(container.decode(stream), None)


def _encode_jpeg(picture: Any) -> bytes:
    scale = min(WIDE / picture.width, HIGH / picture.height, 1.0)
    # Even sides: the chroma planes of 4:2:0 have half of them.
    wide, high = (max(2, int(side * scale) // 2 * 2) for side in (picture.width, picture.height))
    small = picture.reformat(width=wide, height=high, format="yuvj420p")
    small.pts = 0
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = wide, high, "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    encoder.bit_rate = _RATE
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
