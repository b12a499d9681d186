"""What somebody adds to a bundle, its archive or the key folder, mostly without any key, as data."""

import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from storage.bundle.write import encode_pem
from storage.signed.signing import SigningKey
from tests.attacks.attack import Attack, Means
from tests.attacks.dishonest_centre import LyingBundle

FORGED = "证据清单.pdf"
EVIL = SigningKey.from_seeds("station-1", bytes(range(64))).verify_key()

# What computers add by themselves, beside the payload.
LITTER = (".DS_Store", "._bundle.json", "__MACOSX/data/._case.json", "Thumbs.db", "desktop.ini")

_ADDED = (
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


def add(path: str, folder: Path) -> None:
    """Add a file to a bundle's folder."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"added")


def _link(folder: Path) -> None:
    (folder / ".DS_Store").symlink_to("/etc/passwd")


def packed(bundle: Path, *more: str, comment: bytes = b"") -> bytes:
    """Return the bundle as the service zips it, with more members."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for path in sorted(bundle.rglob("*")):
            archive.write(path, path.relative_to(bundle.parent))
        for name in more:
            archive.writestr(name, b"added")
        archive.comment = comment
    return held.getvalue()


def _with(*more: str) -> Callable[[Path], bytes]:
    return lambda bundle: packed(bundle, *(one.format(bag=bundle.name) for one in more))


def _with_unlisted_member(bundle: Path) -> bytes:
    """Take one member out of the directory, so that its bytes lie between others."""
    held = io.BytesIO(packed(bundle, FORGED, f"{bundle.name}/.DS_Store"))
    with zipfile.ZipFile(held, "a") as archive:
        archive.filelist.remove(archive.getinfo(FORGED))
        archive._didModify = True
    return held.getvalue()


# Zips that hold nothing but the bundle and litter.
TRUE_ZIPS = {
    "as the service makes it": packed,
    "litter in the bundle's folder": _with("{bag}/.DS_Store"),
    "litter beside the folder": _with("__MACOSX/{bag}/._bundle.json", ".DS_Store"),
}


def _plant(bundle: LyingBundle) -> None:
    name = f"keys/station-{EVIL.name}-{EVIL.kid}"
    bundle.put(f"{name}.verify", json.dumps(EVIL.to_json()).encode())
    bundle.put(f"{name}.pem", encode_pem(EVIL))


def _leave_out_key(bundle: LyingBundle) -> None:
    kid = json.loads((bundle.data / "keys" / "centre.verify").read_bytes())["kid"]
    bundle.without(lambda one: f'"subject":"key:{kid}"' in one["leaf"])


def _plant_file(keys: Path) -> None:
    (keys / "station-evil.verify").write_text(json.dumps(EVIL.to_json()), encoding="utf-8")


def _rename_key(keys: Path) -> None:
    own = json.loads((keys / "station-station-1.verify").read_bytes())
    text = json.dumps(own | {"name": "station-2"})
    (keys / "station-evil.verify").write_text(text, encoding="utf-8")


def _attack(asset: str, act: str, check: str, do: Callable, **more: object) -> Attack:
    told = {"means": Means.NONE, "level": 1} | more
    return Attack(asset=asset, act=act, check=check, do=do, **told)


_CENTRE = {"means": Means.CENTRE_KEY, "level": 2}
_FILES = {"means": Means.FILES, "level": None}
IN_FOLDER = (
    *(
        _attack("bundle's folder", f"{path} added", "bag", partial(add, path), held_before=True)
        for path in _ADDED
    ),
    _attack("bundle's folder", "a link named .DS_Store", "bag", _link, held_before=True),
)
IN_ZIP = (
    _attack("zip", "a forged list beside the folder", "bag", _with(FORGED)),
    _attack("zip", "a forged list in a folder beside it", "bag", _with(f"other/{FORGED}")),
    _attack("zip", "a second bundle beside it", "archive", _with("other/bagit.txt")),
    _attack("zip", "a forged list where Apple's files go", "bag", _with(f"__MACOSX/{FORGED}")),
    _attack("zip", "litter in data", "bag", _with("{bag}/data/.DS_Store"), held_before=True),
    _attack("zip", "junk before it", "bag", lambda bundle: b"%PDF-1.7 junk\n" + packed(bundle)),
    _attack("zip", "a file between, in no directory", "bag", _with_unlisted_member),
    _attack("zip", "a comment at its end", "bag", partial(packed, comment=b"junk")),
)
BY_CENTRE = (
    _attack("key", "one that no entry enrolled, put in", "keys", _plant, **_CENTRE),
    _attack("key", "the entry of the centre's left out", "keys", _leave_out_key, **_CENTRE),
)
IN_KEY_FOLDER = (
    _attack("key folder", "a station's key planted", "unenrolled-key", _plant_file, **_FILES),
    _attack("key folder", "a station's key renamed", "unenrolled-key", _rename_key, **_FILES),
)
ATTACKS = (*IN_FOLDER, *IN_ZIP, *BY_CENTRE, *IN_KEY_FOLDER)
