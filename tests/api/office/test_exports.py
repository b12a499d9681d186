"""An export leaves no plaintext but at the place that was named, and there whole or not at all."""

import io
import os
import signal
import zipfile
from datetime import UTC, datetime
from multiprocessing import Pipe
from pathlib import Path

import pytest

from api.office.evidence import export as exporting
from api.office.evidence.bundle_archive import open_bundle
from api.office.evidence.export import export_bundle, stream_bundle
from api.office.evidence.export_slots import PART, ExportSlot, holding_slot, remove_left_parts
from api.problems import ApiError
from storage.bundle import write as writing
from storage.bundle.bag import MANIFEST, Member, digest_of
from storage.bundle.packing import stream_zip
from storage.bundle.verify import verify
from storage.bundle.write import safe_name
from storage.catalogue.log.custody_log import LogReader
from storage.errors import FixityError
from tests import fresh
from tests.office import FIRST, Desk, dock, segment

AT = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path):
    desk = Desk.set_up(tmp_path)
    yield desk
    desk.office.close()


@pytest.fixture
def filmed(desk):
    """A case with one linked recording, and that recording's bytes."""
    case, action = desk.seizure(30)
    (path,) = dock(desk, "bay-1", FIRST, segment(-5, 15))
    content = path.read_bytes()
    desk.sweep()
    desk.link(action)
    return case, content


def holds(folder: Path, content: bytes) -> list[Path]:
    """Return the files below the folder that hold some of these bytes in clear."""
    middle = content[len(content) // 2 :][:64]
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and middle in path.read_bytes()
    ]


def count_entries(desk: Desk) -> int:
    with desk.office.catalogue.read() as session:
        return LogReader(session).size


def fail(*_given):
    raise OSError(28, "no space left")


@pytest.mark.parametrize("zipped", [False, True])
def test_an_export_that_fails_leaves_nothing(zipped, desk, filmed, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_key_members", fail)
    with pytest.raises(OSError, match="no space"):
        export_bundle(
            desk.service, desk.visitor("zhang"), filmed[0], tmp_path / "out" / "bag", zipped=zipped
        )
    assert list((tmp_path / "out").iterdir()) == []
    assert remove_left_parts(desk.office.settings.home) == []


@pytest.mark.parametrize("name", ["bag", f"bag{PART}"])
@pytest.mark.parametrize("zipped", [False, True])
def test_what_was_there_before_stays(name, zipped, desk, tmp_path):
    case, _action = desk.seizure()
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").write_text("kept")
    zhang = desk.visitor("zhang")
    before = count_entries(desk)
    with pytest.raises(FileExistsError, match=name):
        export_bundle(desk.service, zhang, case, tmp_path / "bag", zipped=zipped)
    assert (tmp_path / name / "mine").read_text() == "kept"
    assert count_entries(desk) == before


def test_what_comes_meanwhile_to_the_place_stays(desk, tmp_path, monkeypatch):
    case, _action = desk.seizure()
    target = tmp_path / "bag.zip"

    def write_zip_slowly(*given):
        packing(*given)
        target.write_text("another's")

    packing = exporting.write_zip
    monkeypatch.setattr(exporting, "write_zip", write_zip_slowly)
    with pytest.raises(FileExistsError):
        export_bundle(desk.service, desk.visitor("zhang"), case, target, zipped=True)
    assert target.read_text() == "another's"
    assert not target.with_name(f"bag.zip{PART}").exists()


def test_a_zip_that_was_written_verifies_and_its_digest_is_told(desk, filmed, tmp_path):
    target = tmp_path / "out" / "bag.zip"
    digest = export_bundle(desk.service, desk.visitor("zhang"), filmed[0], target, zipped=True)
    assert [path.name for path in target.parent.iterdir()] == ["bag.zip"]
    with open_bundle(target) as opened:
        assert opened.beside == []
        assert digest_of(opened.folder / MANIFEST) == digest
        assert verify(opened.folder).passed


def test_too_little_space_is_told_before_anything_is_logged(desk, filmed, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_BESIDE_ORIGINALS", 1 << 62)
    zhang = desk.visitor("zhang")
    before = count_entries(desk)
    with pytest.raises(ApiError) as refusal:
        export_bundle(desk.service, zhang, filmed[0], tmp_path / "out" / "bag")
    assert refusal.value.code == "export-space"
    assert count_entries(desk) == before
    assert not (tmp_path / "out").exists()


def test_a_streamed_bundle_touches_no_disk(desk, filmed, tmp_path):
    case, content = filmed
    home = desk.office.settings.home
    blocks, slot = stream_bundle(desk.service, desk.visitor("zhang"), case)
    parts = []
    for block in blocks:
        parts.append(block)
        assert holds(home, content) == []
    slot.release()
    (tmp_path / "sent.zip").write_bytes(b"".join(parts))
    with open_bundle(tmp_path / "sent.zip") as opened:
        assert verify(opened.folder).passed
        assert holds(opened.folder, content) != []


def test_a_damaged_original_breaks_the_stream_off_before_it_looks_whole(
    desk, filmed, tmp_path, monkeypatch
):
    damaged = filmed[1][:-1] + bytes([filmed[1][-1] ^ 1])
    monkeypatch.setattr(exporting, "_open_original", lambda *_given: lambda: [damaged])
    blocks, slot = stream_bundle(desk.service, desk.visitor("zhang"), filmed[0])
    sent = io.BytesIO()
    with pytest.raises(FixityError):
        sent.writelines(blocks)
    slot.release()
    assert not zipfile.is_zipfile(sent)


def test_only_so_many_are_exported_at_once(desk, tmp_path):
    home = desk.office.settings.home
    held = [ExportSlot.acquire(home, 2) for _number in range(2)]
    case, _action = desk.seizure()
    zhang = desk.visitor("zhang")
    before = count_entries(desk)
    with pytest.raises(ApiError) as refusal:
        stream_bundle(desk.service, zhang, case)
    assert refusal.value.code == "exports-busy"
    assert count_entries(desk) == before
    held[0].release()
    blocks, slot = stream_bundle(desk.service, zhang, case)
    assert b"".join(blocks)
    for taken in (slot, held[1]):
        taken.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave what others cannot open")
def test_roots_export_leaves_the_slots_to_the_service(tmp_path):
    os.chown(tmp_path, 12_345, 12_345)
    ExportSlot.acquire(tmp_path, 1).release()
    for path in (tmp_path / "exports", tmp_path / "exports" / "slot-0"):
        assert path.stat().st_uid == 12_345


def test_no_link_leads_the_slots_elsewhere(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "exports").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="exports"):
        ExportSlot.acquire(tmp_path, 1)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def _hang(home, part, told):
    with holding_slot(home, 2, part):
        part.mkdir()
        (part / "plain.MP4").write_bytes(b"footage")
        told.send(None)
        signal.pause()  # until it is killed


@pytest.fixture
def killed(tmp_path):
    """A home whose export was killed, and the part that it left."""
    home, part = tmp_path / "home", tmp_path / "usb" / f"bag{PART}"
    home.mkdir()
    part.parent.mkdir()
    hears, tells = Pipe(duplex=False)
    process = fresh.context().Process(target=_hang, args=(home, part, tells))
    process.start()
    hears.recv()
    assert remove_left_parts(home) == []  # it is at work
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert part.exists()
    return home, part


def test_what_a_killed_export_left_goes_at_the_next_start_and_nothing_else(killed):
    home, part = killed
    (part.parent / "bag").mkdir()
    with holding_slot(home, 2, part.with_name(f"other{PART}")):
        part.with_name(f"other{PART}").mkdir()
        # The killed one's slot was free, so the other took it, and removed what it named.
        assert not part.exists()
        assert remove_left_parts(home) == []
        assert part.with_name(f"other{PART}").exists()
    assert sorted(path.name for path in part.parent.iterdir()) == ["bag"]


def test_a_medium_that_is_away_is_swept_when_it_is_back(killed):
    home, part = killed
    away = part.parent.rename(part.parent.with_name("pulled"))
    assert remove_left_parts(home) == []
    ExportSlot.acquire(home, 1).release()  # the slot is used meanwhile, and forgets nothing
    away.rename(part.parent)
    assert remove_left_parts(home) == [part]
    assert remove_left_parts(home) == []
    assert not part.exists()


def test_no_path_is_removed_that_an_export_could_not_have_written(tmp_path):
    (tmp_path / "exports").mkdir()
    for name in ("mine", f"linked{PART}"):
        (tmp_path / name).symlink_to(tmp_path / "exports")
    (tmp_path / "exports" / "slot-0").write_text(
        "\0".join(str(tmp_path / name) for name in ("mine", f"linked{PART}"))
    )
    assert remove_left_parts(tmp_path) == []
    assert (tmp_path / f"linked{PART}").is_symlink()


def test_the_working_folders_of_earlier_editions_go_too(tmp_path):
    left = tmp_path / "spool" / "bundle-abc"
    left.mkdir(parents=True)
    (left / "plain.MP4").write_bytes(b"footage")
    assert remove_left_parts(tmp_path) == [left]
    assert not left.exists()


def test_large_members_get_sizes_of_64_bits():
    member = Member("data/film.mp4", [b"film"], 5 << 30)
    head = next(stream_zip("bundle", [member], AT))
    assert head[4:6] == b"\x2d\x00"  # version 4.5 is needed: zip64 (APPNOTE 4.4.3)
    assert next(stream_zip("bundle", [Member("a", [b"b"], 1)], AT))[4:6] == b"\x14\x00"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("CON.mp4", "_CON.mp4"),
        ("nul", "_nul"),
        ("com1.2026.mp4", "_com1.2026.mp4"),
        ("LPT³.mp4", "_LPT³.mp4"),
        ("COM10.mp4", "COM10.mp4"),
        ("现场 检查.MP4", "现场_检查.MP4"),
        ("a.mp4.", "a.mp4"),
        ("x" * 300 + ".MP4", "x" * 80 + ".MP4"),
    ],
)
def test_a_name_is_one_that_windows_extracts(name, safe):
    assert safe_name(name) == safe
