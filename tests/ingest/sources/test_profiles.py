"""What names and folders say, for every recorder family; and what hostile names cannot do."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.names import display
from ingest.sources.profile import ProfileError, profiles, read
from ingest.sources.volume import identify

NOW = datetime(2026, 11, 23, tzinfo=UTC)
START = datetime(2026, 1, 21, 1, 43, tzinfo=UTC)

FAMILIES = [
    (b"DSJ-A9_0001234@000123_20260121094300_0001.MP4", "gat947", "0001234", "000123", 1),
    (b"0000012_000123_20260121094300_0002_IMP.MP4", "oem", "0000012", "000123", 2),
    (b"DCIM/20260121/VID_094300_001.MP4", "datefolder", None, None, 1),
    (b"20260121094300_HK12345_000123_7.mp4", "hikvision", "HK12345", "000123", 7),
    (b"DH12345@000123_20260121094300_1.mp4", "dahua", "DH12345", "000123", 1),
    (b"AXON Body 3 Video 2026-01-21 0943.mp4", "axon", None, None, None),
    (b"VB400_A123_20260121T014300Z_part0.mp4", "motorola", "A123", None, 0),
    (b"VIDEO/2026_0121_094300_001.MP4", "transcend", None, None, 1),
    (b"VID_20260121_094300.mp4", "handheld", None, None, None),
    (b"cam1_20260121094300-20260121101300.mp4", "nvr", "cam1", None, None),
]


@pytest.mark.parametrize(("path", "family", "serial", "officer", "seq"), FAMILIES)
def test_each_family_gives_what_its_names_hold(path, family, serial, officer, seq):
    facts = read(path.split(b"/"), (), NOW)
    assert (facts.profile, facts.serial, facts.officer_no, facts.sequence) == (
        family,
        serial,
        officer,
        seq,
    )
    assert facts.start == START
    assert ("serial" in facts.questions) == (serial is None)
    assert ("officer" in facts.questions) == (officer is None)


def test_an_important_mark_is_read():
    assert read([b"0000012_000123_20260121094300_0002_IMP.MP4"], (), NOW).marked is True
    assert read([b"0000012_000123_20260121094300_0002.MP4"], (), NOW).marked is False


@pytest.mark.parametrize(
    "stamp", ["19700101000000", "20000101001000", "20990101000000", "20261399000000"]
)
def test_an_unset_or_impossible_clock_is_asked_about_never_guessed(stamp):
    facts = read([f"0000012_000123_{stamp}_0002.MP4".encode()], (), NOW)
    assert facts.start is None
    assert "start" in facts.questions


def test_an_officer_number_of_zeros_is_no_officer():
    assert read([b"0000012_000000_20260121094300_0002.MP4"], (), NOW).officer_no is None


def test_sidecars_are_found_beside_their_recording():
    name = b"0000012_000123_20260121094300_0002.MP4"
    facts = read([name], [name, name[:-3] + b"log", name[:-3] + b"txt", b"other.log"], NOW)
    assert facts.sidecars == ("0000012_000123_20260121094300_0002.log",)


@pytest.mark.parametrize(
    "path", [b"System Volume Information/x.mp4", b"a/x.THM", b"._a.mp4", b"DEVICEID.TXT"]
)
def test_what_the_device_writes_for_itself_is_ignored(path):
    assert read(path.split(b"/"), (), NOW).ignore


@given(st.binary(min_size=1, max_size=255).filter(lambda b: b"/" not in b and b"\0" not in b))
def test_no_name_is_too_hostile_to_show_or_read(raw):
    shown = display(raw)
    assert shown.isprintable()
    assert read([raw], (), NOW).profile


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"a\nb.mp4", "a\\u000ab.mp4"),
        ("\u202egpm.4pm".encode(), "\\u202egpm.4pm"),
        (b"\xff\xfe.mp4", "\\xff\\xfe.mp4"),
        ("警察执法.mp4".encode(), "警察执法.mp4"),
    ],
)
def test_control_and_direction_marks_are_made_visible(raw, shown):
    assert display(raw) == shown


def test_at_least_eight_families_and_generic_last():
    found = profiles()
    assert len(found) >= 9
    assert found[-1].family == "generic"


def test_a_broken_profile_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("family: x\norder: 1\nnames: ['(']\n")
    with pytest.raises(ProfileError):
        profiles(tmp_path)


def test_a_volume_is_known_by_its_id_file_then_by_its_names_then_by_its_bay(tmp_path):
    bay = tmp_path / "bay-1"
    bay.mkdir()
    assert identify(bay, [], NOW).identity == "unknown:bay-1"
    names = [(b"0000012_000123_20260121094300_0002.MP4",)]
    assert identify(bay, names, NOW).serial == "0000012"
    mixed = [*names, (b"0000013_000123_20260121094300_0002.MP4",)]
    assert identify(bay, mixed, NOW).serial is None
    (bay / "liuhen-source.json").write_text('{"serial": "BWC4712"}')
    assert identify(bay, mixed, NOW).serial == "BWC4712"


def test_a_hostile_id_file_is_no_identity(tmp_path):
    for text in ("../../etc", "x" * 5000, '{"serial": ["a"]}', "[" * 5000):
        (tmp_path / "liuhen-source.json").write_text(text)
        assert identify(tmp_path, [], NOW).serial is None
