"""Source profiles: what a file's name, folder and neighbours say, by recorder family.

Profiles are YAML data (`profile_files.py`); the first one whose pattern matches wins, `generic`
last.
A pattern is a regular expression over the shown name with named groups: `serial`, or `channel`
where the number means something only together with its NVR; `officer`, `start` (and `end`), `seq`,
`mark`. What a profile cannot tell stays None and becomes a question;
nothing is guessed. An unset clock (1904, 1970, 1980, 2000 or 2010, or tomorrow) gives no start.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ingest.sources.names import display_text
from ingest.sources.profile_files import Profile, load_profiles
from policies.facts.terms import SourceKind

ROOM_CAMERA = SourceKind.ROOM_CAMERA.value  # hangs on a wall: nobody wears it
_UNSET_YEARS = frozenset({1904, 1970, 1980, 2000, 2010})
# What may stand in a record as a serial, a channel or an officer's number, whatever a pattern says.
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_SEQUENCE = re.compile(r"[0-9]{1,9}")


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
    profiles: Sequence[Profile] = (),
) -> SourceFacts:
    """Return what a file's path (raw parts, last is the name) says of it. Never raises.

    The shipped profiles are asked where none are given.
    """
    names = [display_text(part) for part in parts]
    name = names[-1]
    for profile in profiles or load_profiles():
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
    serial = _read_number(groups, "serial")
    officer = _read_number(groups, "officer")
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
        channel=_read_number(groups, "channel"),
        officer_no=officer,
        start=start,
        end=end,
        zone=profile.zone if start else None,
        sequence=int(groups["seq"]) if _SEQUENCE.fullmatch(groups.get("seq", "")) else None,
        marked=marked,
        rollover_s=profile.rollover_s,
        sidecars=near,
        questions=tuple(questions),
    )


def _read_number(groups: Mapping[str, str], group: str) -> str | None:
    """Return what a group matched, if it can be a number; a pattern of an office may be loose."""
    text = groups.get(group, "")
    return text if _NUMBER.fullmatch(text) else None


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
