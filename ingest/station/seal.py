"""Seal a submission: one read gives digests and ciphertext; then envelope and signed record.

The ciphertext goes straight to the centre's side of the seam; the data key lives in this function
only and is gone when it returns: the station can never open what it sealed.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import FileIO

from ingest.bays.submission import Submission, build_clock_facts, check_unchanged, start_of
from ingest.centre_protocol import Centre
from ingest.media.inspect import inspect_media
from ingest.media.probe import MediaFacts
from ingest.media.sandbox import ignore_progress
from ingest.sources.names import display_text
from storage.digest import Algorithm, Digest
from storage.errors import SubmissionError
from storage.medium import ColdSource, is_cold
from storage.record import SealedRecord
from storage.recording import RecordingId
from storage.signed.signing import SigningKey
from storage.vault.keys import SealKey
from storage.vault.objects import Block, Stored
from storage.vault.ranges import payload_size
from storage.vault.sealing import DATA_KEY, Sealer, context_of, seal_envelope


@dataclass(frozen=True, slots=True)
class Seal:
    """Who seals, and how: a station's identity, public keys and settings."""

    station: str
    key: SigningKey
    recipients: Sequence[SealKey]
    algorithms: tuple[Algorithm, ...]
    software: str
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """The two documents that go to the centre after the payload."""

    record: bytes
    envelope: bytes
    original: Digest


class _SourceError(Exception):
    """Carries a source's read error through the store, which must not take it for its own."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.errno)
        self.error = error


def _mark_source_errors(blocks: Iterable[Block]) -> Iterator[Block]:
    try:
        yield from blocks
    except OSError as error:
        raise _SourceError(error) from error


def seal_submission(
    submission: Submission,
    source: FileIO,
    media: MediaFacts,
    *,
    by: Seal,
    recording: RecordingId,
    centre: Centre,
    entropy: Callable[[int], bytes],
    now: datetime,
    progress: Callable[[float], None] = ignore_progress,
) -> Sealed:
    """Read the open file once, hand its ciphertext to the centre, return the signed documents.

    `progress` is told how much of the file is sealed, from 0 to 1.
    Raises: SubmissionError(reason=changed) when the file changed while it was read (nothing of
    the attempt counts then), OSError of the source, and whatever the centre raises.
    """
    data_key = entropy(DATA_KEY)
    # What the look at the footage left in the page cache is read from there, for a second read of
    # a slow card costs more; what is not there is read past it, and need not be copied into it.
    cold = ColdSource(source.fileno()) if is_cold(source.fileno()) else None
    sealer = Sealer(
        cold or source,
        data_key=data_key,
        context=context_of(recording, by.station),
        algorithms=by.algorithms,
        progress=lambda count: progress(count / max(submission.size, 1)),
        size=submission.size,
    )
    try:
        stored = centre.put_payload(
            recording, _mark_source_errors(sealer), payload_size(submission.size)
        )
    except _SourceError as failure:
        raise failure.error from failure
    finally:
        if cold is not None:
            cold.close()
    # After the read, on the descriptor that was read: what was written to the file meanwhile may
    # be in the payload by half, and then no record may say that these are its bytes.
    check_unchanged(source, submission)
    if sealer.size != submission.size:
        raise SubmissionError(reason="changed", was=submission.size, found=sealer.size)
    # The data key leaves this function sealed to the recipients, or not at all.
    envelope = seal_envelope(data_key, recording, by.station, by.recipients)
    payload = _Payload(recording, stored, sealer.digests)
    record = _describe_submission(submission, media, payload, envelope, by=by, now=now)
    return Sealed(record.sign(by.key), envelope, sealer.digests[Algorithm.SHA256])


@dataclass(frozen=True, slots=True)
class _Payload:
    """Ciphertext as the centre stored it, and the digests of what it was made from."""

    recording: RecordingId
    stored: Stored
    digests: Mapping[Algorithm, Digest]


def _describe_submission(
    submission: Submission,
    media: MediaFacts,
    payload: _Payload,
    envelope: bytes,
    *,
    by: Seal,
    now: datetime,
) -> SealedRecord:
    """Return the record that is signed: all that is known of a file, and what was made of it."""
    start = start_of(submission.facts, media, now)
    return SealedRecord(
        recording=str(payload.recording),
        station=by.station,
        source={
            "identity": submission.source,
            "serial": submission.facts.serial,
            "kind": submission.facts.kind,
            "profile": submission.facts.profile,
        },
        offered={
            "name": display_text(submission.path.rpartition(b"/")[2]),
            "path": "/".join(display_text(part) for part in submission.path.split(b"/")),
            "path_bytes": base64.b64encode(submission.path).decode(),
            "mtime_ns": str(submission.mtime_ns),
            "sidecars": list(submission.facts.sidecars),
        },
        size=submission.size,  # that of what was read: anything else was refused as changed
        digests={algorithm.value: digest.hex for algorithm, digest in payload.digests.items()},
        payload={
            "size": payload.stored.size,
            Algorithm.SHA256.value: payload.stored.digest.hex,
        },
        envelope={Algorithm.SHA256.value: Digest.compute(envelope).hex},
        media=media.to_json(),
        inspection=tuple(finding.to_json() for finding in inspect_media(media)),
        clocks=build_clock_facts(start, submission, now),
        officer_no=submission.facts.officer_no,
        sequence=submission.facts.sequence,
        marked=submission.facts.marked,
        questions=start.questions,
        operator=submission.operator or by.operator,
        software=by.software,
        sealed_at=now.isoformat(),
    )
