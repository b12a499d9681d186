"""Change of the custody log's origin, step by step, and its record in the log.

The order is the promise. Under the signer's lock and the database's: the last head under the old
origin is signed; the signer's memory says that nobody signs under it again; the entry that says
so is committed, as the first beyond that head. Then the key ring names the new origin
(`vault.keys.keep_log_key`), and the next head is signed under it (`publish.py`). Cut short
anywhere, the same call goes on.
"""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM
from storage.catalogue.log.custody_log import LogReader, keep_checkpoint, proof_for
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import PremisType
from storage.custody.origin import ACT, SUBJECT, OriginChange, change_details, former_origin
from storage.custody.signer import LogSigner
from storage.errors import CustodyError
from storage.signed.signing import FormerOrigin, VerifyKey


def change_origin(
    catalogue: Catalogue,
    signer: LogSigner,
    key: VerifyKey,
    origin: str,
    on_step: Callable[[str], None] = lambda _step: None,
) -> VerifyKey:
    """Write the change into the log, once; return the log's key under the new origin.

    `signer` and `key` are those of the old origin. Afterwards nobody can sign under it.
    Raises: CustodyError (another change was begun; the log contradicts its last head),
    CatalogueBusyError.
    """
    if signer.next_origin not in {None, signer.origin, origin}:
        raise CustodyError(problem="another change of origin was begun", found=signer.next_origin)
    with catalogue.read() as session:
        former = _read_former_origins(LogReader(session), origin)
    if not former:
        former = (*key.former, _retire_origin(catalogue, signer, origin, on_step))
    on_step("change-logged")
    return replace(key, name=origin, former=former)


def _retire_origin(
    catalogue: Catalogue, signer: LogSigner, origin: str, on_step: Callable[[str], None]
) -> FormerOrigin:
    """Sign the last head, give its origin up and log that; return what was the last head."""
    # Signer before database, as everywhere: two who take them the other way round wait for ever.
    with signer.hold(leaving=True) as locked_signer, catalogue.write() as uow:
        log = LogReader(uow.session)
        size = log.size
        text = locked_signer.sign(
            size,
            log.compute_root(size),
            log.prove_consistency(locked_signer.last.size, size),
            uow.at,
        )
        keep_checkpoint(uow.session, text, uow.at)
        on_step("last-head-signed")
        # Before the commit: should it fail, nobody signs under the old origin, and the same call
        # goes on; the other way round the old origin could get another head.
        locked_signer.leave_origin(origin)
        on_step("origin-left")
        before = FormerOrigin(locked_signer.last.origin, size, locked_signer.last.root)
        uow.record(
            ACT,
            PremisType.METADATA_MODIFICATION,
            actor=SYSTEM,
            subject=SUBJECT,
            **change_details(before, origin),
        )
    return before


def _read_former_origins(log: LogReader, origin: str) -> tuple[FormerOrigin, ...]:
    """Return every origin before this one, where the change to it was committed; else none.

    The log is asked, not the key: a key folder of before may have been put back.
    """
    former: list[FormerOrigin] = []
    # In their order: those before this change are former origins, too.
    for event in log.events_of(SUBJECT):
        former.append(former_origin(event.details))
        if event.details["origin"] == origin:
            return tuple(former)
    return ()


def origin_changes(session: Session, checkpoint: str) -> list[OriginChange]:
    """Return every change of the log's origin with its proof under this checkpoint, oldest first.

    Raises: CustodyError when the checkpoint is older than a change.
    """
    log = LogReader(session)
    return [
        OriginChange(
            log.get_leaf(event.index),
            event.details,
            event.salt,
            proof_for(session, event.index, checkpoint),
        )
        for event in log.events_of(SUBJECT)
    ]
