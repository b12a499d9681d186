"""What somebody without any key does to the files of a bundle.

The manifest of tag files is signed by nobody: whoever changes a file that only it lists writes
that list anew, and it agrees again.
"""

import os
from collections.abc import Callable
from pathlib import Path

from storage.bundle.bag import MANIFEST, TAG_MANIFEST, digest_of
from tests.attacks.attack import Attack, Means


def _put(path: Path, data: bytes) -> None:
    """Write a file anew: a copied bundle's files are links."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    _put(path, bytes(data))


def cut(path: Path) -> None:
    _put(path, path.read_bytes()[:-1])


def empty(path: Path) -> None:
    _put(path, b"")


def append(path: Path) -> None:
    _put(path, path.read_bytes() + b"\n")


def rename(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.old"))


def add_beside(path: Path) -> None:
    _put(path.with_name(f"{path.name}.new"), b"new")


CHANGES: dict[str, Callable[[Path], object]] = {
    "flip": flip,
    "cut": cut,
    "empty": empty,
    "append": append,
    "delete": os.unlink,
    "rename": rename,
    "add beside": add_beside,
}


def list_tags_anew(root: Path, *others: str) -> None:
    """Write the manifest of tag files anew, with what else it is to list."""
    names = {path.name for path in root.iterdir() if path.is_file()} - {TAG_MANIFEST}
    lines = [f"{digest_of(root / name)}  {name}\n" for name in sorted({*names, *others})]
    _put(root / TAG_MANIFEST, "".join(lines).encode())


def _other_case_number(root: Path) -> None:
    text = (root / "bag-info.txt").read_text(encoding="utf-8")
    _put(root / "bag-info.txt", text.replace("1号", "9号").encode())
    list_tags_anew(root)


def _other_declaration(root: Path) -> None:
    text = (root / "bagit.txt").read_text(encoding="utf-8")
    _put(root / "bagit.txt", text.replace("UTF-8", "GB18030").encode())
    list_tags_anew(root)


def _one_tag_file_more(root: Path) -> None:
    _put(root / "README.txt", "先看这里".encode())
    list_tags_anew(root)


def _one_payload_file_more(root: Path) -> None:
    _put(root / "data" / "notice.html", "全部符合".encode())
    list_tags_anew(root, "data/notice.html")


def _payload_file_changed(root: Path) -> None:
    append(root / "data" / "keys" / "recovery.pub")
    list_tags_anew(root, "data/keys/recovery.pub")


def _payload_file_unlisted(root: Path) -> None:
    lines = (root / MANIFEST).read_text(encoding="utf-8").splitlines(keepends=True)
    _put(root / MANIFEST, "".join(one for one in lines if "recovery.pub" not in one).encode())
    list_tags_anew(root, "data/keys/recovery.pub")


def _attack(
    asset: str, act: str, check: str, do: Callable[[Path], object], *, held_before: bool = False
) -> Attack:
    return Attack(
        asset=asset,
        act=act,
        means=Means.NONE,
        level=1,
        check=check,
        do=do,
        held_before=held_before,
    )


EACH = tuple(
    _attack("every file of a bundle", act, "bag", do, held_before=True)
    for act, do in CHANGES.items()
)
LISTED = (
    _attack("bag-info.txt", "another case's number", "statement", _other_case_number),
    _attack("bagit.txt", "another encoding", "bag", _other_declaration),
    _attack("bag", "a tag file more, listed", "bag", _one_tag_file_more),
    _attack("bag", "a payload file more, listed as a tag file", "bag", _one_payload_file_more),
    _attack("public key", "changed, and listed as a tag file", "bag", _payload_file_changed),
    _attack(
        "manifest",
        "a file moved to the other one",
        "statement",
        _payload_file_unlisted,
        held_before=True,
    ),
)
ATTACKS = EACH + LISTED

UNDETECTED = (
    """VERIFY.md's own commands do not see a file that was added and listed nowhere, nor `bag-info.txt`
or `bagit.txt` changed with its line in `tagmanifest-sha256.txt`: nobody signs that list.
`liuhen verify`, and any verifier by docs/spec/bundle.md, see both.""",
)
