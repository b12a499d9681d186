"""What somebody adds to a bundle's folder or archive without any key, as data."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FORGED = "证据清单.pdf"

# What computers add by themselves, beside the payload.
LITTER = (".DS_Store", "._bundle.json", "__MACOSX/data/._case.json", "Thumbs.db", "desktop.ini")

# What nobody adds by himself: each path must be named.
ADDED = (
    FORGED,
    ".hidden",
    ".DS_Store.pdf",
    f".DS_Store/{FORGED}",
    f"__MACOSX/{FORGED}",
    "__MACOSX/.DS_Store",
    "data/.DS_Store",
    "data/keys/._centre.pem",
    "data/Thumbs.db",
    "data/actions/desktop.ini",
    f"data/__MACOSX/._{FORGED}",
)


def add(folder: Path, path: str) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"added")


def packed(bundle: Path, *more: tuple[str, bytes], comment: bytes = b"") -> bytes:
    """Return the bundle as the service zips it, with more members."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path in sorted(bundle.rglob("*")):
            archive.write(path, path.relative_to(bundle.parent))
        for name, data in more:
            archive.writestr(name, data)
        archive.comment = comment
    return held.getvalue()


@dataclass(frozen=True, slots=True)
class ZipLie:
    """One attack on a zip: what is done, and a word of what names it; None: it may be there."""

    act: str
    named: str | None
    tell: Callable[[Path], bytes]


def _beside(name: str) -> Callable[[Path], bytes]:
    return lambda bundle: packed(bundle, (name, b"added"))


def _without_last_name(bundle: Path) -> bytes:
    """Take one member out of the directory, so that its bytes lie between others, unlisted."""
    held = io.BytesIO(packed(bundle))
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr(FORGED, b"added")
        archive.writestr(f"{bundle.name}/.DS_Store", b"added")
        archive.filelist.remove(archive.getinfo(FORGED))
        archive._didModify = True
    return held.getvalue()


ZIP_LIES = (
    ZipLie("control: as the service makes it", None, packed),
    ZipLie(
        "litter in the bundle's folder", None, lambda one: _beside(f"{one.name}/.DS_Store")(one)
    ),
    ZipLie("litter beside the folder", None, _beside("__MACOSX/bag/._bundle.json")),
    ZipLie("a forged list beside the folder", FORGED, _beside(FORGED)),
    ZipLie("a forged list in a folder beside it", FORGED, _beside(f"other/{FORGED}")),
    ZipLie("a second bundle beside it", "not one folder", _beside("other/bagit.txt")),
    ZipLie("a forged list where Apple's files go", FORGED, _beside(f"__MACOSX/{FORGED}")),
    ZipLie("litter in data", ".DS_Store", lambda one: _beside(f"{one.name}/data/.DS_Store")(one)),
    ZipLie("junk before the zip", "before", lambda bundle: b"%PDF-1.7 junk\n" + packed(bundle)),
    ZipLie("a file between, in no directory", "before", _without_last_name),
    ZipLie("a comment at the end", "comment", lambda bundle: packed(bundle, comment=b"junk")),
)
