"""Names from a source are hostile: raw bytes are kept, and what is shown is made safe."""

import unicodedata

_LIMIT = 255
_PART_LIMIT = 60


def display_text(raw: bytes) -> str:
    r"""Return a text that is safe to show, log and print on one line.

    Bytes that are not UTF-8 become `\xNN`; control, format (bidi, zero-width) and unassigned
    characters become `\uNNNN`; the rest stays. Longer than 255 characters is cut with `…`.
    """
    text = raw.decode("utf-8", errors="backslashreplace")
    safe = "".join(
        char if unicodedata.category(char)[0] != "C" else f"\\u{ord(char):04x}" for char in text
    )
    return safe if len(safe) <= _LIMIT else f"{safe[: _LIMIT - 1]}…"


def make_opaque(name: str) -> str:
    """Return a name as it may be part of an identity: letters and digits of ASCII, at most 60."""
    return (
        "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:_PART_LIMIT]
        or "-"
    )
