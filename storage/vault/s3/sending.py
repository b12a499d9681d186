"""Sending objects to S3, whole or in parts, where any reply may be lost.

What a lost reply means is found out by looking what is kept. What is kept is read back and compared
by the store (`s3_objects`), whatever was answered.
"""

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from storage.digest import Digest
from storage.errors import ObjectMissingError, StoreUnavailableError, VaultError
from storage.vault.objects import Block
from storage.vault.parts import Gathering, added_to, mark_of
from storage.vault.s3.uploads import S3Uploads
from storage.vault.s3.versions import S3Versions

PART = 8 << 20  # bytes sent at once of an object that is larger

_AT_ONCE = 3  # parts of one object on their way, beside the one that is being gathered
# Parts were replaced by another writer, or (Ceph) more of them are there than are to be joined.
_OTHER_PARTS = {"InvalidPart", "InvalidPartOrder"}


class ObjectSender:
    """What sends to one bucket. Safe for many threads. Every error is a VaultError."""

    def __init__(self, uploads: S3Uploads, versions: S3Versions) -> None:
        self._uploads = uploads
        self._versions = versions

    def send_object(self, key: str, source: Gathering) -> str | None:
        """Send a new object; return the id of its version, None when only looking can tell."""
        parts = source.gather_parts()
        first, second = next(parts, bytearray()), next(parts, None)
        if second is None:
            return self._send_and_confirm(
                key, lambda: self._uploads.send_object(key, first, source.digest())
            )
        handle = self._uploads.begin_upload(key)
        try:
            marks = self._send_parts(key, handle, itertools.chain((first, second), parts))
            return self._send_and_confirm(
                key, lambda: self._uploads.join_parts(key, handle, list_tags(marks))
            )
        # An unjoined upload occupies room that no listing of keys shows; aborted on Ctrl-C, too.
        except BaseException:
            with contextlib.suppress(VaultError):
                self.abort_upload(key, handle)
            raise

    def send_document(self, name: str, document: bytes) -> str | None:
        """Send a small object, whole; return as `send_object`."""
        digest = Digest.compute(document)
        return self._send_and_confirm(
            name, lambda: self._uploads.send_object(name, document, digest)
        )

    def send_part(self, key: str, handle: str, number: int, block: Block) -> str:
        """Send one part of an upload; return its mark."""
        digest = Digest.compute(block)
        tag = self._uploads.send_part(key, block, handle, number, digest=digest)
        return mark_of(len(memoryview(block)), digest, tag)

    def join_parts(self, key: str, handle: str, tags: Sequence[str]) -> str | None:
        """Join an attempt's parts; return the id of the version, None when only looking can tell.

        Raises: ObjectMissingError when that cannot be any more.
        """
        try:
            return self._send_and_confirm(key, lambda: self._uploads.join_parts(key, handle, tags))
        except StoreUnavailableError:
            try:
                # Ceph answers 500 for an upload that is gone.
                self._uploads.check_upload(key, handle)
            except ObjectMissingError:
                if self._versions.find_version(key) is None:
                    raise
                return None  # a twin, who was at it when we asked, is done since
            raise
        except VaultError as error:
            if error.facts.get("refusal") in _OTHER_PARTS:
                raise ObjectMissingError(key=key, problem="other parts than the marks") from error
            raise

    def abort_upload(self, key: str, handle: str) -> None:
        """Forget an attempt; an unknown one is forgotten."""
        with contextlib.suppress(ObjectMissingError):
            self._uploads.abort_upload(key, handle)

    def _send_parts(self, key: str, handle: str, parts: Iterable[bytearray]) -> list[str]:
        marks: list[str] = []
        waiting: deque[Future[str]] = deque()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number, part in enumerate(parts, 1):
                waiting.append(pool.submit(self.send_part, key, handle, number, part))
                # Bounds memory to a few parts, and keeps the marks in the order of their numbers.
                if len(waiting) == _AT_ONCE:
                    marks.append(waiting.popleft().result())
            return marks + [sent.result() for sent in waiting]

    def _send_and_confirm(self, name: str, send: Callable[[], str | None]) -> str | None:
        """Send; when the reply is lost, or an earlier one was, look whether it was done."""
        try:
            return send()
        except (StoreUnavailableError, ObjectMissingError):
            if self._versions.find_version(name) is None:
                raise
            return None


def list_tags(marks: Iterable[str]) -> list[str]:
    """Return the tags by which parts with these marks are joined. Raises: VaultError."""
    return [added_to(mark) for mark in marks]
