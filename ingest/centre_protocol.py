"""Protocol between station and centre: the calls of a station and the centre's answers.

In an embedded office both are one process and `accession.LocalCentre` is called directly; over a
network `remote_centre.RemoteCentre` stands behind the same calls (spool, then tus over HTTPS).
Every call is repeatable: a station that does not know whether the last one arrived asks again.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from storage.custody.outside_head import LogContinuation
from storage.digest import Digest
from storage.recording import RecordingId
from storage.vault.objects import Block, Stored


class Centre(Protocol):
    """The county's side, as a station sees it."""

    immediate: bool
    """Whether `accession` answers while the recorder waits; if not, a `Delivery` brings it."""

    def holds_size(self, source: str, size: int) -> bool:
        """Tell whether the centre holds a recording of this source with this many bytes.

        A cheap hint: only when it is true does the station read a file once before sealing it.
        """

    def receipt_for(self, source: str, original: Digest) -> bytes | None:
        """Return the receipt of exactly these bytes from this source, if it was ever given."""

    def still_holds(self, source: str, original: Digest) -> bool | None:
        """Whether the centre, asked now, answers for exactly these bytes of this source.

        Its recording is there, was given a receipt and was not destroyed, and its payload is in the
        store. None where the centre is away and nobody knows.
        Raises: LiuhenError, where what the centre keeps is not what it should be.
        """

    def has_payload(self, recording: RecordingId, payload: Digest) -> bool:
        """Whether the payload of an attempt is still, byte for byte, what `put_payload` took.

        Raises: LiuhenError, OSError, where it cannot be read.
        """

    def check_room(self, size: int) -> None:
        """Make sure that a payload of so many bytes finds room, before its file is even read.

        Raises: StorageFullError (where, needed_mb, free_mb); SubmissionError(reason=too-large).
        """

    def put_payload(self, recording: RecordingId, blocks: Iterable[Block], expected: int) -> Stored:
        """Take the ciphertext. When it returns, the payload is durable and was read back.

        `expected` is about how many bytes will come: where there is no room for them, nothing is
        read. An exception raised by `blocks` leaves nothing behind.
        Raises: VaultError, StorageFullError.
        """

    def accession(self, record: bytes, envelope: bytes) -> bytes:
        """Take responsibility: verify, catalogue, log; return the signed receipt.

        The same record again returns the same receipt. If the centre already holds the same
        bytes of the same source, it returns the receipt of that first recording.
        Raises: SignatureError, FixityError, VaultError, CatalogueBusyError.
        """

    def discard_attempt(self, recording: RecordingId) -> None:
        """Forget an attempt that was never accessioned; refuse if it was.

        Raises: ConflictError when the recording is accessioned.
        """

    def note_act(self, act: str, *, subject: str, outcome: str, details: Mapping[str, Any]) -> None:
        """Write a station's act (a refusal, a failure, a clearing) into the custody log."""

    def prove_log(self, sizes: Collection[int]) -> LogContinuation | None:
        """Return the log's newest signed head, with the proofs that it continues some older ones.

        None where the centre is of an edition that gives no proofs.
        Raises: CustodyError, and as the network does.
        """
