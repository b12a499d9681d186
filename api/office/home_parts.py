"""Inspection of a home folder for parts of an office, before opening, founding or migrating.

Keys, the signer's last head, the published log, the catalogue and the objects belong together. An
office is founded only where none of them is, and opened only where all of them are: what is made
anew beside the rest of a lost office would sign a second history, or take in evidence that nobody
finds again. Looking changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.custody.checkpoint import untrusted_checkpoint
from storage.errors import (
    FoundingUnfinishedError,
    NoOfficeError,
    OfficeExistsError,
    OfficePartsError,
    SignatureError,
    StationHomeError,
)

ENROLMENT = "enrolment.json"
KEYS, HEAD, LOG, CATALOGUE, OBJECTS = "keys", "head", "log", "catalogue", "objects"
_UNREADABLE = -1


@dataclass(frozen=True, slots=True)
class HomeParts:
    """Parts of an office in a home; `head` and `entries` are log sizes, None where absent."""

    home: Path
    enrolled: bool  # the home of a station apart from its centre
    keys: bool
    head: int | None
    published: bool
    entries: int | None
    objects: bool

    @classmethod
    def inspect_home(
        cls, home: Path, keys: Path, entries: int | None, has_objects: Callable[[], bool]
    ) -> "HomeParts":
        """Inspect a home whose log has `entries` entries; ask the store only if in doubt."""
        # The signer's memory and not the published files: those may be copied anywhere.
        head = _read_head_size(home / "log-signer" / "head")
        has_keys = _has_content(keys)
        return cls(
            home=home.absolute(),
            enrolled=(home / ENROLMENT).exists(),
            keys=has_keys,
            head=head,
            published=_has_content(home / "log"),
            entries=entries,
            # A whole office needs no listing of a bucket; only remains of a lost one do.
            objects=False if has_keys and head is not None and entries else has_objects(),
        )

    @property
    def is_whole(self) -> bool:
        """Whether an office is here that was founded to the end."""
        return self.keys and self.head is not None and bool(self.entries)

    def require_office(self) -> None:
        """Make sure that there is an office to open.

        Raises: NoOfficeError, FoundingUnfinishedError, StationHomeError, OfficePartsError.
        """
        # First: a station's home has keys as well, and is never half an office.
        if self.enrolled:
            raise StationHomeError(home=str(self.home))
        if self.is_whole:
            return
        self._require_no_evidence()
        # Keys alone are a founding that was cut short: the same command goes on.
        raise (FoundingUnfinishedError if self.keys else NoOfficeError)(home=str(self.home))

    def require_room(self) -> None:
        """Make sure that an office may be founded here, or its founding gone on with.

        Raises: OfficeExistsError, StationHomeError, OfficePartsError.
        """
        if self.enrolled:
            raise StationHomeError(home=str(self.home))
        if self.is_whole:
            raise OfficeExistsError(home=str(self.home))
        self._require_no_evidence()

    def _require_no_evidence(self) -> None:
        # Size 0 beside keys is a founding cut short; without keys it is a lost office's head.
        signed = self.head not in {None, 0} or (self.head == 0 and not self.keys)
        if not (signed or self.published or self.objects or self.entries):
            return
        parts = {
            KEYS: self.keys,
            HEAD: self.head is not None,
            LOG: self.published,
            CATALOGUE: bool(self.entries),
            OBJECTS: self.objects,
        }
        raise OfficePartsError(
            home=str(self.home),
            there=[part for part, there in parts.items() if there],
            missing=[part for part in (KEYS, HEAD, CATALOGUE) if not parts[part]],
            head=self.head,
            entries=self.entries or 0,
        )


def folder_has_objects(root: Path) -> bool:
    """Tell whether a folder store holds anything; makes nothing."""
    try:
        return any(path.is_dir() and _has_content(path) for path in root.iterdir())
    # No folder, or none that can be read: founding itself will say so.
    except OSError:
        return False


def _has_content(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _read_head_size(file: Path) -> int | None:
    """Return the signer's last head size; None if absent, -1 if unreadable."""
    try:
        return untrusted_checkpoint(file.read_text(encoding="utf-8")).size
    except (FileNotFoundError, NotADirectoryError):
        return None
    # There is one and it cannot be read: that is more than nothing, and nothing is founded over it.
    except (OSError, SignatureError, ValueError):
        return _UNREADABLE
