"""Errors of the lower rooms: each says who acts next and carries facts, not sentences.

The sentences, Chinese and English, and the HTTP status stand in `api/texts/problems.toml`, keyed by
`code`. Nothing here knows about a screen, a status or a language.
"""

from typing import Any, ClassVar


class LiuhenError(Exception):
    """Root of every error that we raise on purpose.

    `code` is stable and public (it appears in problem+json and in `--json`); `facts` are plain
    JSON values that the text table fills into its sentences; `retryable` tells a machine whether
    the same call may succeed later without a person.
    """

    code: str = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, **facts: Any) -> None:
        """Keep the facts; they are also the whole of `str(error)`."""
        super().__init__(self.code, facts)
        self.facts = facts

    def __str__(self) -> str:
        text = ", ".join(f"{name}={fact!r}" for name, fact in self.facts.items())
        return f"{self.code}({text})"


class SubmissionError(LiuhenError):
    """What a source offers cannot be taken now: it stays on the source, uncleared."""

    code = "submission"


class SessionEndedError(LiuhenError):
    """The session that an act was begun in has ended: whoever it is logs in again."""

    code = "unauthenticated"


class FixityError(LiuhenError):
    """Bytes are not what they were sealed as. Stop and escalate; never retried."""

    code = "fixity"


class VaultError(LiuhenError):
    """The object store did not do what was asked."""

    code = "vault"


class ObjectConflictError(VaultError):
    """The key exists with other bytes: objects are write-once."""

    code = "object-conflict"


class ObjectMissingError(VaultError):
    """No object under this key."""

    code = "object-missing"


class RetentionError(VaultError):
    """The object is locked until a date: nobody deletes it or shortens its lock."""

    code = "retained"


class LockLostError(VaultError):
    """The object was locked or held, and what the store wrote of that is lost or unreadable.

    Nothing deletes it. `facts["size"]` is its size: it can be read. Locking it anew mends that.
    """

    code = "lock-lost"


class StorageFullError(VaultError):
    """No space left. Intake pauses; nothing was acknowledged."""

    code = "storage-full"
    retryable = True


class StoreUnavailableError(VaultError):
    """The object store does not answer, or not sensibly. What it did is found out by looking."""

    code = "store-unavailable"
    retryable = True


class ArchiveAwayError(StoreUnavailableError):
    """The archive is not attached, or is another one than this office knows."""

    code = "archive-away"


class StoreSetupError(VaultError):
    """The object store as it is set up cannot keep evidence; `mend` says what would mend it."""

    code = "store-setup"


class StoreReplacedError(VaultError):
    """The object store is another one than this office knows, or none any more; never retried."""

    code = "store-replaced"


class StoreRefusedError(VaultError):
    """The object store does not take our key, or does not let it do this."""

    code = "store-refused"


class StoreClockError(VaultError):
    """The object store's clock and ours are too far apart for its signatures."""

    code = "store-clock"


class KeyRingError(LiuhenError):
    """A key is missing, malformed, or not the one that the envelope names."""

    code = "key"


class EnvelopeError(LiuhenError):
    """An envelope is malformed or does not open under this key and context."""

    code = "envelope"


class SignatureError(LiuhenError):
    """A signature does not verify under any trusted key."""

    code = "signature"


class CustodyError(LiuhenError):
    """The custody log would have to contradict itself: refuse, and call the auditor."""

    code = "custody"


class LogClockError(CustodyError):
    """Our clock is behind the last entry of the log: nothing is written until a person looks."""

    code = "log-clock"


class OriginChangedError(CustodyError):
    """The custody log goes on, or is to go on, under another origin than this process knows."""

    code = "origin-changed"


class LogContradictedError(CustodyError):
    """The centre's log does not continue a head that was seen of it: nothing more is cleared.

    `how` is part of the code: rolled-back, forked, unproven.
    """

    def __init__(self, how: str, **facts: Any) -> None:
        """Make the code `log-<how>`."""
        super().__init__(**facts)
        self.code = f"log-{how}"
        self.how = how


class CatalogueBusyError(LiuhenError):
    """The database is locked by another writer for longer than we wait."""

    code = "catalogue-busy"
    retryable = True


class CatalogueUnavailableError(LiuhenError):
    """The database does not answer, or its disk does not read or write.

    Of what was just being committed nobody knows: look, or make the same call again.
    """

    code = "catalogue-unavailable"
    retryable = True


class CatalogueReplacedError(LiuhenError):
    """The open database is no longer the file at its path: what is written now would be lost.

    Not retryable: somebody puts the file back and starts again.
    """

    code = "catalogue-replaced"


class CatalogueNewerError(LiuhenError):
    """The database's tables are of a version that this program does not know."""

    code = "catalogue-newer"


class CatalogueSetupError(LiuhenError):
    """The database as it is set up cannot keep evidence; `mend` says what would mend it."""

    code = "catalogue-setup"


class TextError(LiuhenError):
    """A text that the catalogue cannot hold: too long for its column, or with U+0000 in it."""

    code = "text"


class NotFoundError(LiuhenError):
    """Nothing of that kind under that id (or none that this person may know of)."""

    code = "not-found"


class ConflictError(LiuhenError):
    """The act does not fit the present state of its subject."""

    code = "conflict"


class DestroyedError(ConflictError):
    """The recording was destroyed before: nothing can be done with it any more."""

    code = "destroyed"


class NoOfficeError(LiuhenError):
    """There is no office in this home, and only founding makes one."""

    code = "no-office"


class OfficeExistsError(LiuhenError):
    """There is an office in this home: nothing of it is ever made anew."""

    code = "office-exists"


class FoundingUnaskedError(LiuhenError):
    """What must be known before an office is founded was not given: `settings` names it."""

    code = "founding-unasked"


class FoundingUnfinishedError(LiuhenError):
    """The founding of this office was cut short: it is gone on with before anything else."""

    code = "founding-unfinished"


class StationHomeError(LiuhenError):
    """The home is an enrolled station's: no office is in it, and none is founded there."""

    code = "station-home"


class OfficePartsError(LiuhenError):
    """Of an office some parts are here and others are not: nothing is founded beside them.

    `there` and `missing` name parts (`keys`, `head`, `log`, `catalogue`, `objects`).
    """

    code = "office-parts"


class EnrolmentError(LiuhenError):
    """A station may not deliver: `reason` says why, and is part of the public code."""

    def __init__(self, reason: str, **facts: Any) -> None:
        """Make the code `enrolment-<reason>`."""
        super().__init__(**facts)
        self.code = f"enrolment-{reason}"
