"""Scene codes as pictures: what a screen shows, and what sample footage films.

QR (ISO/IEC 18004), error correction Q: 36 characters of base32 fit version 3, whose modules stay
readable through motion blur. What the text says is `policies/scene_code.py`'s business.
"""

from pathlib import Path

import zxingcpp


def render_svg(text: str) -> str:
    """Return a scene code as SVG, with its quiet zone."""
    return str(zxingcpp.write_barcode_to_svg(_create_barcode(text), add_quiet_zones=True))


def write_picture(text: str, target: Path, scale: int = 4) -> int:
    """Write a scene code as a PGM picture; return its side in pixels. Raises: OSError."""
    image = zxingcpp.write_barcode_to_image(
        _create_barcode(text), scale=scale, add_quiet_zones=True
    )
    view = memoryview(image)  # type: ignore[arg-type]  # it has the buffer protocol
    height, width = view.shape or (0, 0)
    target.write_bytes(b"P5 %d %d 255\n" % (width, height) + view.tobytes())
    return int(width)


def _create_barcode(text: str) -> zxingcpp.Barcode:
    return zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="Q")
