"""Source profiles: what a file's name, folder and neighbours say, by recorder family.

Profiles are YAML data in `profiles/`; the first one whose pattern matches wins, `generic` last.
A pattern is a regular expression over the shown name with named groups: `serial`, or `channel`
where the number means something only together with its NVR; `officer`, `start` (and `end`), `seq`,
`mark`. What a profile cannot tell stays None and becomes a question;
nothing is guessed. An unset clock (1904, 1970, 1980, 2000 or 2010, or tomorrow) gives no start.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from ingest.sources.names import display_text
from storage.errors import LiuhenError

SHIPPED = Path(__file__).parent / "profiles"
ROOM_CAMERA = "room-camera"  # hangs on a wall: nobody wears it
_UNSET_YEARS = frozenset({1904, 1970, 1980, 2000, 2010})
_FIELDS = {
    "family",
    "order",
    "names",
    "start_format",
    "zone",
    "kind",
    "rollover_s",
    "sidecars",
    "marked_when",
    "folders",
    "serial_files",
}


class ProfileError(LiuhenError):
    """A profile file is not as documented: refuse to start, with file and reason."""

    code = "profile"


@dataclass(frozen=True, slots=True)
class Profile:
    """One recorder family, as data."""

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


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What name, folders and neighbours tell of one file."""

    profile: str
    kind: str
    serial: str | None = None
    channel: str | None = None
    officer_no: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    zone: str | None = None
    sequence: int | None = None
    marked: bool | None = None
    rollover_s: float = 2.0
    sidecars: tuple[str, ...] = ()
    ignorable: str | None = None
    questions: tuple[str, ...] = ()


# What recorders and computers write for themselves. A name alone proves nothing: what is called so
# is left where it is only when its bytes agree (`ingest/bays/census.py`), and is named and counted.
SYSTEM_FILE, PREVIEW = "system-file", "preview"
_SYSTEM_FILES = re.compile(
    r"(?i)(.*\.(db|ini|lnk)|\._.*|\.ds_store|liuhen-source\.json|deviceid\.txt|wpsettings\.dat"
    r"|indexervolumeguid)"
)
_SYSTEM_FOLDERS = {"system volume information", ".spotlight-v100", ".fseventsd"}
_PREVIEW = re.compile(r"(?i).*\.(thm|lrv)")


class Siblings:
    """Names in one folder, by what stands before their last dot; shown, not raw."""

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        self._by_stem: dict[str, list[str]] = {}
        for name in map(display_text, names):
            self._by_stem.setdefault(name.rpartition(".")[0], []).append(name)

    def list_siblings(self, name: str) -> list[str]:
        """Return the names that differ from this one by their ending alone."""
        stem = name.rpartition(".")[0]
        return [sibling for sibling in self._by_stem.get(stem, ()) if sibling != name]


ALONE = Siblings()


def read_source_facts(
    parts: Sequence[bytes],
    siblings: Siblings,
    now: datetime,
    folder: Path = SHIPPED,
) -> SourceFacts:
    """Return what a file's path (raw parts, last is the name) says of it. Never raises."""
    names = [display_text(part) for part in parts]
    name = names[-1]
    for profile in load_profiles(folder):
        for pattern in profile.names:
            if match := pattern.fullmatch(name):
                facts = _extract_facts(profile, match, names, siblings, now)
                return replace(facts, ignorable=_find_ignorable(names, siblings))
    raise AssertionError  # the generic profile matches every name


def _find_ignorable(names: Sequence[str], siblings: Siblings) -> str | None:
    """Why a file may be left out, by its name and place: what a computer or a recorder made.

    A preview counts as one only beside the file that it is made from.
    """
    name = names[-1]
    if _PREVIEW.fullmatch(name):
        films = [
            sibling for sibling in siblings.list_siblings(name) if not _PREVIEW.fullmatch(sibling)
        ]
        return PREVIEW if films else None
    if _SYSTEM_FILES.fullmatch(name):
        return SYSTEM_FILE
    inside = any(part.lower() in _SYSTEM_FOLDERS for part in names[:-1])
    return SYSTEM_FILE if inside else None


def _extract_facts(
    profile: Profile,
    match: re.Match[str],
    names: Sequence[str],
    siblings: Siblings,
    now: datetime,
) -> SourceFacts:
    groups = {key: text for key, text in match.groupdict().items() if text}
    for pattern in profile.folders:
        if inside := pattern.search("/".join(names[:-1])):
            groups = {k: v for k, v in inside.groupdict().items() if v} | groups
    date = groups.get("date", "")
    start = _parse_time(date + groups.get("start", ""), profile, now)
    end = _parse_time(date + groups["end"], profile, now) if "end" in groups else None
    serial = groups.get("serial")
    officer = groups.get("officer")
    officer = officer if officer and officer.strip("0") else None
    marked = None
    if profile.marked_when is not None:
        marked = bool(profile.marked_when.search(match.string))
    questions = [
        question
        for question, fact in (("start", start), ("serial", serial), ("officer", officer))
        if fact is None and not (question == "officer" and profile.kind == ROOM_CAMERA)
    ]
    near = tuple(
        sibling
        for sibling in siblings.list_siblings(match.string)
        if sibling.rpartition(".")[2].lower() in profile.sidecars
    )
    return SourceFacts(
        profile=profile.family,
        kind=profile.kind,
        serial=serial,
        channel=groups.get("channel"),
        officer_no=officer,
        start=start,
        end=end,
        zone=profile.zone if start else None,
        sequence=int(groups["seq"]) if "seq" in groups else None,
        marked=marked,
        rollover_s=profile.rollover_s,
        sidecars=near,
        questions=tuple(questions),
    )


def _parse_time(digits: str, profile: Profile, now: datetime) -> datetime | None:
    digits = re.sub(r"[^0-9]", "", digits)
    try:
        moment = datetime.strptime(digits, profile.start_format).replace(
            tzinfo=ZoneInfo(profile.zone)
        )
    except ValueError:
        return None
    if moment.year in _UNSET_YEARS or moment > now + timedelta(days=1):
        return None
    return moment


@cache
def load_profiles(folder: Path = SHIPPED) -> tuple[Profile, ...]:
    """Load every profile, in matching order. Raises: ProfileError."""
    families = [_load_profile(path) for path in sorted(folder.glob("*.yaml"))]
    if not families:
        raise ProfileError(problem="no profiles", file=str(folder))
    return tuple(sorted(families, key=lambda profile: (profile.order, profile.family)))


def _load_profile(path: Path) -> Profile:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProfileError(file=path.name, problem=str(error)) from error
    if not isinstance(document, dict) or set(document) - _FIELDS:
        raise ProfileError(file=path.name, problem="unknown or missing fields")
    try:
        profile = Profile(
            family=document["family"],
            order=int(document["order"]),
            names=tuple(re.compile(text) for text in document["names"]),
            folders=tuple(re.compile(text) for text in document.get("folders", ())),
            start_format=document["start_format"],
            zone=document["zone"],
            kind=document["kind"],
            rollover_s=float(document["rollover_s"]),
            sidecars=tuple(document.get("sidecars", ())),
            marked_when=_compile_marked_when(document),
            serial_files=tuple(document.get("serial_files", ())),
        )
        ZoneInfo(profile.zone)
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise ProfileError(file=path.name, problem=repr(error)) from error
    return profile


def _compile_marked_when(document: Mapping[str, Any]) -> re.Pattern[str] | None:
    return re.compile(document["marked_when"]) if "marked_when" in document else None
