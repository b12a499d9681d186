"""Readiness of a running service: its catalogue, log, keys and object store.

Each is compared with what this process opened. The answer comes within a second or so, whatever
hangs: a proxy that gets none would take the service for dead.
"""

from dataclasses import dataclass, field

from api.office.home_parts import KEYS
from api.office.wiring import Office
from storage.catalogue.log import refused_time
from storage.catalogue.log.custody_log import LogReader
from storage.errors import (
    CustodyError,
    LogClockError,
    OfficePartsError,
    StoreReplacedError,
    StoreSetupError,
)
from storage.vault.known_store import PatientCheck

_STORE_ERRORS = (StoreReplacedError, StoreSetupError)


@dataclass(slots=True)
class Readiness:
    """Readiness checks of one opened office, as `/readyz` answers them."""

    office: Office
    publishing: str | None = None  # the code of why the log's head was not published last
    _store: PatientCheck = field(init=False)

    def __post_init__(self) -> None:
        """Let the store be asked in a thread of its own."""
        self._store = PatientCheck(self.office.known_store.check_identity)

    def check_readiness(self) -> dict[str, str]:
        """Return `status` ready, and a code under each of the following that is in trouble.

        `objects`: the store cannot be asked. `log`: its head was not signed and published last.
        `integrity`: rows were found that are not as logged, or a check of everything failed.
        `clock`: ours is behind the log's last entry, and nothing is written.
        None takes a page or a list away, so all are told and do not count.
        Raises: CatalogueReplacedError, CatalogueUnavailableError, CatalogueBusyError,
        CustodyError (the signed head is lost, changed, or ahead of the catalogue),
        OfficePartsError (the keys are gone), StoreReplacedError, StoreSetupError.
        """
        # What must stop a proxy from sending anybody here comes first, and raises.
        self._check_keys()
        self._check_log()
        self.office.journal.check_store()
        # Asked by another thread with a deadline: a hanging store must not hang `/readyz`.
        error = self._store.get_error()
        if isinstance(error, _STORE_ERRORS):
            raise error
        troubles = {
            "objects": error.code if error is not None else None,
            "log": self.publishing,
            "integrity": self._find_doubt(),
            "clock": self._check_clock(),
        }
        return {"status": "ready"} | {name: code for name, code in troubles.items() if code}

    def _find_doubt(self) -> str | None:
        with self.office.catalogue.read() as session:
            doubt = refused_time.find_doubt(session)
            return refused_time.doubt_code(doubt) if doubt is not None else None

    def _check_clock(self) -> str | None:
        with self.office.catalogue.read() as session:
            # Against the log's last entry: our clock may have been set back since.
            ahead = refused_time.log_ahead(session, self.office.clock())
        return LogClockError.code if ahead is not None else None

    def tell_publishing(self, code: str | None) -> None:
        """Hear whether the log's head was published just now, or why not."""
        self.publishing = code

    def _check_keys(self) -> None:
        settings = self.office.settings
        if not settings.keys.is_dir():
            raise OfficePartsError(home=str(settings.home.absolute()), there=[], missing=[KEYS])

    def _check_log(self) -> None:
        """Compare what was signed last with the catalogue, which only ever grows beyond it."""
        head = self.office.signer.last_head()  # first: what is signed later is not missed here
        with self.office.catalogue.read() as session:
            log = LogReader(session)
            size = log.size
            # Rollback: an older database was put back beneath a newer signed head.
            if size < head.size:
                raise CustodyError(
                    problem="the log is smaller than before", before=head.size, now=size
                )
            # Fork: entries below the signed head were rewritten.
            if log.compute_root(head.size) != head.root:
                raise CustodyError(problem="the log is not the one that was signed", at=head.size)
