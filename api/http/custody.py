"""The custody log for reviewers: head, entries, proofs, and a check of everything kept."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import PlainTextResponse

from api.http.schemas import VerificationOut, WrongOut
from api.http.security import ServiceHere, VisitorHere
from policies.access.access import Act
from storage.catalogue.log import custody_log

router = APIRouter(tags=["custody"])
Index = Annotated[int, Path(ge=0, le=1 << 62)]


@router.get("/custody/checkpoint", response_class=PlainTextResponse)
def checkpoint(service: ServiceHere, visitor: VisitorHere) -> str:
    """Sign and return the newest head (C2SP tlog-checkpoint)."""
    service.authorise(visitor, Act.VERIFY)
    return service.checkpoint()


@router.get("/custody/entries/{index}", response_class=PlainTextResponse)
def leaf(index: Index, service: ServiceHere, visitor: VisitorHere) -> str:
    """Return one entry's exact text."""
    service.authorise(visitor, Act.VERIFY)
    with service.office.catalogue.read() as session:
        return custody_log.LogReader(session).leaf(index)


@router.get("/custody/entries/{index}/proof", response_class=PlainTextResponse)
def proof(index: Index, service: ServiceHere, visitor: VisitorHere) -> str:
    """Return the entry's inclusion proof under the newest head (C2SP tlog-proof)."""
    service.authorise(visitor, Act.VERIFY)
    head = service.checkpoint()
    with service.office.catalogue.read() as session:
        custody_log.LogReader(session).leaf(index)
        return custody_log.proof_for(session, index, head)


@router.post("/custody/verification")
def verification(service: ServiceHere, visitor: VisitorHere) -> VerificationOut:
    """Check every object, row, entry and head; the check itself is an entry in the log."""
    service.authorise(visitor, Act.VERIFY)
    report = service.verification(visitor)
    return VerificationOut(
        verified=report.verified,
        recordings=report.recordings,
        wrong=[
            WrongOut(what=fault.what, subject=fault.subject, zh=fault.zh, en=fault.en)
            for fault in report.wrong
        ],
        orphans=report.orphans,
    )
