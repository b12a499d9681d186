"""A station as the first witness of the centre's log: it keeps the newest head that it saw.

With each delivery the centre must prove that its log continues that head, and that the receipt's
head lies between both (RFC 9162 2.1.4.2). A log that was put back from an old copy, or that goes on
beside the one that this station knows, cannot: then an alarm stands, in this station's journal and
as a note for the centre's log; nothing is believed and nothing cleared until the log proves itself
again or a person writes down why the station shall go on. A centre of an edition without proofs is
told, and is believed as before; one that gave proofs once must go on giving them.
"""

import base64
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.centre_protocol import Centre
from ingest.station.journal import Journal
from policies.identifiers import StationId, Subject
from storage.catalogue.stations.journal_tables import LogAlarmRow, LogHeadRow
from storage.custody.checkpoint import Checkpoint, log_keys, open_checkpoint, untrusted_checkpoint
from storage.custody.merkle.proof import Proof
from storage.custody.outside_head import Contradiction, find_contradiction
from storage.errors import CustodyError, LiuhenError, LogContradictedError, SignatureError
from storage.signed import canonical
from storage.signed.signing import VerifyKey

LOG = logging.getLogger("liuhen.station")
ALARM, FOLLOW = "station.log-alarm", "station.log-follow"
UNPROVEN = "unproven"  # the centre gave proofs once, and gives none any more


@dataclass(slots=True)
class Witness:
    """Witness of the centre's log, of one station. Thread-safe."""

    station: str
    journal: Journal
    centre: Centre
    log_key: Callable[[], VerifyKey]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def alarm(self) -> LogContradictedError | None:
        """The alarm that stands, as the error that it was; None while none does."""
        row = self.journal.log_alarm()
        return (
            None
            if row is None
            else LogContradictedError(row.how, **_describe_heads(row.seen, row.shown))
        )

    def check_log(self, *receipt_checkpoints: str) -> None:
        """Make sure that the centre's log continues the head seen last, and these of receipts.

        The receipts were verified. Keeps the newest head, durably, and ends an alarm that stood.
        Raises: LogContradictedError, SignatureError (a head that the log did not sign), and as
        `Centre.prove_log`.
        """
        with self._lock:  # what one delivery learns, the next one must be held to
            stored_head = self._stored_head()
            texts = [
                *([stored_head.checkpoint] if stored_head is not None else []),
                *receipt_checkpoints,
            ]
            heads = {text: self._open_head(text) for text in texts}
            answer = self.centre.prove_log({head.size for head in heads.values()})
            if answer is None:
                self._without_proof(stored_head, list(heads.items()))
                return
            newest = self._open_head(answer.checkpoint)
            for text, head in heads.items():
                proof = answer.proofs.get(head.size, ())
                if (how := find_contradiction(head, newest, proof)) is not None:
                    self._raise_alarm(how, text, answer.checkpoint)
            self._accept_head(answer.checkpoint)

    def _stored_head(self) -> LogHeadRow | None:
        """Return the newest head that was seen; at first, of the receipts that are here already."""
        if (row := self.journal.log_head()) is not None:
            return row
        newest: tuple[int, str] | None = None
        for receipt in self.journal.list_receipts():
            try:
                text = Proof.parse(canonical.decode(receipt)["body"]["proof"]).checkpoint
                head = self._open_head(text)
            except (LiuhenError, KeyError, TypeError):
                continue  # its owner finds that out, before anything is cleared against it
            if newest is None or head.size > newest[0]:
                newest = (head.size, text)
        return None if newest is None else LogHeadRow(id=1, checkpoint=newest[1], proven=False)

    def _open_head(self, text: str) -> Checkpoint:
        key = self.log_key()
        return open_checkpoint(text, log_keys(key, key.name))

    def _without_proof(
        self, stored_head: LogHeadRow | None, heads: Sequence[tuple[str, Checkpoint]]
    ) -> None:
        if stored_head is not None and stored_head.proven:
            self._raise_alarm(UNPROVEN, stored_head.checkpoint, "")
        newest = max(heads, key=lambda pair: pair[1].size, default=None)
        if newest is None:
            return
        for text, head in heads:
            if head.size == newest[1].size and head.root != newest[1].root:
                self._raise_alarm(Contradiction.FORKED, newest[0], text)
        if stored_head is None or newest[0] != stored_head.checkpoint:
            LOG.warning(
                "县中心版本较旧,不证明其日志前后一致,本站照旧工作 (the centre gives no proofs)"
            )
            self.journal.keep_log_head(newest[0], proven=False)

    def _raise_alarm(self, how: str, seen_head: str, shown_head: str) -> None:
        """Raise the alarm, once. Raises: LogContradictedError, always."""
        standing = self.journal.log_alarm()
        if standing is None or standing.how != how:
            LOG.error(
                "监管链日志与本站见过的不符 (%s): %s", how, _describe_heads(seen_head, shown_head)
            )
            with self.journal.open_transaction():
                if standing is not None:
                    self.journal.end_log_alarm(standing, f"then {how}")
                self.journal.raise_log_alarm(how, seen_head=seen_head, shown_head=shown_head)
                self._note_log_act(
                    ALARM,
                    "failure",
                    {"reason": f"log-{how}", **_describe_heads(seen_head, shown_head)},
                )
        raise LogContradictedError(how, **_describe_heads(seen_head, shown_head))

    def _accept_head(self, newest: str) -> None:
        with self.journal.open_transaction():
            self.journal.keep_log_head(newest, proven=True)
            if (standing := self.journal.log_alarm()) is not None:
                self.journal.end_log_alarm(standing)
                facts = _describe_heads(standing.seen, newest)
                self._note_log_act(FOLLOW, "success", {"reason": "proven", **facts})

    def _note_log_act(self, act: str, outcome: str, details: dict[str, Any]) -> None:
        subject = Subject.of_station(StationId(self.station))
        self.centre.note_act(act, subject=subject, outcome=outcome, details=details)


def accept_log(
    journal: Journal, reason: str, note: Callable[[str, dict[str, Any]], None]
) -> LogAlarmRow:
    """End the alarm that stands, for a person's reason: the station goes on from the head shown.

    Both heads stay in the journal. `note` brings act and details to the centre's log.
    Raises: CustodyError when no alarm stands.
    """
    standing = journal.log_alarm()
    if standing is None:
        raise CustodyError(problem="no alarm over the log stands")
    with journal.open_transaction():
        journal.end_log_alarm(standing, reason)
        if standing.shown:
            journal.keep_log_head(standing.shown, proven=True)
        else:
            journal.keep_log_head(standing.seen, proven=False)
        note(FOLLOW, {"reason": reason, **_describe_heads(standing.seen, standing.shown)})
    return standing


def _describe_heads(seen_head: str, shown_head: str) -> dict[str, Any]:
    """Return both heads' sizes and roots, as entries and messages tell them."""
    facts: dict[str, Any] = {}
    for name, text in (("seen", seen_head), ("shown", shown_head)):
        try:
            head = untrusted_checkpoint(text)
        except SignatureError:
            continue
        facts |= {f"{name}_size": head.size, f"{name}_root": base64.b64encode(head.root).decode()}
    return facts
