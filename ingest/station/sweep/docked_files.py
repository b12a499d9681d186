"""Files of one docking, as the journal knows them."""

from dataclasses import dataclass

from ingest.bays.bay import FileReport, Outcome
from ingest.bays.census import display_parts, display_path
from ingest.bays.docking import Docking, version_of
from ingest.bays.submission import Submission
from ingest.bays.watch import Refused
from ingest.sources.names import make_opaque
from ingest.station.equipment import Equipment
from ingest.station.journal import RECEIPTED, Entry, State
from storage.errors import SubmissionError


@dataclass(frozen=True, slots=True)
class DockedFiles:
    """The files of a docking in a bay: their entries, and the refusals noted of them."""

    equipment: Equipment
    docking: Docking
    bay: str

    def find_entry(self, submission: Submission) -> Entry:
        """Return the journal's entry for this file: of the bytes that were read in this docking."""
        number = self.docking.entries.get(version_of(submission))
        journal = self.equipment.journal
        entry = journal.by_id(number) if number is not None else None
        return entry or journal.find_or_add_entry(
            source=submission.source,
            path=submission.path,
            size=submission.size,
            mtime_ns=submission.mtime_ns,
            bay=submission.bay,
        )

    def undo_attempt(self, submission: Submission) -> Entry:
        """Give up an unfinished attempt at this file, at the centre and in the journal."""
        entry = self.find_entry(submission)
        if entry.state is State.SEALING:
            if entry.recording is not None:
                self.equipment.centre.discard_attempt(entry.recording)
            entry = self.equipment.journal.move_entry(entry, State.WAITING, recording=None)
        return entry

    def report_receipted(self, entry: Entry, submission: Submission) -> FileReport:
        """Return a receipted file's outcome, and remember it once its bytes were read again.

        Raises: SubmissionError(journal-damaged).
        """
        if entry.receipt is None or entry.state not in RECEIPTED:
            raise SubmissionError(reason="journal-damaged")
        report = FileReport(
            display_path(submission.path),
            Outcome.DUPLICATE if entry.state is State.DUPLICATE else Outcome.ACCESSIONED,
            entry.facts.get("recording") or str(entry.recording),
            entry.sha256,
        )
        version = version_of(submission)
        if version in self.docking.checked and entry.changed is not None:
            self.docking.settled[version] = (report, entry.changed)
        return report

    def report_refusal(self, refusal: Refused) -> FileReport:
        """Return the result of an entry that cannot be looked into; noted once in a docking."""
        path = display_parts(refusal.parts) or "."
        key = b"/".join(refusal.parts)
        if key not in self.docking.refused:
            self.equipment.centre.note_act(
                "submission.refuse",
                subject=f"bay:{make_opaque(self.bay)}",
                outcome="refused",
                details={"reason": refusal.reason, "path": path},
            )
            self.docking.refused.add(key)  # last: what was not logged is noted at the next look
        return FileReport(path, Outcome.QUARANTINED, reason=refusal.reason)
