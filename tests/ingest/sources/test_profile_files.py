"""An office's own recorder profiles: read beside the shipped ones, or refused with their line."""

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from api.problems import PROFILE_PROBLEMS, describe_error
from ingest.sources import profile_files
from ingest.sources.pattern_cost import MOST_TRIES, UnreadPatternError, count_tries
from ingest.sources.profile import ALONE, read_source_facts
from ingest.sources.profile_files import SHIPPED, ProfileError, load_profiles
from ingest.sources.volume import identify_volume

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HAN = re.compile(r"[一-鿿]")
GOOD = r"""family: town-ex9
order: 18
names:
  - 'EX9-(?P<serial>[0-9]{7})-(?P<start>[0-9]{14})\.mp4'
start_format: '%Y%m%d%H%M%S'
zone: Asia/Shanghai
kind: recorder
rollover_s: 2.0
"""
NAME = b"EX9-0000077-20261120090000.mp4"


def write(folder: Path, text: str | bytes = GOOD, name: str = "ex9.yaml") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refusal(folder: Path) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        load_profiles(folder)
    words = describe_error(caught.value)
    for zh, en in ((words.zh, words.en), (words.next_zh, words.next_en)):
        assert HAN.search(zh)
        assert "…" not in zh.replace("(…)", "").replace("(?P<名称>…)", "").replace("(?:…)", "")
        assert not HAN.search(en)
        assert "\n" not in zh + en
    assert str(caught.value.facts["line"]) in words.zh
    return caught.value


def test_an_offices_own_family_is_read_beside_the_shipped_ones(tmp_path):
    profiles = load_profiles(write(tmp_path))
    assert {p.family for p in load_profiles()} < {p.family for p in profiles}
    facts = read_source_facts([NAME], ALONE, NOW, profiles)
    assert (facts.profile, facts.serial) == ("town-ex9", "0000077")
    assert facts.start == datetime(2026, 11, 20, 1, tzinfo=UTC)
    assert read_source_facts([NAME], ALONE, NOW).profile == "generic"


def test_a_home_without_the_folder_has_the_shipped_families(tmp_path):
    assert load_profiles(tmp_path / "profiles") == load_profiles()
    write(tmp_path, "", "._ex9.yaml")
    write(tmp_path, "", "notes.txt")
    assert load_profiles(tmp_path) == load_profiles()


def test_a_family_added_while_nobody_restarts_is_read_at_the_next_start(tmp_path):
    assert load_profiles(tmp_path) == load_profiles()
    assert len(load_profiles(write(tmp_path))) == len(load_profiles()) + 1


@pytest.mark.parametrize("family", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_a_shipped_family_is_not_given_another_reading(tmp_path, family):
    write(tmp_path, GOOD.replace("town-ex9", family))
    error = refusal(tmp_path)
    assert (error.facts["problem"], error.facts["line"]) == ("name-taken", 1)


def test_one_family_in_two_files_is_refused(tmp_path):
    write(tmp_path, name="a.yaml")
    write(tmp_path, name="b.yml")
    error = refusal(tmp_path)
    assert error.facts["problem"] == "name-taken"
    assert error.facts["other"] == "a.yaml"


def test_at_the_same_order_the_offices_own_family_is_asked_first(tmp_path):
    vague = r"'(?P<serial>[0-9]+)_[^/]*\.mp4'"
    text = re.sub(r"'EX9.*'", lambda _match: vague, GOOD).replace("18", "10")
    families = [p.family for p in load_profiles(write(tmp_path, text))]
    assert families.index("town-ex9") + 1 == families.index("gat947")


PROBLEMS = [
    ("family: town-ex9", "family: Town EX9", "field-family", 1),
    ("family: town-ex9", "family: 77", "field-family", 1),
    ("order: 18", "order: 5", "field-order", 2),  # before the station's own room cameras
    ("order: 18", "order: 1000", "field-order", 2),
    ("order: 18", "order: 18.5", "field-order", 2),
    ("order: 18", "order: soon", "field-order", 2),
    ("order: 18", "order: 0:18", "field-order", 2),
    ("order: 18", "order: [18]", "field-order", 2),
    ("order: 18", "order: 18\norder: 18", "field-twice", 3),
    ("order: 18", "ordre: 18", "unknown-field", 2),
    ("order: 18", "? [a, b]\n: 18", "unknown-field", 2),
    ("order: 18\n", "", "absent-field", 1),
    ("names:\n", "names: many\nfolders:\n", "field-names", 3),
    ("names:\n", "names: []\nfolders:\n", "field-names", 3),
    (r"\.mp4'", r"\.mp4'" + "\n  - a" * 16, "field-names", 4),
    (r"\.mp4'", "x" * 500 + "'", "field-names", 4),
    ("EX9-(", "EX9-((", "pattern", 4),
    ("<serial>", "<oficer>", "pattern-group", 4),
    ("EX9-", "(?=EX9)", "pattern-part", 4),
    ("EX9-", "(?:[A-Z]+)+", "pattern-cost", 4),
    ("EX9-", ".*.*.*.*", "pattern-cost", 4),
    ("EX9-", "[A-Z]{1000}", "pattern-part", 4),
    ("'%Y%m%d%H%M%S'", "'%c'", "field-start_format", 5),
    ("Asia/Shanghai", "Asia/Nowhere", "field-zone", 6),
    ("Asia/Shanghai", "../../etc/passwd", "field-zone", 6),
    ("kind: recorder", "kind: drone", "field-kind", 7),
    ("rollover_s: 2.0", "rollover_s: .inf", "field-rollover_s", 8),
    ("rollover_s: 2.0", "rollover_s: .nan", "field-rollover_s", 8),
    ("rollover_s: 2.0", "rollover_s: 2.0\nsidecars: [LOG]", "field-sidecars", 9),
    ("rollover_s: 2.0", "rollover_s: 2.0\nsidecars: [no]", "field-sidecars", 9),
    ("rollover_s: 2.0", "rollover_s: 2.0\nserial_files: [../id]", "field-serial_files", 9),
    ("rollover_s: 2.0", "rollover_s: 2.0\nserial_files: [/etc/passwd]", "field-serial_files", 9),
    ("rollover_s: 2.0", "rollover_s: 2.0\nmarked_when: [a]", "field-marked_when", 9),
    ("rollover_s: 2.0", "rollover_s: 2.0\nfolders: date", "field-folders", 9),
    ("rollover_s: 2.0", "rollover_s: 2.0\n\t: x", "not-yaml", 9),
    ("rollover_s: 2.0", "rollover_s: *nothing", "not-yaml", 8),
]


@pytest.mark.parametrize(("old", "new", "problem", "line"), PROBLEMS)
def test_a_bad_file_is_told_of_with_its_line(tmp_path, old, new, problem, line):
    assert old in GOOD
    write(tmp_path, GOOD.replace(old, new))
    error = refusal(tmp_path)
    assert (error.facts["problem"], error.facts["line"]) == (problem, line)
    assert error.facts["file"] == str(tmp_path / "ex9.yaml")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no-fields"),
        (b"- a\n", "no-fields"),
        (b"\xff\xfe", "not-yaml"),
        (b"a: \0", "not-yaml"),
        (b"[" * 16_000, "not-yaml"),
        (b"#" * (16 << 10) + b"\n", "too-large"),
        (b"&a [" + b"*a," * 5000 + b"]", "no-fields"),
        (b"family: &a [*a]\n" + GOOD.encode().partition(b"\n")[2], "field-family"),
        (b"!!python/object/apply:os.system [id]", "no-fields"),
        (GOOD.replace("town-ex9", "!!python/name:os.system x").encode(), "field-family"),
    ],
)
def test_hostile_yaml_is_refused_soon_and_runs_nothing(tmp_path, content, problem):
    began = time.process_time()
    assert refusal(write(tmp_path, content)).facts["problem"] == problem
    assert time.process_time() - began < 5


def test_a_few_anchors_that_would_grow_without_end_stay_small(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, after in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]")
    assert refusal(write(tmp_path, "\n".join(lines))).facts["problem"] == "unknown-field"


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refusal(tmp_path).facts["problem"] == "unreadable"


def test_a_folder_of_countless_files_is_refused(tmp_path):
    for number in range(65):
        write(tmp_path, "", f"{number}.yaml")
    assert refusal(tmp_path).facts["problem"] == "too-many"


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+x", "(a|a)*x", "(?:a{1,50}){1,50}x", "((){255}){255}", "(?i)(.*|b)+", ".*.*.*.*x"],
)
def test_a_pattern_that_a_name_could_keep_busy_is_counted_as_too_much(pattern):
    assert count_tries(pattern) > MOST_TRIES


@pytest.mark.parametrize("pattern", ["(.{0,9}){7}x", "(a|aa|aaa){14}x", ".*.*.*[a]?[a]?x"])
def test_a_pattern_just_below_the_bound_ends_soon_on_the_worst_name(pattern):
    assert MOST_TRIES / 2 < count_tries(pattern) <= MOST_TRIES
    began = time.process_time()
    assert not re.fullmatch(pattern, "a" * 254 + "y")
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("pattern", "tries"),
    [
        ("abc", 1),
        ("a?", 2),
        ("a{2,4}?b", 3),
        ("[]a]+", 255),
        (r"[^\]x]{3}", 1),
        ("(a|b|c)", 3),
        ("(?P<seq>a|b){2}", 8),
        (r"\(\)\[", 1),
        ("(?i)a{,3}", 4),
        ("a{x}", 1),
    ],
)
def test_the_ways_of_a_pattern_are_counted(pattern, tries):
    re.compile(pattern)
    assert count_tries(pattern) == tries


@pytest.mark.parametrize("part", ["(?=a)", "(?<!a)b", "(?P<a>b)(?P=a)", "(?#a)", "a{256}"])
def test_a_part_that_is_not_counted_is_not_read(part):
    re.compile(part)
    with pytest.raises(UnreadPatternError):
        count_tries(part)


def test_a_loose_pattern_puts_nothing_strange_into_a_record(tmp_path):
    loose = r"'(?P<serial>[^@]*)@(?P<officer>[^@]*)@(?P<seq>[^@]*)\.mp4'"
    profiles = load_profiles(write(tmp_path, re.sub("'EX9.*'", lambda _match: loose, GOOD)))
    for serial in ("../x", "a" * 41, "记录仪", ""):
        name = f"{serial}@{serial}@{serial}.mp4".encode()
        facts = read_source_facts([name], ALONE, NOW, profiles)
        assert facts.profile == "town-ex9"
        assert (facts.serial, facts.officer_no, facts.sequence) == (None, None, None)
        assert {"serial", "officer"} <= set(facts.questions)


def test_an_id_file_of_an_offices_own_family_names_the_volume(tmp_path):
    card, folder = tmp_path / "bay-1", tmp_path / "profiles"
    card.mkdir()
    folder.mkdir()
    (card / "EX9.ID").write_text("0000077\n")
    profiles = load_profiles(write(folder, GOOD + "serial_files: [EX9.ID]\n"))
    assert identify_volume(card, [], profiles).serial == "0000077"
    assert identify_volume(card, []).serial is None


def test_every_problem_has_its_sentence_and_every_sentence_its_problem():
    source = Path(profile_files.__file__).read_text(encoding="utf-8")
    fields = {f"field-{name}" for name in profile_files._REQUIRED | profile_files._OPTIONAL}
    codes = set(re.findall(r'_refuse\([^,]*, [^"]*"([a-z-]+)"', source))
    assert codes | fields == set(PROFILE_PROBLEMS)


def test_the_page_of_profiles_names_every_field_and_group():
    page = (Path(__file__).parents[3] / "docs" / "RECORDERS.md").read_text(encoding="utf-8")
    for name in profile_files._REQUIRED | profile_files._OPTIONAL:
        assert f"| `{name}` |" in page
    for group in profile_files._GROUPS:
        assert f"`{group}`" in page
    assert yaml.safe_load(page.split("```yaml\n")[1].partition("```")[0])["family"] == "example-ex9"
