"""Locks and holds of a folder store: a note beside each object, and a mark on the object itself.

A note stands in `<id>/.lock/<part>.json`. It can be lost, with its whole folder: so an object that
was ever locked or held bears a mark (`file_flags`), which is set before the note is written. Where
the mark does not stay on, a file under `.marked/` stands for it. Marked and without a readable note
is nobody's permission: `LockLostError` until it is locked anew. Objects of releases that set no
mark get it with the first look at their note.

The immutable flag is a second fence, not the lock: set where it is asked for, and the file system
and our rights allow it. A note says where it was set, so that it is missed when it is gone.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from storage.durable import replace_file
from storage.errors import LockLostError, VaultError
from storage.signed import canonical
from storage.vault.folder.file_flags import can_set_immutable, has_mark, set_immutable, set_mark
from storage.vault.folder.object_files import make_folder, translate_error
from storage.vault.objects import LockMode, ObjectFacts, check_key

_MARKED = ".marked"


class LockNotes:
    """The notes of one store; `immutable` asks for the second fence as well."""

    def __init__(self, root: Path, *, immutable: bool) -> None:
        self._root = root
        self._immutable = immutable

    @cached_property
    def can_fence(self) -> bool:
        """Whether the second fence is asked for, and this system and process can set it here."""
        return self._immutable and can_set_immutable(self._root)

    def read_facts(self, key: str, *, mending: bool) -> ObjectFacts:
        """Return size and lock; `mending`: a lock that was lost as none, and held."""
        try:
            status = (self._root / key).stat()
        except OSError as error:
            raise translate_error(error, key) from error
        marked = has_mark(status.st_mode) or self._witness_path(key).exists()
        try:
            facts = self._read_note(key, status.st_size)
        except FileNotFoundError:
            if not marked:
                return ObjectFacts(key, status.st_size, None, None)
            problem = "lock note missing"
        except (OSError, KeyError, TypeError, ValueError):
            problem = "lock unreadable"
        else:
            if not marked:  # an earlier release locked it
                with contextlib.suppress(OSError, VaultError):
                    self._mark_object(key)
            return facts
        if not mending:
            raise LockLostError(key=key, problem=problem, size=status.st_size)
        return ObjectFacts(key, status.st_size, None, None, on_hold=True)

    @contextlib.contextmanager
    def open_note(self, key: str, *, mending: bool = False) -> Iterator[ObjectFacts]:
        """Read the lock and let no other thread or process change it meanwhile."""
        self.read_facts(key, mending=mending)
        note = self._lock_path(key)
        make_folder(note.parent)
        try:
            folder = os.open(note.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                # The folder, not the note: each write puts a new file in the note's place, and who
                # waited for the old one would hold a lock that nobody else sees.
                fcntl.flock(folder, fcntl.LOCK_EX)
                yield self.read_facts(key, mending=mending)
            finally:
                os.close(folder)
        except OSError as error:
            raise translate_error(error, key) from error

    def write_note(self, facts: ObjectFacts) -> None:
        """Write lock and hold durably, after the mark. Raises: OSError, VaultError."""
        self._mark_object(facts.key)  # first: from here on no lost note is taken for none
        until = facts.retain_until
        document = {
            "mode": facts.mode,
            "retain_until": until and until.astimezone(UTC).isoformat(),
            "held": facts.on_hold,
        }
        if self.fence_object(facts) or facts.immutable:
            document["immutable"] = True  # what was set, so that it is missed when it is gone
        replace_file(self._lock_path(facts.key), canonical.encode(document))

    def fence_object(self, facts: ObjectFacts) -> bool:
        """Set the second fence of a locked object where it is asked for; tell whether it is set."""
        fenced = self._immutable and facts.mode is LockMode.COMPLIANCE
        return fenced and set_immutable(self._root / facts.key, immutable=True)

    def remove_note(self, key: str) -> None:
        """Forget that an object was ever locked: it is gone. Raises: OSError."""
        self._lock_path(key).unlink(missing_ok=True)
        self._witness_path(key).unlink(missing_ok=True)

    def _read_note(self, key: str, size: int) -> ObjectFacts:
        """Read what is written of a lock. Raises: OSError, KeyError, TypeError, ValueError."""
        document = json.loads(self._lock_path(key).read_bytes())
        mode, until = document["mode"], document["retain_until"]
        return ObjectFacts(
            key,
            size,
            mode and LockMode(mode),
            until and datetime.fromisoformat(until),
            on_hold=document.get("held", False) is not False,
            immutable=document.get("immutable") is True or None,
        )

    def _mark_object(self, key: str) -> None:
        """Mark an object durably as one that was locked or held. Raises: OSError."""
        if set_mark(self._root / key):
            return
        witness = self._witness_path(key)
        make_folder(witness.parent)
        replace_file(witness, b"")

    def _witness_path(self, key: str) -> Path:
        return self._root / _MARKED / key.replace("/", ".")

    def _lock_path(self, key: str) -> Path:
        path = self._root / check_key(key)
        return path.parent / ".lock" / f"{path.name}.json"
