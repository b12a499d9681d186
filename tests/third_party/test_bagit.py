"""The Library of Congress's `bagit` reads our bundles as bags, and refuses those that were changed."""

import os

import pytest

NOT_TESTED = "bagit did not build from its locked source: BAGIT DID NOT READ THE BUNDLE"
bagit = pytest.importorskip("bagit", reason=NOT_TESTED)


def first_original(root):
    return min(root.glob("data/recordings/*/original/*"))


def flip(root):
    path = first_original(root)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # the copy's files are links
    path.write_bytes(content)


def remove(root):
    first_original(root).unlink()


def add(root):
    (root / "data" / "more.txt").write_text("more", encoding="utf-8")


def test_bagit_validates_an_exported_bundle(seizure_bundle):
    assert bagit.Bag(os.fspath(seizure_bundle.folder)).validate()


@pytest.mark.parametrize("change", [flip, remove, add])
def test_bagit_refuses_a_bundle_whose_payload_was_changed(change, seizure_bundle, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    change(root)
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(os.fspath(root)).validate()
