"""A sealed record as the catalogue holds it: parsed once, before any transaction is begun."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from policies.identifiers import PersonId, StationId
from storage.catalogue.people import people
from storage.catalogue.recordings import recordings
from storage.catalogue.unit_of_work import View
from storage.record import SealedRecord
from storage.recording import MediaKind
from storage.signed.signing import signer_of

ParsedRecord = partial[recordings.NewRecording]  # all of it but `township` and `retain_until`


def station_and_operator(sealed: ParsedRecord) -> tuple[str, str | None]:
    """Return the station of a record, and who handed the file in there, if anybody did."""
    return sealed.keywords["station"], sealed.keywords["handed_in"].get("operator")


def find_township(session: View, station: str, operator: str | None) -> str:
    """Return a recording's township: its station's, or that of the person who handed it in."""
    if operator is not None:
        return people.get_person(session, PersonId(operator.removeprefix("person:"))).township
    return people.get_station(session, StationId(station)).township


def parse_record(
    sealed: SealedRecord, record: bytes, envelope: bytes, handed_in: Mapping[str, str]
) -> ParsedRecord:
    """Parse a record for the catalogue. Raises: KeyError, TypeError, ValueError: no record."""
    media = dict(sealed.media)
    start = sealed.clocks["file_start"]
    docked = sealed.clocks.get("docked_at")
    # As a bundle's reader works it out (bundle.md section 3, point 7): an unknown offset counts as
    # 0.
    offset = sealed.clocks["offset_s"]
    began = datetime.fromisoformat(start) + timedelta(seconds=offset or 0) if start else None
    duration = media["duration_s"]
    return partial(
        recordings.NewRecording,
        id=sealed.id,
        source_serial=sealed.source["identity"],
        sha256=sealed.original,
        size=sealed.size,
        name=sealed.offered["name"],
        path=sealed.offered["path"],
        kind=MediaKind(media["kind"]),
        playable=media["playable"],
        unplayable_reason=media["unplayable_reason"],
        station=StationId(sealed.station),
        handed_in=handed_in,
        signer=signer_of(record),
        profile=sealed.source["profile"],
        record_text=record.decode(),
        envelope_text=envelope.decode(),
        container=media["container"],
        duration_s=duration,
        start_at=began,
        end_at=began + timedelta(seconds=duration) if began and duration is not None else None,
        clock_offset_s=offset,
        has_video=media["has_video"],
        has_audio=media["has_audio"],
        video_gaps=tuple((a, b) for a, b in media["missing_video"]),
        audio_gaps=tuple((a, b) for a, b in media["missing_audio"]),
        officer_no=sealed.officer_no,
        sequence=str(sealed.sequence) if sealed.sequence is not None else None,
        marked=sealed.marked,
        questions=sealed.questions,
        media=media,
        inspection=[dict(finding) for finding in sealed.inspection],
        source_kind=sealed.source["kind"],
        file_start=datetime.fromisoformat(start) if start else None,
        docked_at=datetime.fromisoformat(docked) if docked else None,
    )
