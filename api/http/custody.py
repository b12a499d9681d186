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
def get_checkpoint(service: ServiceHere, visitor: VisitorHere) -> str:
    """Sign and return the newest head (C2SP tlog-checkpoint)."""
    service.authorise(visitor, Act.VERIFY)
    return service.publish_checkpoint()


@router.get("/custody/entries/{index}", response_class=PlainTextResponse)
def get_log_entry(index: Index, service: ServiceHere, visitor: VisitorHere) -> str:
    """Return one entry's exact text."""
    service.authorise(visitor, Act.VERIFY)
    with service.office.catalogue.read() as session:
        return custody_log.LogReader(session).get_leaf(index)


@router.get("/custody/entries/{index}/proof", response_class=PlainTextResponse)
def get_inclusion_proof(index: Index, service: ServiceHere, visitor: VisitorHere) -> str:
    """Return the entry's inclusion proof under the newest head (C2SP tlog-proof)."""
    service.authorise(visitor, Act.VERIFY)
    # Signed first: the entry may be younger than the last head, under which it has no proof.
    head = service.publish_checkpoint()
    with service.office.catalogue.read() as session:
        # An index that was never written is "not found", before a proof of it is tried.
        custody_log.LogReader(session).get_leaf(index)
        return custody_log.proof_for(session, index, head)


@router.post("/custody/verification")
def verify_everything(service: ServiceHere, visitor: VisitorHere) -> VerificationOut:
    """Check every object, row, entry and head; the check itself is an entry in the log."""
    service.authorise(visitor, Act.VERIFY)
    report = service.verify_office(visitor)
    return VerificationOut(
        verified=report.verified,
        recordings=report.recordings,
        wrong=[
            WrongOut(what=fault.kind, subject=fault.subject, zh=fault.zh, en=fault.en)
            for fault in report.wrong
        ],
        orphans=report.orphans,
    )
