"""Every key of the office, as people and programs are shown it: use, whole fingerprint, validity.

What counts is the log: a key that lies in the key folder, and that no entry tells of, is shown as
that.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.office.wiring import Office
from storage.catalogue.proofs import office_keys
from storage.custody.checkpoint import log_keys
from storage.signed.fingerprint import KID_DIGITS, format_fingerprint
from storage.vault.keys import KeyRing

USES = {
    "centre": ("中心签名", "signs receipts, bundles and certificates"),
    "log": ("日志签名", "signs the custody log"),
    "station": ("采集站签名", "signs what a station sealed"),
    "vault": ("保管库解密", "footage is sealed to it"),
    "recovery": ("离线恢复", "footage is sealed to it, too; kept offline"),
}


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One key. `since` is None for one that no entry tells of: nobody trusts it."""

    use: str
    name: str
    fingerprint: str
    since: datetime | None
    until: datetime | None

    @property
    def grouped_fingerprint(self) -> str:
        """The whole fingerprint, in groups."""
        return format_fingerprint(self.fingerprint)

    @property
    def use_zh(self) -> str:
        """What it is for, in Chinese."""
        return USES[self.use][0]

    @property
    def use_en(self) -> str:
        """What it is for, in English."""
        return USES[self.use][1]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "use": self.use,
            "name": self.name,
            "kid": self.fingerprint[:KID_DIGITS],
            "fingerprint": self.fingerprint,
            "since": self.since.isoformat() if self.since is not None else None,
            "until": self.until.isoformat() if self.until is not None else None,
            "enrolled": self.since is not None,
        }


def shown_keys(office: Office) -> list[ShownKey]:
    """Return the enrolled keys, then the keys that no log entry enrolled."""
    with office.catalogue.read() as session:
        rows = office_keys.office_keys(session)
        # In the same transaction: a key that is enrolled just now is not shown as strange.
        strange = list(
            office_keys.list_unenrolled_keys(session, KeyRing.load(office.settings.keys))
        )
    enrolled_keys = [
        ShownKey(row.use, row.name, row.fingerprint, row.since, row.until) for row in rows
    ]
    return enrolled_keys + [
        ShownKey(
            discrepancy.facts["use"],
            discrepancy.facts["name"],
            discrepancy.facts["fingerprint"].replace(" ", ""),
            None,
            None,
        )
        for discrepancy in strange
    ]


def log_vkey(office: Office) -> str:
    """Return the log's Ed25519 key as public tools take it (C2SP signed-note)."""
    key = office.ring.get_verify_key("log")
    return log_keys(key, key.name)[0].vkey
