"""Folders that pass for bags: what lies in them is named, or said not to have been looked at."""

import json
import os

import pytest

from storage.bundle import bag
from storage.bundle.bag import BagTally, find_problems
from storage.bundle.outside_heads import find_heads


@pytest.fixture
def root(tmp_path):
    root, tally = tmp_path / "bag", BagTally()
    for number in range(3):
        write(root, tally.add_content(f"data/{number}", b"film"))
    write(root, tally.declare_bag())
    write(root, tally.describe_bag({}))
    write(root, tally.list_payload())
    write(root, tally.list_tags())
    return root


def write(root, member):
    path = root / member.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(member.blocks))


def test_a_bag_of_as_many_files_as_are_looked_at_is_whole(root, monkeypatch):
    monkeypatch.setattr(bag, "MAX_FILES", 7)
    assert list(find_problems(root)) == []


def test_files_beyond_what_is_looked_at_are_never_silence(root, monkeypatch):
    monkeypatch.setattr(bag, "MAX_FILES", 7)
    (root / "data" / "unlisted").write_bytes(b"another film")
    (problem,) = find_problems(root)
    assert "more than 7 files" in problem
    assert "其余没有核对" in problem


def test_a_folder_too_deep_to_be_read_hides_nothing(root):
    # Longer than any path that the system opens (PATH_MAX), so made step by step.
    handle = os.open(root / "data", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=handle)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("unlisted", os.O_WRONLY | os.O_CREAT, dir_fd=handle))
    os.close(handle)
    with pytest.raises(OSError, match="too long"):
        list(find_problems(root))


@pytest.mark.parametrize("link", ["data", "data/custody", "data/custody/checkpoint"])
def test_a_link_in_a_bundle_leads_to_no_head_elsewhere(root, tmp_path, link):
    elsewhere = tmp_path / "elsewhere" / "data" / "custody"
    elsewhere.mkdir(parents=True)
    (elsewhere / "checkpoint").write_text("a head of this machine's own")
    place = root / link
    if link == "data":
        place.rename(tmp_path / "moved")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere" / link)
    (head,) = find_heads(root)
    assert (head.untrusted_text, head.problem) == ("", "a link, which is not followed")


def test_a_linked_receipt_is_named_and_not_read(root, tmp_path):
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps({"checkpoint": "somebody else's"}))
    (root / "data" / "custody").mkdir()
    (root / "data" / "custody" / "checkpoint").write_text("its own head")
    recording = root / "data" / "recordings" / "r1"
    recording.mkdir(parents=True)
    (recording / "receipt.json").symlink_to(receipt)
    own, linked = find_heads(root)
    assert own.untrusted_text == "its own head"
    assert linked.problem == "a link, which is not followed"
