"""The log's signer: signs a head only if it continues the last head it signed.

It keeps that last checkpoint in a file of its own, apart from the catalogue, so that a catalogue
put back from an old copy (or rewritten) is refused instead of signed: C2SP tlog-checkpoint, "a
log MUST NOT sign any checkpoint which is inconsistent with any checkpoint it previously signed".
The file is the signed checkpoint itself: edited, it no longer verifies. Several processes share
it under a lock; it is on the disk before a new checkpoint leaves the signer.

For the same reason a missing file is refused: `begin` makes it once, when the keys are made.

A log that goes on under another origin (`origin.py`) has a second file, `origin`: nobody signs
under any other from the moment that it stands there.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from storage.custody.checkpoint import Checkpoint, log_keys, open_checkpoint, sign_checkpoint
from storage.custody.merkle.tree import EMPTY_ROOT, verify_consistency
from storage.custody.note import NoteKey
from storage.durable import replace_file
from storage.errors import CustodyError, OriginChangedError, SignatureError
from storage.signed.signing import FormerOrigin, SigningKey


class LogSigner:
    """Signs the heads of one log; `state` names the file that holds the last one signed."""

    def __init__(
        self, key: SigningKey, origin: str, state: Path, former: Sequence[FormerOrigin] = ()
    ) -> None:
        self._key = key
        self._state = state
        self.origin = origin
        public = replace(key.verify_key(), former=tuple(former))
        self.keys: tuple[NoteKey, ...] = log_keys(public, origin)

    def begin_log(self, at: datetime) -> str:
        """Start the log: sign the empty head and remember it.

        Raises: CustodyError when this signer has begun before.
        """
        self._state.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_state():
            # Under the lock: of two foundings at once one begins the log.
            if self._state.exists():
                raise CustodyError(problem="the log has begun already", file=self._state.name)
            return self._sign_head(Checkpoint(self.origin, 0, EMPTY_ROOT), at)

    @property
    def has_begun(self) -> bool:
        """Whether this signer has ever signed."""
        return self._state.exists()

    @contextmanager
    def hold(self, *, leaving: bool = False) -> Iterator["HeldSigner"]:
        """Hold the signer: nobody else signs until the block ends.

        `leaving` is for whoever changes the origin, and goes on with a change that was begun.
        Raises: CustodyError when the file of the last head is missing or not what was signed,
        OriginChangedError when the log goes on under another origin.
        """
        with self._lock_state():
            yield HeldSigner(self, self._read_last(leaving=leaving))

    @property
    def next_origin(self) -> str | None:
        """The origin under which alone may be signed from now on; None while none was changed."""
        try:
            return self._origin_file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def _origin_file(self) -> Path:
        return self._state.with_name("origin")

    def last_head(self) -> Checkpoint:
        """Return the head last signed, without waiting for whoever signs now.

        Raises: CustodyError as `hold`.
        """
        return open_checkpoint(self._read_last(), self.keys)

    def read_last_checkpoint(self) -> str:
        """Return the checkpoint last signed. Raises: CustodyError as `hold`."""
        with self.hold() as signer:
            return signer.last_text

    def _read_last(self, *, leaving: bool = False) -> str:
        origin = self.next_origin
        if origin not in {None, self.origin} and not leaving:
            raise OriginChangedError(origin=origin, found=self.origin)
        try:
            text = self._state.read_text(encoding="utf-8")
            open_checkpoint(text, self.keys)
        except FileNotFoundError as error:
            raise CustodyError(
                problem="the signer's last head is missing", file=self._state.name
            ) from error
        except (SignatureError, UnicodeDecodeError) as error:
            raise CustodyError(
                problem="the signer's last head was changed", file=self._state.name
            ) from error
        return text

    def _sign_head(self, head: Checkpoint, at: datetime) -> str:
        text = sign_checkpoint(head, self._key, at)
        # On the disk before it leaves: a head that was seen outside and forgotten here could be
        # contradicted by the next one.
        replace_file(self._state, text.encode())
        return text

    @contextmanager
    def _lock_state(self) -> Iterator[None]:
        try:
            # A file of its own: the head is replaced by a rename, and a lock on the old file would
            # shut nobody out.
            lock = os.open(self._state.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError as error:  # nothing is made where a disk is not mounted
            raise CustodyError(
                problem="the signer's last head is missing", file=self._state.name
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class HeldSigner:
    """A signer under its lock, and the last checkpoint it signed."""

    def __init__(self, signer: LogSigner, last_text: str) -> None:
        self._signer = signer
        self._left = False
        self.last_text = last_text
        self.last = open_checkpoint(last_text, signer.keys)

    def sign(self, size: int, root: bytes, consistency: Sequence[bytes], at: datetime) -> str:
        """Return the signed checkpoint of this head, remembered before it is returned.

        `consistency` leads from `last` to this head. The last head again is answered with the
        checkpoint that was signed then.
        Raises: CustodyError when the head is smaller than the last, or rewrites it.
        """
        verify_consistency(self.last.size, self.last.root, size, root, consistency)
        # After the check: another root for the same size was refused there.
        if size == self.last.size:
            return self.last_text
        if self._left:
            raise CustodyError(problem="this origin was given up")
        head = Checkpoint(self._signer.origin, size, root)
        self.last_text, self.last = self._signer._sign_head(head, at), head  # noqa: SLF001 - same module
        return self.last_text

    def leave_origin(self, origin: str) -> None:
        """Have nobody sign under the present origin any more: the log goes on under this one."""
        # Before the file: if that cannot be written, this holder signs nothing more either.
        self._left = True
        replace_file(self._signer._origin_file, origin.encode())  # noqa: SLF001 - same module
