"""The office record: county and township from its founding, stored beside its keys.

`keys/office.json` is made with the keys and goes wherever they go; the log's origin is the name in
`keys/log.verify`. An office without that file was founded before anybody was asked, with the county
and the township that were the default then. Settings read all of it, after everything else.
"""

import json
from pathlib import Path
from typing import Any

from storage.durable import replace_file
from storage.errors import KeyRingError, LiuhenError
from storage.signed import canonical

RECORD = "office.json"
FOUNDING_SETTINGS = ("county", "township", "log_origin")
_BEFORE_ASKING = {"county": "兴隆县", "township": "兴隆镇"}
_VERSION = 1


class OfficeRecordLostError(LiuhenError):
    """The office's record is gone, and what was the default before it is not what the log knows."""

    code = "office-record-lost"


def office_record(county: str, township: str) -> dict[str, Any]:
    """Return the content of the office record."""
    return {"v": _VERSION, "county": county, "township": township}


def keep_record(keys: Path, county: str, township: str) -> None:
    """Put the record into a key folder, in the place of any that is there. Raises: OSError."""
    replace_file(keys / RECORD, canonical.encode(office_record(county, township)))


def read_record(keys: Path) -> dict[str, str]:
    """Return county, township and log origin of the office with these keys; {} where none is.

    Raises: KeyRingError when the record is there and cannot be read.
    """
    if not (keys / "log.sign").is_file():  # no keys, or a station's
        return {}
    record = _BEFORE_ASKING | _read_origin(keys / "log.verify")
    try:
        document = json.loads((keys / RECORD).read_bytes())
        record |= {name: str(document[name]) for name in _BEFORE_ASKING}
        # Exact comparison: unknown fields or another version are refused, not ignored.
        if document != office_record(record["county"], record["township"]):
            raise ValueError(RECORD)
    except FileNotFoundError:
        return record
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise KeyRingError(problem="office record unreadable", file=RECORD) from error
    return record


def check_default(keys: Path, township: str, founded_in: str | None) -> None:
    """Refuse the township of before as a default where the catalogue knows the office elsewhere.

    `township` is the settings', `founded_in` that of the office's own station, as it was founded.
    Raises: OfficeRecordLostError.
    """
    default = _BEFORE_ASKING["township"]
    # Only where the default would be taken for a setting: a township that somebody set is his word.
    lost = not (keys / RECORD).exists() and township == default
    if lost and founded_in not in {default, None}:
        raise OfficeRecordLostError(file=str(keys / RECORD), default=default, known=founded_in)


def _read_origin(file: Path) -> dict[str, str]:
    """Return the log's origin; what is wrong with its key, the key ring says."""
    try:
        return {"log_origin": str(json.loads(file.read_bytes())["name"])}
    except (OSError, KeyError, TypeError, ValueError):
        return {}
