"""The keys that signed a bundle, and the reader's own trust anchors to compare them with.

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
from storage.signed.fingerprint import format_fingerprint
from storage.signed.signing import VerifyKey
from storage.vault.keys import SealKey

UNREADABLE = (LiuhenError, OSError, ValueError, LookupError, TypeError, AttributeError)
_CENTRE, _LOG, _STATION = "centre", "log", "station"
_ZH = {_CENTRE: "中心", _LOG: "日志", _STATION: "采集站"}


@dataclass(frozen=True, slots=True)
class Keys:
    """The public keys of stations, centre and log, and the recipients' sealing keys."""

    stations: tuple[VerifyKey, ...]
    centre: VerifyKey
    log: VerifyKey
    recipients: tuple[SealKey, ...] = ()

    @classmethod
    def load(cls, folder: Path) -> "Keys":
        """Read `*.verify` and `*.pub` files.

        Raises: KeyRingError, OSError, ValueError, KeyError.
        """
        keys = {
            path.stem: VerifyKey.from_json(json.loads(path.read_bytes()))
            for path in sorted(folder.glob("*.verify"))
        }
        stations = tuple(key for name, key in keys.items() if name.startswith("station-"))
        seals = tuple(
            SealKey.from_json(json.loads(path.read_bytes()))
            for path in sorted(folder.glob("*.pub"))
        )
        return cls(stations, keys[_CENTRE], keys[_LOG], seals)

    @property
    def signers(self) -> list[tuple[str, VerifyKey]]:
        """Every key that signed something here, with its use."""
        stations = [(_STATION, key) for key in self.stations]
        return [(_CENTRE, self.centre), (_LOG, self.log), *stations]

    def describe_signers(self) -> list[dict[str, str]]:
        """Return each signer with its whole fingerprint, `shown` as people compare it."""
        return [
            {
                "use": use,
                "name": key.name,
                "kid": key.kid,
                "fingerprint": key.fingerprint,
                "shown": format_fingerprint(key.fingerprint),
            }
            for use, key in self.signers
        ]


@dataclass(frozen=True, slots=True)
class Anchors:
    """Trust anchors: the office's keys as the reader got them by another way than the bundle.

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

    def find_unknown_keys(self, keys: Keys) -> list[str]:
        """Return the uses (`centre`, `log`) whose keys are not among these anchors."""
        uses = [
            use
            for use, key in ((_CENTRE, keys.centre), (_LOG, keys.log))
            if key.fingerprint not in self.fingerprints
        ]
        # The right key under origins that are not the known log's.
        if _LOG not in uses and self.log is not None and not _is_one_log(self.log, keys.log):
            uses.append(_LOG)
        return uses

    def find_contradictions(self, keys: Keys) -> list[str]:
        """Return the problems of a bundle whose keys are not those that its reader named.

        Who names one of the two keys only has said nothing of the other.
        """
        unknown = self.find_unknown_keys(keys)
        # A known key alone is no contradiction: fingerprints of a letter may name just one of the
        # two.
        if not self.named or (len(unknown) == 1 and self.log is None):
            return []
        return [f"{_ZH[use]} {use}: 不是您指定的公钥 not a key that you named" for use in unknown]


def _is_one_log(anchor: VerifyKey, other: VerifyKey) -> bool:
    """Tell whether two keys are of one log: the origins of one begin with the other's.

    The bundle's own word for a change is not believed: each is wanted in the log itself.
    """
    # Either side may know of later origins than the other; what both know must agree.
    name_count = min(len(anchor.names), len(other.names))
    formers = min(len(anchor.former), len(other.former))
    return (
        anchor.is_same_key(other)
        and anchor.names[:name_count] == other.names[:name_count]
        and anchor.former[:formers] == other.former[:formers]
    )
