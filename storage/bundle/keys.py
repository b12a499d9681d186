"""Which keys a bundle was signed by, and which of them its reader knows by another way.

Everything in a bundle is checked under the keys that lie in it. What these are worth is another
question: `Anchors` are what the reader was told of the office's keys by somebody else, whole or by
their fingerprints. Stations' keys are the log's to tell of (`key_check.py`); the centre's and the
log's must be known.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from storage.errors import LiuhenError
from storage.signed.fingerprint import grouped
from storage.signed.signing import VerifyKey
from storage.vault.keys import SealKey

UNREADABLE = (LiuhenError, OSError, ValueError, LookupError, TypeError, AttributeError)
_CENTRE, _LOG, _STATION = "centre", "log", "station"
_ZH = {_CENTRE: "中心", _LOG: "日志", _STATION: "采集站"}


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of stations, centre and log, and those that was sealed to."""

    stations: tuple[VerifyKey, ...]
    centre: VerifyKey
    log: VerifyKey
    recipients: tuple[SealKey, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> "Keys":
        """Read `*.verify` and `*.pub` files.

        Raises: KeyRingError, OSError, ValueError, KeyError.
        """
        found = {
            path.stem: VerifyKey.from_json(json.loads(path.read_bytes()))
            for path in sorted(folder.glob("*.verify"))
        }
        stations = tuple(key for name, key in found.items() if name.startswith("station-"))
        seals = tuple(
            SealKey.from_json(json.loads(path.read_bytes()))
            for path in sorted(folder.glob("*.pub"))
        )
        return cls(stations, found[_CENTRE], found[_LOG], seals)

    @property
    def signers(self) -> list[tuple[str, VerifyKey]]:
        """Every key that signed something here, with its use."""
        stations = [(_STATION, key) for key in self.stations]
        return [(_CENTRE, self.centre), (_LOG, self.log), *stations]

    def told(self) -> list[dict[str, str]]:
        """Return each signer with its whole fingerprint, `shown` as people compare it."""
        return [
            {
                "use": use,
                "name": key.name,
                "kid": key.kid,
                "fingerprint": key.fingerprint,
                "shown": grouped(key.fingerprint),
            }
            for use, key in self.signers
        ]


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the reader knows of the office's keys by another way than the bundle.

    `named` tells that he named them for this very bundle: another key is then a failure, and not
    only unknown. `log` is the log's key with its origins, where it is known whole.
    """

    fingerprints: frozenset[str]
    named: bool
    log: VerifyKey | None = None

    @classmethod
    def of_folder(cls, folder: Path, *, named: bool = True) -> "Anchors":
        """Take the keys in a folder. Raises: KeyRingError, OSError, ValueError, KeyError."""
        keys = Keys.load(folder)
        return cls(frozenset(key.fingerprint for _, key in keys.signers), named, keys.log)

    @classmethod
    def of_fingerprints(cls, fingerprints: Iterable[str]) -> "Anchors":
        """Take fingerprints of a key letter, each as 64 hex digits."""
        return cls(frozenset(fingerprints), named=True)

    def unknown(self, keys: Keys) -> list[str]:
        """Return which of the centre's and the log's keys are not among these, by their use."""
        found = [
            use
            for use, key in ((_CENTRE, keys.centre), (_LOG, keys.log))
            if key.fingerprint not in self.fingerprints
        ]
        if _LOG not in found and self.log is not None and not _is_one_log(self.log, keys.log):
            found.append(_LOG)
        return found

    def contradicts(self, keys: Keys) -> list[str]:
        """Return what is wrong with a bundle under these keys, because its reader named others.

        Who names one of the two keys only has said nothing of the other.
        """
        unknown = self.unknown(keys)
        if not self.named or (len(unknown) == 1 and self.log is None):
            return []
        return [f"{_ZH[use]} {use}: 不是您指定的公钥 not a key that you named" for use in unknown]


def _is_one_log(known: VerifyKey, other: VerifyKey) -> bool:
    """Tell whether one's origins begin with the other's: it may have changed its origin since.

    The bundle's own word for a change is not believed: each is wanted in the log itself.
    """
    both = min(len(known.names), len(other.names))
    formers = min(len(known.former), len(other.former))
    return (
        known.is_same_key(other)
        and known.names[:both] == other.names[:both]
        and known.former[:formers] == other.former[:formers]
    )
