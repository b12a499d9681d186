"""A bundle that was zipped again is read, whatever zipped it; what cannot be read is called by name."""

import io
import random
import zipfile

import pytest

from api.office.evidence.bundle_archive import open_bundle
from api.problems import ApiError
from storage.bundle.bag import DECLARATION_NAME, MANIFEST
from storage.bundle.outside_heads import find_heads
from storage.bundle.report import Remark
from storage.bundle.verify import verify
from storage.bundle.zip_members import name_members, open_zip
from tests.zips import (
    DEFLATE64,
    ENCRYPTED,
    HABITS,
    UTF8,
    ZSTANDARD,
    Habit,
    pack_bundle,
    pack_files,
)

TOLD = {
    "Finder": ["macOS", "电脑自动添加", "电脑自动添加", "电脑自动添加"],
    "PowerShell 5": ["PowerShell 5"],
    "Explorer": ["GBK"],
    "old .NET in Chinese": ["GBK", "PowerShell 5"],
    "HFS+": ["macOS"],
}
LETTERS = "证据包/现场é检查.MP4"  # of both kinds: what HFS+ takes apart, what a code page holds


@pytest.mark.parametrize("name", HABITS)
def test_a_bundle_verifies_whatever_zipped_it(name, seizure_bundle, tmp_path):
    file = tmp_path / "bundle.zip"
    file.write_bytes(pack_bundle(seizure_bundle.folder, HABITS[name]))
    with open_bundle(file) as opened:
        report = verify(opened.folder, seizure_bundle.keys, opened.beside)
    assert report.passed, report.format_lines()
    assert all(isinstance(remark, Remark) for remark in opened.beside)
    for remark, word in zip(opened.beside, TOLD.get(name, []), strict=True):
        assert word in remark


@pytest.mark.parametrize("name", HABITS)
def test_the_heads_in_it_are_found_too(name, seizure_bundle, tmp_path):
    file = tmp_path / "bundle.zip"
    file.write_bytes(pack_bundle(seizure_bundle.folder, HABITS[name]))
    heads = list(find_heads(file))
    assert len(heads) > 1
    assert not any(head.problem for head in heads)


@pytest.mark.parametrize("name", HABITS)
def test_names_of_recordings_are_read_as_they_were_meant(name):
    listed = f"data/{LETTERS}"
    root = "bag"
    files = [
        (f"{root}/{DECLARATION_NAME}", b""),
        (f"{root}/{MANIFEST}", f"{'0' * 64}  {listed}\n".encode()),
        (f"{root}/{listed}", b"film"),
    ]
    with open_zip(io.BytesIO(pack_files(files, HABITS[name]))) as archive:
        paths = [member.untrusted_path for member in name_members(archive).members]
    assert paths == [path for path, _content in files]


def test_names_that_both_encodings_hold_are_read_as_the_manifest_has_them():
    raw = "联通".encode("gb18030")  # the pair that Windows once took for UTF-8
    assert raw.decode("utf-8", "replace") != "联通"
    name = bytes([0xC4, 0xA3, 0xC4, 0xA3])  # valid in both: U+0123 twice, or 模模
    meant = name.decode("gb18030")
    assert name.decode("utf-8") != meant
    files = [
        (DECLARATION_NAME, b""),
        (MANIFEST, f"{'0' * 64}  data/{meant}\n".encode()),
        (f"data/{meant}", b"film"),
    ]
    with open_zip(io.BytesIO(pack_files(files, Habit(encoding="gb18030")))) as archive:
        assert name_members(archive).members[-1].untrusted_path == f"data/{meant}"


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (lambda bundle: pack_bundle(bundle, Habit(method=DEFLATE64)), "Deflate64"),
        (lambda bundle: pack_bundle(bundle, Habit(method=ZSTANDARD)), "Zstandard"),
        (lambda bundle: pack_bundle(bundle, Habit(flags=UTF8 | ENCRYPTED)), "密码"),
        (lambda _bundle: b"Rar!\x1a\x07\x01\x00" + bytes(100), "RAR"),
        (lambda _bundle: b"7z\xbc\xaf\x27\x1c" + bytes(100), "7z"),
        (lambda _bundle: b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (lambda bundle: b"PK\x07\x08" + pack_bundle(bundle, Habit()), "分卷"),
    ],
    ids=["deflate64", "zstandard", "password", "rar", "7z", "gzip", "volumes"],
)
def test_what_cannot_be_read_is_called_by_its_name(data, word, seizure_bundle, tmp_path):
    file = tmp_path / "bundle.zip"
    file.write_bytes(data(seizure_bundle.folder))
    with pytest.raises(ApiError, match="bundle") as refusal, open_bundle(file):
        pass
    assert word in refusal.value.facts["problem"]


def test_a_damaged_zip_is_refused_and_breaks_nothing(seizure_bundle, tmp_path):
    chance = random.Random(20261129)
    methods = [Habit(), HABITS["Finder"], HABITS["7-Zip with BZip2"]]
    small = [
        (f"bag/{path.name}", path.read_bytes())
        for path in seizure_bundle.folder.iterdir()
        if path.is_file()
    ]
    refusals = []
    for number in range(300):
        data = bytearray(pack_files(small, methods[number % len(methods)]))
        for _change in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        file = tmp_path / "bundle.zip"
        file.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        try:
            with open_bundle(file):
                pass
        except ApiError as error:
            refusals.append(error.code)
        assert all(isinstance(head.problem, str) for head in find_heads(file))
    assert set(refusals) == {"bundle"}
    assert len(refusals) > 100


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (["bag/bagit.txt", "bag/data/x", "bag\\data\\x"], "utf-8"),
        (["bag/bagit.txt", "bag/data/x", "bag/data/x"], "utf-8"),
        (["bag\\bagit.txt", "..\\..\\x"], "utf-8"),
        (["bag/bagit.txt", "other/bagit.txt"], "utf-8"),
        (["/bagit.txt"], "utf-8"),
        (["../bagit.txt"], "utf-8"),
        (["bag/bagit.txt", "bag/data/a\0b"], "utf-8"),
        (["bag/data/x"], "utf-8"),
    ],
)
def test_names_that_deceive_are_refused(names, encoding, tmp_path):
    file = tmp_path / "bundle.zip"
    file.write_bytes(pack_files([(name, b"") for name in names], Habit(encoding=encoding)))
    with pytest.raises(ApiError), open_bundle(file):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.zip"]


def test_a_recording_may_be_called_as_a_bag_declares_itself():
    files = [("bag/bagit.txt", b""), ("bag/data/recordings/x/original/bagit.txt", b"")]
    with open_zip(io.BytesIO(pack_files(files, Habit()))) as archive:
        assert name_members(archive).root == "bag"


def test_every_habit_is_a_zip_to_others_too(seizure_bundle):
    for habit in HABITS.values():
        with zipfile.ZipFile(io.BytesIO(pack_bundle(seizure_bundle.folder, habit))) as archive:
            assert archive.testzip() is None


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "._film.MP4"])
def test_what_a_computer_added_below_data_is_named_as_that(name, seizure_bundle, tmp_path):
    root = seizure_bundle.copy(tmp_path / "copy")
    (root / "data" / name).write_bytes(b"added")
    report = verify(root, seizure_bundle.keys)
    assert not report.passed
    assert any("电脑自动添加" in line and "删除" in line for line in report.format_lines())
