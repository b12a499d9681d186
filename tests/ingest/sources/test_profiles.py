"""What names and folders say, for every recorder family; and what hostile names cannot do."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.names import display_text
from ingest.sources.profile import (
    ALONE,
    PREVIEW,
    SYSTEM_FILE,
    Siblings,
    read_source_facts,
)
from ingest.sources.profile_files import ProfileError, load_profiles
from ingest.sources.volume import add_landing_serial, identify_volume

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
    facts = read_source_facts(path.split(b"/"), ALONE, NOW)
    assert (facts.profile, facts.serial, facts.officer_no, facts.sequence) == (
        family,
        serial,
        officer,
        seq,
    )
    assert facts.start == START
    assert ("serial" in facts.questions) == (serial is None)
    worn = facts.kind != "room-camera"  # nobody wears a camera on the wall
    assert ("officer" in facts.questions) == (officer is None and worn)


END = datetime(2026, 1, 21, 10, 13, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.mark.parametrize(
    ("path", "family", "channel", "end"),
    [
        (b"ch01_20260121094300-20260121101300.mp4", "nvr", "ch01", END),
        (b"NVR_ch1_main_20260121094300_20260121101300.dav", "nvr-dahua", "NVR_ch1", END),
        (b"N884A6_ch12_sub_20260121094300_20260121101300.mp4", "nvr-dahua", "N884A6_ch12", END),
        (b"2026-01-21/001/dav/09/09.43.00-10.13.00[M][0@0][0].dav", "nvr-dahua", "001", END),
        (
            b"ch01_00000000003000000_20260121094300_20260121101300_224561.mp4",
            "nvr-hikvision",
            "ch01",
            END,
        ),
        (b"ch01_timing_20260121094300-20260121101300.mp4", "nvr-hikvision", "ch01", END),
        (b"192.168.1.64_01_20260121094300383_TIMING.mp4", "nvr-hikvision", "192.168.1.64_01", None),
        (b"ch01_00000000003000000.mp4", "nvr-hikvision", "ch01", None),
    ],
)
def test_an_nvrs_channel_is_a_number_of_that_nvr_alone(path, family, channel, end):
    facts = read_source_facts(path.split(b"/"), ALONE, NOW)
    assert (facts.profile, facts.kind, facts.serial) == (family, "room-camera", None)
    assert (facts.channel, facts.end) == (channel, end)
    backup = path == b"ch01_00000000003000000.mp4"  # its name tells no time: it is asked for
    assert facts.start == (None if backup else START)
    assert facts.questions == (("start", "serial") if backup else ("serial",))


def test_a_landing_folder_tells_whose_a_file_is_where_its_name_does_not():
    def told(path):
        parts = tuple(path.split(b"/"))
        return add_landing_serial(read_source_facts(parts, ALONE, NOW), parts, "station-1-sftp")

    cases = {
        b"T-07/VID_20260121_094300.mp4": "T-07",
        b"T-07/0000012_000123_20260121094300_0002.MP4": "0000012",
        b"hall-nvr/ch01_20260121094300-20260121101300.mp4": "hall-nvr-ch01",
        b"ch01_20260121094300-20260121101300.mp4": "station-1-sftp-ch01",
        b"2026-01-21/001/dav/09/09.43.00-10.13.00[M][0@0][0].dav": "station-1-sftp-001",
        b"20260121/VID_094300_001.MP4": None,
        b"DCIM/VID_20260121_094300.mp4": None,
        b"VID_20260121_094300.mp4": None,
        "终端七/VID_20260121_094300.mp4".encode(): None,
        b"-rf/VID_20260121_094300.mp4": None,
    }
    assert {path: told(path).serial for path in cases} == cases
    for path, serial in cases.items():
        assert ("serial" in told(path).questions) == (serial is None)


def test_an_important_mark_is_read():
    assert (
        read_source_facts([b"0000012_000123_20260121094300_0002_IMP.MP4"], ALONE, NOW).marked
        is True
    )
    assert (
        read_source_facts([b"0000012_000123_20260121094300_0002.MP4"], ALONE, NOW).marked is False
    )


@pytest.mark.parametrize(
    "stamp", ["19700101000000", "20000101001000", "20990101000000", "20261399000000"]
)
def test_an_unset_or_impossible_clock_is_asked_about_never_guessed(stamp):
    facts = read_source_facts([f"0000012_000123_{stamp}_0002.MP4".encode()], ALONE, NOW)
    assert facts.start is None
    assert "start" in facts.questions


def test_an_officer_number_of_zeros_is_no_officer():
    assert (
        read_source_facts([b"0000012_000000_20260121094300_0002.MP4"], ALONE, NOW).officer_no
        is None
    )


def test_sidecars_are_found_beside_their_recording():
    name = b"0000012_000123_20260121094300_0002.MP4"
    facts = read_source_facts(
        [name], Siblings([name, name[:-3] + b"log", name[:-3] + b"txt", b"other.log"]), NOW
    )
    assert facts.sidecars == ("0000012_000123_20260121094300_0002.log",)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (b"System Volume Information/tracking.log", SYSTEM_FILE),
        (b"._a.mp4", SYSTEM_FILE),
        (b"DEVICEID.TXT", SYSTEM_FILE),
        (b"a/x.THM", PREVIEW),
        (b"MISC/0002.MP4", None),
        (b"0002.MP4.tmp", None),
        (b"0002.tmp", None),
        (b"$RECYCLE.BIN/S-1-5/$R123.MP4", None),
    ],
)
def test_what_the_device_writes_for_itself_may_be_left_and_nothing_else(path, reason):
    siblings = Siblings([b"x.MP4", b"x.THM"])
    assert read_source_facts(path.split(b"/"), siblings, NOW).ignorable == reason


def test_a_preview_whose_film_is_gone_is_taken():
    assert read_source_facts([b"x.THM"], Siblings([b"x.THM", b"x.LRV"]), NOW).ignorable is None


@given(st.binary(min_size=1, max_size=255).filter(lambda b: b"/" not in b and b"\0" not in b))
def test_no_name_is_too_hostile_to_show_or_read(raw):
    shown = display_text(raw)
    assert shown.isprintable()
    assert read_source_facts([raw], ALONE, NOW).profile


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
    assert display_text(raw) == shown


def test_at_least_eight_families_and_generic_last():
    found = load_profiles()
    assert len(found) >= 9
    assert found[-1].family == "generic"


def test_a_broken_profile_is_refused(tmp_path):
    (tmp_path / "x.yaml").write_text("family: x\norder: 1\nnames: ['(']\n")
    with pytest.raises(ProfileError):
        load_profiles(tmp_path)


def test_a_volume_is_known_by_its_id_file_then_by_its_names_then_by_its_bay(tmp_path):
    bay = tmp_path / "bay-1"
    bay.mkdir()
    assert identify_volume(bay, []).identity == "unknown:bay-1"
    assert identify_volume(bay, ["0000012", None, "0000012"]).serial == "0000012"
    mixed = ["0000012", "0000013"]
    assert identify_volume(bay, mixed).serial is None
    (bay / "liuhen-source.json").write_text('{"serial": "BWC4712"}')
    assert identify_volume(bay, mixed).serial == "BWC4712"


def test_a_hostile_id_file_is_no_identity(tmp_path):
    for text in ("../../etc", "x" * 5000, '{"serial": ["a"]}', "[" * 5000):
        (tmp_path / "liuhen-source.json").write_text(text)
        assert identify_volume(tmp_path, []).serial is None
