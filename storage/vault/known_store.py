"""Whether the object store is still the one that an office knows, asked while it runs.

A bucket or folder that was swapped would else be met as missing objects, or take in what is then
looked for elsewhere. The name that a store keeps of itself is compared (`ObjectStore.identity`).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from storage.errors import LiuhenError, StoreReplacedError, StoreUnavailableError
from storage.vault.objects import ObjectStore


@dataclass(slots=True)
class KnownStore:
    """One store under the name it is known by; that it was right is believed for `every_s`."""

    objects: ObjectStore
    name: str
    where: str
    monotonic: Callable[[], float]
    every_s: float
    _right_until: float = float("-inf")

    def check_identity(self) -> None:
        """Make sure that the store is the known one.

        Raises: StoreReplacedError, StoreUnavailableError, VaultError.
        """
        now = self.monotonic()
        if now < self._right_until:
            return
        identity = self.objects.find_identity()
        if identity != self.name:
            raise StoreReplacedError(store=self.where, found=identity or "-", known=self.name)
        self._right_until = now + self.every_s


@dataclass(slots=True)
class PatientCheck:
    """A check that may hang, asked by somebody who may not: a thread waits in his place."""

    check: Callable[[], None]
    wait_s: float = 1.0
    _thread: threading.Thread | None = None
    _error: LiuhenError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get_error(self) -> LiuhenError | None:
        """Return the check's error, None if it passed; StoreUnavailableError while it hangs."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run_check, name="store-check", daemon=True
                )
                self._thread.start()
            asking = self._thread
        asking.join(self.wait_s)
        if asking.is_alive() and not isinstance(self._error, StoreReplacedError):
            return StoreUnavailableError(problem="no answer yet")
        return self._error

    def _run_check(self) -> None:
        try:
            self.check()
        except LiuhenError as error:
            self._error = error
        else:
            self._error = None
