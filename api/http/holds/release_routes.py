"""Proposed releases of holds: approved, rejected or withdrawn. Nobody decides on what concerns him.

They are proposed where the hold is (`routes.py`) or the proceeding (`../proceedings.py`).
"""

from functools import partial

from fastapi import APIRouter

from api.http.holds import presenters as release_views
from api.http.holds.presenters import Look
from api.http.paging import PAGE, Cursor, Limit, Page, page_of, read_cursor
from api.http.retention.schemas import Justification, ReleaseOut
from api.http.schemas import Id
from api.http.security import ServiceHere, VisitorHere
from api.office.identity import Visitor
from api.office.service import Service
from api.problems import ApiError
from policies.access.access import Act
from policies.retention.releases import ReleaseState
from storage.catalogue.cases.tables import ReleaseRow
from storage.catalogue.holds import concerns, releases

router = APIRouter(tags=["keeping"])


@router.get("/releases")
def list_releases(
    service: ServiceHere,
    visitor: VisitorHere,
    *,
    waiting: bool = False,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> Page[ReleaseOut]:
    """Return the proposed releases of your township, newest first; `waiting` omits those over."""
    service.authorise(visitor, Act.SEE_KEEPING)
    own, after = visitor.person.township, read_cursor("releases", cursor, str)
    with service.office.catalogue.read() as session:
        rows = releases.list_releases(
            session, waiting=waiting, township=own, after=after, limit=limit + 1
        )
        show = partial(release_views.present_release, Look(session, visitor))
        return page_of("releases", rows, limit, lambda row: (row.id,), show)


@router.get("/releases/{release}")
def get_release(release: Id, service: ServiceHere, visitor: VisitorHere) -> ReleaseOut:
    """Return one proposed release, and what of it you may do."""
    return _present_by_id(service, visitor, _find_release(service, visitor, release))


@router.post("/releases/{release}/approve")
def approve_release(release: Id, service: ServiceHere, visitor: VisitorHere) -> ReleaseOut:
    """Approve what another person proposed: the holds end now; 409 when they changed meanwhile."""
    row = _find_release(service, visitor, release)
    # The rows that a release rests on are compared with entries under the last signed head: it
    # should cover them.
    service.publish_checkpoint()
    with (
        service.logging_refusal(visitor, "hold.release", releases.subject_of_release(row)),
        service.office.catalogue.write() as uow,
    ):
        decided = releases.approve_release(uow, row.id, by=visitor.person)
    if decided.state == ReleaseState.VOID:
        # Voided in that transaction, and logged: the answer says who may propose anew.
        with service.office.catalogue.read() as session:
            hold_facts = releases.covered_by(session, decided).hold_facts
        raise ApiError("release-void", release=row.id, **concerns.who_may(hold_facts, second=False))
    return _present_by_id(service, visitor, decided)


@router.post("/releases/{release}/reject")
def reject_release(
    release: Id, justification: Justification, service: ServiceHere, visitor: VisitorHere
) -> ReleaseOut:
    """Reject what another person proposed; the holds stay."""
    row = _find_release(service, visitor, release)
    with (
        service.logging_refusal(visitor, "hold.release.reject", releases.subject_of_release(row)),
        service.office.catalogue.write() as uow,
    ):
        decided = releases.reject_release(uow, row.id, justification.why, by=visitor.person)
    return _present_by_id(service, visitor, decided)


@router.post("/releases/{release}/withdraw")
def withdraw_release(
    release: Id, justification: Justification, service: ServiceHere, visitor: VisitorHere
) -> ReleaseOut:
    """Withdraw what you proposed yourself; the holds stay."""
    row = _find_release(service, visitor, release)
    with (
        service.logging_refusal(visitor, "hold.release.withdraw", releases.subject_of_release(row)),
        service.office.catalogue.write() as uow,
    ):
        decided = releases.withdraw_release(uow, row.id, justification.why, by=visitor.person)
    return _present_by_id(service, visitor, decided)


def _find_release(service: Service, visitor: Visitor, release: str) -> ReleaseRow:
    """Return a proposal that this person may see. Raises: NotFoundError, ApiError(forbidden)."""
    with service.office.catalogue.read() as session:
        row = releases.get_release(session, release)
        township = release_views.township_of_release(session, row)
    service.authorise(visitor, Act.SEE_KEEPING, township, releases.subject_of_release(row))
    return row


def _present_by_id(service: Service, visitor: Visitor, row: ReleaseRow) -> ReleaseOut:
    with service.office.catalogue.read() as session:
        return release_views.present_release(Look(session, visitor), row)
