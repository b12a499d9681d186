"""Sealing: one read of a file gives its digests and its ciphertext; the key goes into an envelope.

Payload: C2SP chunked-encryption v1, Cobblestone-256 (AES-256-GCM, 16 KiB chunks, key commitment).
Envelope: the data key wrapped to each recipient by HPKE (RFC 9180) with MLKEM768_X25519 (X-Wing),
HKDF-SHA256 and AES-256-GCM, `info` = the context. Reading back by range is `ranges.py`.
"""

import base64
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from cryptography.cobblestone import Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke

from storage.digest import Algorithm, Digest, create_hasher
from storage.errors import EnvelopeError, KeyRingError, SignatureError
from storage.recording import RecordingId
from storage.signed import canonical
from storage.vault.keys import OpenKey, SealKey
from storage.vault.ranges import CHUNK, payload_size

PAYLOAD_FORMAT = "c2sp.org/chunked-encryption@v1 Cobblestone-256"
DATA_KEY = 32
BLOCK = 4 << 20  # calls of 1 MiB and more: smaller ones spend their time on the interpreter lock
_BUFFERS = 3
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_SUITE_NAMES = {"kem": "MLKEM768_X25519", "kdf": "HKDF_SHA256", "aead": "AES_256_GCM"}


class Source(Protocol):
    """What can be read once, in order, into a buffer of ours."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer as far as possible; 0 at the end."""


def context_of(recording: RecordingId, station: str) -> bytes:
    """Bind a payload to its recording and station: moved under another id, it does not open."""
    return b"liuhen/v1" + recording.bytes + station.encode()


class Sealer:
    """Iterate it once for the ciphertext; afterwards `size` and `digests` tell of the original.

    The file is read once. Each digest runs in a thread of its own beside the encryption, over the
    same few buffers, so memory does not grow with the file. A block is valid until the next one
    is asked for. An error of the source propagates and leaves the sealer dead.
    """

    def __init__(
        self,
        source: Source,
        *,
        data_key: bytes,
        context: bytes,
        algorithms: Sequence[Algorithm] = (Algorithm.SHA256,),
        progress: Callable[[int], None] | None = None,
        size: int = BLOCK,
    ) -> None:
        """`size` is about how many bytes will come: small files get small buffers."""
        self._source = source
        self._block = min(BLOCK, -(-max(size, 1) // CHUNK) * CHUNK)
        self._encryptor = Cobblestone256Encryptor(data_key, context)
        self._lanes = [_Lane(algorithm) for algorithm in algorithms]
        self._progress = progress
        self.size = 0
        self.digests: dict[Algorithm, Digest] = {}

    def __iter__(self) -> Iterator[bytes | memoryview]:
        buffers = [memoryview(bytearray(self._block)) for _ in range(_BUFFERS)]
        sealed = memoryview(bytearray(payload_size(self._block + CHUNK)))  # and what was held back
        for lane in self._lanes:
            lane.start()
        try:
            turn = 0
            while True:
                buffer = buffers[turn % _BUFFERS]
                for lane in self._lanes:
                    lane.reserve_buffer()
                filled = _fill_buffer(self._source, buffer)
                if not filled:
                    break
                plain = buffer[:filled]
                for lane in self._lanes:
                    lane.feed_block(plain)
                yield sealed[: self._encryptor.update_into(plain, sealed)]
                self.size += filled
                turn += 1
                if self._progress is not None:
                    self._progress(self.size)
            yield self._encryptor.finalize()
            self.digests = {lane.algorithm: lane.finish() for lane in self._lanes}
        finally:
            for lane in self._lanes:
                lane.stop()


class _Lane:
    """One running digest on a thread of its own; at most a few buffers behind the reader."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.algorithm = algorithm
        self._hash = create_hasher(algorithm)
        self._todo: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(_BUFFERS)
        self._thread = threading.Thread(target=self._run, name=f"digest-{algorithm}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def reserve_buffer(self) -> None:
        """Block until the buffer about to be filled is no longer being read here."""
        self._free.acquire()

    def feed_block(self, plain: memoryview) -> None:
        self._todo.put(plain)

    def finish(self) -> Digest:
        self.stop()
        return Digest(self.algorithm, self._hash.digest())

    def stop(self) -> None:
        if self._thread.is_alive():
            self._todo.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (plain := self._todo.get()) is not None:
            self._hash.update(plain)
            self._free.release()


def _fill_buffer(source: Source, buffer: memoryview) -> int:
    filled = 0
    while filled < len(buffer):
        count = source.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return filled


def seal_envelope(
    data_key: bytes, recording: RecordingId, station: str, recipients: Sequence[SealKey]
) -> bytes:
    """Return the envelope: canonical JSON with the data key wrapped to each recipient.

    Raises: KeyRingError with fewer than two recipients: one lost key must not lose evidence.
    """
    if len({key.kid for key in recipients}) < 2:  # noqa: PLR2004 - the vault's and the recovery key
        raise KeyRingError(problem="an envelope needs two recipients", found=len(recipients))
    context = context_of(recording, station)
    return canonical.encode(
        {
            "v": 1,
            "recording": str(recording),
            "station": station,
            "payload": PAYLOAD_FORMAT,
            "context": base64.b64encode(context).decode(),
            "recipients": [
                {
                    "kid": key.kid,
                    "use": key.use,
                    **_SUITE_NAMES,
                    "wrapped": base64.b64encode(
                        _SUITE.encrypt(data_key, key.hpke_key(), info=context)
                    ).decode(),
                }
                for key in recipients
            ],
        }
    )


@dataclass(frozen=True, slots=True, repr=False)
class OpenedEnvelope:
    """The data key and the context it was bound to. Drop it as soon as the read ends."""

    data_key: bytes
    context: bytes
    recording: RecordingId
    station: str


def recipients_of(envelope: bytes, expected: RecordingId) -> frozenset[str]:
    """Return the key ids that open this envelope. Raises: EnvelopeError."""
    return frozenset(entry["kid"] for entry in _parse_envelope(envelope, expected)["recipients"])


def open_envelope(envelope: bytes, key: OpenKey, expected: RecordingId) -> OpenedEnvelope:
    """Unwrap the data key of the recording that the caller asked for.

    Raises: EnvelopeError naming what is wrong: not canonical, another recording, a key that is
    not a recipient, or a wrapped key that does not open.
    """
    document = _parse_envelope(envelope, expected)
    context = context_of(expected, document["station"])
    kid = key.seal_key().kid
    for entry in document["recipients"]:
        if entry["kid"] == kid:
            try:
                data_key = _SUITE.decrypt(
                    base64.b64decode(entry["wrapped"], validate=True), key.hpke_key(), info=context
                )
            except (InvalidTag, ValueError) as error:
                raise EnvelopeError(problem="wrapped key does not open", kid=kid) from error
            if len(data_key) != DATA_KEY:
                raise EnvelopeError(problem="data key length", found=len(data_key))
            return OpenedEnvelope(data_key, context, expected, document["station"])
    raise EnvelopeError(problem="this key is not a recipient", kid=kid)


def _parse_envelope(envelope: bytes, expected: RecordingId) -> dict[str, Any]:
    try:
        document = canonical.decode(envelope)
        recording = RecordingId(UUID(document["recording"]))
        context = base64.b64decode(document["context"], validate=True)
        is_known_format = (document["v"], document["payload"]) == (1, PAYLOAD_FORMAT)
        suites = all(
            {name: entry[name] for name in _SUITE_NAMES} == _SUITE_NAMES
            and isinstance(entry["kid"], str)
            and isinstance(entry["wrapped"], str)
            for entry in document["recipients"]
        )
        bound = context == context_of(recording, document["station"])
    except (SignatureError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise EnvelopeError(problem="malformed envelope") from error
    if not (is_known_format and suites):
        raise EnvelopeError(problem="unknown envelope version or suite")
    if recording != expected:
        raise EnvelopeError(problem="envelope of another recording", found=str(recording))
    if not bound:
        raise EnvelopeError(problem="context does not match recording and station")
    return dict(document)
