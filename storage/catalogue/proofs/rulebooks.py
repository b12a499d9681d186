"""Which rulebook judged: its files, word for word, and an entry at each change of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from policies.identifiers import SYSTEM
from policies.rules.rules import JUDGE_EDITION, Rulebook
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.tables import RulebookTextRow
from storage.catalogue.unit_of_work import Catalogue
from storage.custody.entries.event import PremisType
from storage.custody.entries.subjects import RULEBOOK
from storage.errors import NotFoundError


def log_rulebook(catalogue: Catalogue, rulebook: Rulebook) -> None:
    """Keep the rulebook's files and log their digests, unless they are those logged last."""
    with catalogue.read() as session:
        if _last_digest(session) == rulebook.digest:
            return
    with catalogue.write() as uow:
        # Another process may have logged it while this one waited.
        if _last_digest(uow.session) == rulebook.digest:
            return
        for edition in rulebook.editions:
            # Editions share files: each text is kept once, by its digest.
            if uow.session.get(RulebookTextRow, edition.sha256) is None:
                uow.session.add(RulebookTextRow(sha256=edition.sha256, text=edition.text))
        uow.record(
            "rulebook.load",
            PremisType.POLICY_ASSIGNMENT,
            actor=SYSTEM,
            subject=RULEBOOK,
            digest=rulebook.digest,
            files={name: edition.sha256 for name, edition in rulebook.editions_by_file.items()},
        )


def judged_by(rulebook: Rulebook) -> dict[str, Any]:
    """Return what a verdict's entry says of its judge."""
    return {"rulebook": rulebook.digest, "judge": JUDGE_EDITION}


def rulebook_files(session: Session, digest: str) -> dict[str, bytes]:
    """Return the files of a rulebook that was ever loaded, by name. Raises: NotFoundError."""
    for details in reversed(_list_loads(session)):
        if details["digest"] == digest:
            return {name: _read_text(session, sha256) for name, sha256 in details["files"].items()}
    raise NotFoundError(what="rulebook", id=digest)


def _read_text(session: Session, sha256: str) -> bytes:
    text = session.scalar(select(RulebookTextRow.text).where(RulebookTextRow.sha256 == sha256))
    if text is None:
        raise NotFoundError(what="rulebook file", id=sha256)
    return text.encode()


def _last_digest(session: Session) -> str | None:
    loads = _list_loads(session)
    return str(loads[-1]["digest"]) if loads else None


def _list_loads(session: Session) -> list[Mapping[str, Any]]:
    return [event.details for event in LogReader(session).events_of(RULEBOOK)]
