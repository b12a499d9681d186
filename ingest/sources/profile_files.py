"""Profile files: recorder families as YAML data, the shipped ones and an office's own.

An office lays its own beside ours, in `profiles/` of its home; docs/RECORDERS.md has the fields. A
file that is not as documented there is refused with its line, and then no station starts: footage
taken under a half-read profile would name nobody, in a record that is signed for good. Files are
small, and a pattern that could be tried without end on a hostile name is refused (`pattern_cost`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from ingest.sources.pattern_cost import MOST_TRIES, UnreadPatternError, count_tries
from policies.facts.terms import SourceKind
from storage.errors import LiuhenError

SHIPPED = Path(__file__).parent / "profiles"
OWN = "profiles"  # an office's own profiles lie in this folder of its home
_MOST_FILES = 64
_MOST_BYTES = 16 << 10  # of one file
_MOST_ENTRIES = 16  # of a list
_LONGEST_PATTERN = 500  # characters
# An office's own come after a room camera's segments (5), which the station itself names, and
# before `generic` (1000), which matches everything.
_FIRST, _LAST = 6, 999
_GROUPS = frozenset(
    {"serial", "channel", "officer", "date", "start", "end", "seq", "mark", "model"}
)
_FAMILY = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ENDING = re.compile(r"[a-z0-9]{1,8}")
_ID_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # in the volume's root, and no path
_START_FORMAT = re.compile(r"%[Yy]%m%d%H%M(%S)?(%f)?")
_LONGEST_ROLLOVER = 60.0  # seconds
_REQUIRED = frozenset(
    {"family", "order", "names", "start_format", "zone", "kind", "rollover_s"},
)
_OPTIONAL = frozenset({"folders", "sidecars", "marked_when", "serial_files"})


class ProfileError(LiuhenError):
    """A profile file is not as documented: no station starts. Facts: file, line, problem (code)."""

    code = "profile"


@dataclass(frozen=True, slots=True)
class Profile:
    """One recorder family, as data; `own` says that it is the office's."""

    family: str
    order: int
    names: tuple[re.Pattern[str], ...]
    folders: tuple[re.Pattern[str], ...]
    start_format: str
    zone: str
    kind: str
    rollover_s: float
    sidecars: tuple[str, ...]
    marked_when: re.Pattern[str] | None
    serial_files: tuple[str, ...]
    own: bool = False


def load_profiles(folder: Path | None = None) -> tuple[Profile, ...]:
    """Load the shipped profiles and those of an office's folder, in matching order.

    Where two have the same order the office's comes first. A folder that is not there holds none.
    Raises: ProfileError.
    """
    shipped = _load_shipped()
    owners = {profile.family: "-" for profile in shipped}
    own = []
    for path in _list_files(folder) if folder is not None else ():
        profile, line = _read_profile(path, own=True)
        # Sealed records name the family: one name that means two readings would mislead whoever
        # checks them. An office that reads a shipped family otherwise gives its own another name
        # and a lower order.
        if profile.family in owners:
            other = owners[profile.family]
            raise _refuse(path, line, "name-taken", family=profile.family, other=other)
        owners[profile.family] = path.name
        own.append(profile)
    return tuple(sorted([*shipped, *own], key=lambda p: (p.order, not p.own, p.family)))


@cache
def _load_shipped() -> tuple[Profile, ...]:
    return tuple(_read_profile(path, own=False)[0] for path in _list_files(SHIPPED))


def _list_files(folder: Path) -> list[Path]:
    """Return a folder's profile files; names that begin with a dot are an editor's."""
    try:
        paths = sorted(
            path
            for path in folder.iterdir()
            if path.suffix in {".yaml", ".yml"} and not path.name.startswith(".")
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refuse(folder, 0, "unreadable", reason=error.strerror) from error
    if len(paths) > _MOST_FILES:
        raise _refuse(folder, 0, "too-many", most=_MOST_FILES)
    return paths


def _refuse(path: Path, line: int, problem: str, **facts: Any) -> ProfileError:
    return ProfileError(file=str(path), line=line, problem=problem, **facts)


def _read_profile(path: Path, *, own: bool) -> tuple[Profile, int]:
    """Read one file; return the profile and the line of its family's name."""
    reader = _ProfileReader(path, _read_nodes(path))
    orders = (_FIRST, _LAST) if own else (0, 1000)
    profile = Profile(
        family=reader.read_text("family", _FAMILY),
        order=int(reader.read_number("order", *orders, whole=True)),
        names=reader.read_patterns("names"),
        folders=reader.read_patterns("folders"),
        start_format=reader.read_text("start_format", _START_FORMAT),
        zone=reader.read_zone("zone"),
        kind=reader.read_text("kind", re.compile("|".join(SourceKind))),
        rollover_s=reader.read_number("rollover_s", 0, _LONGEST_ROLLOVER),
        sidecars=reader.read_texts("sidecars", _ENDING),
        marked_when=next(iter(reader.read_patterns("marked_when", many=False)), None),
        serial_files=reader.read_texts("serial_files", _ID_FILE),
        own=own,
    )
    return profile, reader.find_line("family")


def _read_nodes(path: Path) -> yaml.Node | None:
    """Return a file's YAML as nodes, which know their lines; nothing is built from them yet.

    An alias stays one node that is shared, so that a small file cannot grow.
    """
    try:
        if not path.is_file():  # opening a pipe would wait for somebody who writes to it
            raise _refuse(path, 0, "unreadable", reason="not a regular file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _refuse(path, 0, "unreadable", reason=error.strerror) from error
    if len(content) > _MOST_BYTES:
        raise _refuse(path, 0, "too-large", most=_MOST_BYTES >> 10)
    try:
        return yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _refuse(path, line, "not-yaml") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _refuse(path, 0, "not-yaml") from error


class _ProfileReader:
    """Reads the fields of one file's mapping, so that every complaint names its line."""

    def __init__(self, path: Path, node: yaml.Node | None) -> None:
        self._path = path
        if not isinstance(node, yaml.MappingNode):
            raise _refuse(path, 1, "no-fields")
        self._fields: dict[str, yaml.Node] = {}
        self._lines: dict[str, int] = {}
        for key, content in node.value:
            name, line = str(key.value)[:40], key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or name not in _REQUIRED | _OPTIONAL:
                raise _refuse(path, line, "unknown-field", field=name)
            if name in self._fields:
                raise _refuse(path, line, "field-twice", field=name)
            self._fields[name], self._lines[name] = content, line
        if absent := sorted(_REQUIRED - self._fields.keys()):
            raise _refuse(path, node.start_mark.line + 1, "absent-field", field=absent[0])

    def find_line(self, field: str) -> int:
        """Return the line that a field begins in."""
        return self._lines[field]

    def read_text(self, field: str, form: re.Pattern[str]) -> str:
        """Return a field's text, which must have that form."""
        return self._check_text(field, self._fields[field], form)

    def read_texts(self, field: str, form: re.Pattern[str]) -> tuple[str, ...]:
        """Return a field's list of texts; nothing where there is no such field."""
        return tuple(self._check_text(field, node, form) for node in self._list_nodes(field))

    def read_zone(self, field: str) -> str:
        """Return the name of a time zone that this computer knows."""
        name = self._check_text(field, self._fields[field], re.compile(r"[A-Za-z0-9_+/-]{1,64}"))
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise self._refuse_field(field, self._fields[field]) from error
        return name

    def read_number(self, field: str, least: float, most: float, *, whole: bool = False) -> float:
        """Return a field's number, within both bounds."""
        node = self._fields[field]
        kinds = {"tag:yaml.org,2002:int"} | (set() if whole else {"tag:yaml.org,2002:float"})
        try:
            number = float(node.value) if node.tag in kinds else float("nan")
        except (TypeError, ValueError):  # 1:30 and 0x10 are numbers to YAML
            number = float("nan")
        if not least <= number <= most:  # nor is what is no number
            raise self._refuse_field(field, node)
        return number

    def read_patterns(self, field: str, *, many: bool = True) -> tuple[re.Pattern[str], ...]:
        """Return a field's patterns, or its only one; nothing where there is no such field."""
        nodes = self._list_nodes(field) if many else filter(None, [self._fields.get(field)])
        anything = re.compile(rf"(?s).{{1,{_LONGEST_PATTERN}}}")
        patterns = tuple(
            self._compile_pattern(node, self._check_text(field, node, anything)) for node in nodes
        )
        if field in _REQUIRED and not patterns:
            raise self._refuse_field(field, self._fields[field])
        return patterns

    def _compile_pattern(self, node: yaml.Node, text: str) -> re.Pattern[str]:
        line = node.start_mark.line + 1
        try:
            pattern = re.compile(text)
            tries = count_tries(text)
        except UnreadPatternError as error:
            raise _refuse(self._path, line, "pattern-part", part=str(error)) from error
        except (re.error, RecursionError, OverflowError) as error:
            raise _refuse(self._path, line, "pattern", reason=str(error)) from error
        if tries > MOST_TRIES:
            raise _refuse(self._path, line, "pattern-cost")
        if strange := sorted(pattern.groupindex.keys() - _GROUPS):
            raise _refuse(self._path, line, "pattern-group", group=strange[0][:40])
        return pattern

    def _list_nodes(self, field: str) -> Iterator[yaml.Node]:
        node = self._fields.get(field)
        if node is None:
            return
        if not isinstance(node, yaml.SequenceNode) or len(node.value) > _MOST_ENTRIES:
            raise self._refuse_field(field, node)
        yield from node.value

    def _check_text(self, field: str, node: yaml.Node, form: re.Pattern[str]) -> str:
        is_text = isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str"
        if not is_text or not form.fullmatch(node.value):
            raise self._refuse_field(field, node)
        return str(node.value)

    def _refuse_field(self, field: str, node: yaml.Node) -> ProfileError:
        """Return the refusal of a field; what it should be has a sentence of its own."""
        return _refuse(self._path, node.start_mark.line + 1, f"field-{field}")
