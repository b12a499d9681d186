"""Recordings: find, look, play by range, answer open questions, see the chain of custody."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime

from api.http import presenters as views
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.recordings.playback import stream_original
from api.http.schemas import EntryOut, NewAnswers, RecordingOut
from api.http.security import ServiceHere, VisitorHere
from api.problems import ApiError
from policies.access.access import Act
from policies.identifiers import CaseId
from storage.catalogue.people import people
from storage.catalogue.recordings import recording_search, recordings
from storage.catalogue.recordings.recording_search import RecordingFilter
from storage.catalogue.recordings.recordings import Answers
from storage.errors import ConflictError
from storage.recording import MediaKind

router = APIRouter(tags=["recordings"])


@router.get("/recordings")
def list_recordings(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    text: Annotated[str | None, Query(max_length=200)] = None,
    case: Annotated[CaseId | None, Query(max_length=36)] = None,
    officer: Annotated[str | None, Query(max_length=100)] = None,
    source: Annotated[str | None, Query(max_length=100)] = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    kind: MediaKind | None = None,
    unanswered: bool = False,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[RecordingOut]:
    """Return the recordings of your township that fit, newest first."""
    service.authorise(visitor, Act.LIST_RECORDINGS)
    recording_filter = RecordingFilter(
        township=visitor.person.township,
        case=case,
        officer=officer,
        source=source,
        since=since,
        until=until,
        text=text,
        kind=kind,
        unanswered=unanswered,
    )
    with service.office.catalogue.read() as session:
        rows = recording_search.search_recordings(
            session, recording_filter, read_cursor("recordings", cursor, str), limit + 1
        )
        show = partial(views.present_recording, session)
        return page_of("recordings", rows, limit, lambda row: (row.id,), show)


@router.get("/recordings/{recording}")
def get_recording(recording: UUID, service: ServiceHere, visitor: VisitorHere) -> RecordingOut:
    """Return one recording."""
    row = service.authorise_recording(visitor, recording, Act.LIST_RECORDINGS)
    with service.office.catalogue.read() as session:
        return views.present_recording(session, row)


Purpose = Literal["play", "copy"]


@router.get(
    "/recordings/{recording}/content",
    responses={
        200: {"description": "The original", "content": {"application/octet-stream": {}}},
        206: {"description": "The bytes asked for"},
        416: {"description": "The range lies outside"},
    },
)
def get_content(
    recording: UUID,
    service: ServiceHere,
    visitor: VisitorHere,
    request: Request,
    purpose: Purpose = "play",
) -> Response:
    """Return the original's bytes, or a range of them. Every access is logged before it begins."""
    row = service.authorise_recording(
        visitor, recording, Act.PLAY if purpose == "play" else Act.COPY
    )
    return stream_original(service, visitor, row, request, purpose)


@router.head("/recordings/{recording}/content")
def content_facts(
    recording: UUID,
    service: ServiceHere,
    visitor: VisitorHere,
    request: Request,
    purpose: Purpose = "play",
) -> Response:
    """Return the headers of `content` alone: no byte leaves, so nothing is logged."""
    return get_content(recording, service, visitor, request, purpose)


@router.get("/recordings/{recording}/custody")
def list_recording_custody(
    recording: UUID,
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[EntryOut]:
    """Return the recording's chain of custody, oldest first."""
    row = service.authorise_recording(visitor, recording, Act.LIST_RECORDINGS)
    with service.office.catalogue.read() as session:
        return views.present_custody(session, row, cursor, limit)


@router.get("/recordings/{recording}/receipt")
def get_receipt(recording: UUID, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Return the centre's signed receipt, exactly as the station got it."""
    row = service.authorise_recording(visitor, recording, Act.LIST_RECORDINGS)
    if row.receipt_text is None:
        raise ApiError("not-found", what="receipt", id=row.id)
    return Response(row.receipt_text, media_type="application/json")


@router.post("/recordings/{recording}/answers")
def answer_questions(
    recording: UUID, answers: NewAnswers, service: ServiceHere, visitor: VisitorHere
) -> RecordingOut:
    """Record a person's answers to open questions; the sealed record never changes."""
    row = service.authorise_recording(visitor, recording, Act.ANSWER)
    questions = set(row.questions)
    if (answers.start_at and not questions & {"start", "confirm-start"}) or (
        answers.officer and "officer" not in questions
    ):
        # What the recorder itself told is not for one person to move.
        raise ConflictError(problem="nobody asked this", recording=row.id)
    with service.office.catalogue.write() as uow:
        # Inside the transaction: a person who is gone makes the answer fail, not a row without one.
        officer = people.get_person(uow.session, answers.officer) if answers.officer else None
        checked_answers = Answers(
            start_at=answers.start_at, officer_id=officer.id if officer else None
        )
        recordings.answer_questions(uow, row.id, checked_answers, actor=visitor.actor)
    with service.office.catalogue.read() as session:
        return views.present_recording(session, recordings.by_id(session, row.id))
