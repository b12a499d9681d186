"""Whom the verification of a bundle believes: the public keys in a folder."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from storage.errors import LiuhenError
from storage.signing import VerifyKey


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of stations, centre and log."""

    stations: tuple[VerifyKey, ...]
    centre: VerifyKey
    log: VerifyKey

    @classmethod
    def load(cls, folder: Path) -> "Keys":
        """Read `*.verify` files. Raises: KeyRingError, OSError, ValueError, KeyError."""
        found = {
            path.stem: VerifyKey.from_json(json.loads(path.read_bytes()))
            for path in sorted(folder.glob("*.verify"))
        }
        stations = tuple(key for name, key in found.items() if name.startswith("station-"))
        return cls(stations, found["centre"], found["log"])

    def with_later_origins(self, folder: Path) -> "Keys":
        """Return the keys with the origins that the bundle says the log took on since.

        Its own word for them is not believed: each is wanted in the log itself.
        """
        try:
            own = Keys.load(folder).log
        except (LiuhenError, OSError, ValueError, LookupError, TypeError, AttributeError):
            return self
        known = len(self.log.former)
        same = own.is_same_key(self.log) and own.former[:known] == self.log.former
        return replace(self, log=own) if same and own.names[: known + 1] == self.log.names else self

    @property
    def told(self) -> str:
        """Name every key by its id, to be compared by people."""
        signers = (self.centre, self.log, *self.stations)
        return ", ".join(f"{key.name} {key.kid}" for key in signers)
