"""Clearing of a docked source, file by file, and the notes of it that a crash must not lose.

The order is: the centre says now that it holds the bytes; the journal says that the file is about
to go; `clear.clear_file` reads it once more and unlinks it; the act is noted and the entry moved,
in one transaction. What is unlinked and not noted is found out by whoever looks next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.bays.bay import Bay, BayState, FileReport, Progress
from ingest.bays.docking import version_of
from ingest.bays.submission import Submission, folder_known, is_gone
from ingest.sources.volume import VolumeIdentity
from ingest.station.clear import UNSURE, clear_file, digest_source
from ingest.station.clear_when import When
from ingest.station.equipment import Equipment
from ingest.station.journal import Entry, State
from ingest.station.sweep.docked_files import DockedFiles
from policies.identifiers import Subject
from storage.digest import Algorithm, Digest
from storage.errors import SignatureError, SubmissionError

_FOLDER = "folder"  # a fact of an entry that is being cleared: `folder_known`


@dataclass(slots=True)
class SourceClearing:
    """What a station clears. It outlives every docking: a card that is pulled takes no note along.

    `_unlinked` are the entries that this process saw to go, by their bay, until it is noted.
    """

    equipment: Equipment
    _unlinked: dict[int, str] = field(default_factory=dict)

    def is_due(self, files: DockedFiles, submission: Submission) -> bool:
        """Whether the settings let a receipted file go from its source now."""
        clearing = self.equipment.clearing
        if submission.operator is not None:
            return True  # what a person handed in is a copy of ours
        if clearing.when is When.NEVER:
            return False
        settled = files.docking.settled.get(version_of(submission))
        changed = settled[1] if settled is not None else files.find_entry(submission).changed
        return changed is not None and clearing.is_due(
            self.equipment.reckoning.start_of(changed), self.equipment.clock()
        )

    def clear_submission(
        self,
        files: DockedFiles,
        submission: Submission,
        report: FileReport,
        progress: Progress,
        state: BayState,
    ) -> FileReport:
        """Clear one file, if the centre says now that it holds it; `state` is what its bay is in.

        Raises: SubmissionError, and as `clear_file`.
        """
        equipment, journal = self.equipment, self.equipment.journal
        entry = files.find_entry(submission)
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256 or ""))
        # A receipt is old news: the centre says now that it still holds these bytes.
        is_held = equipment.centre.still_holds(submission.source, original)
        if is_held is None:
            return report  # nobody can say: the file stays until somebody can
        progress.worked = True
        # Lost or destroyed at the centre: the card holds the last copy and is sealed again.
        if is_held is False:
            files.docking.reopen_file(version_of(submission))
            journal.restart_entry(entry)
            raise SubmissionError(reason="taken-anew")
        if state is BayState.ACCESSIONED:
            progress.show_changes(state=state, current=None)
        else:
            progress.show_reading()
        if entry.state is not State.CLEARING:
            folder_identity = folder_known(submission.root, submission.path)
            # Journaled before the unlink: after a crash, a vanished file is known as cleared.
            entry = journal.move_entry(
                entry, State.CLEARING, facts=entry.facts | {_FOLDER: folder_identity}
            )
        equipment.on_step("clearing")
        self._remove_source(files, submission, entry)
        self._unlinked[entry.id] = submission.bay
        equipment.on_step("unlinked")
        self._note_clearing(entry, str(report.recording), noticed_gone=False)
        files.docking.reopen_file(version_of(submission))
        return replace(report, cleared=True)

    def _remove_source(self, files: DockedFiles, submission: Submission, entry: Entry) -> None:
        """Unlink the source against the receipt. Raises: SubmissionError, and as `clear_file`."""
        equipment, journal = self.equipment, self.equipment.journal
        heed: Callable[[float], None] = equipment.heed_stop
        try:
            clear_file(
                submission, entry.receipt or b"", equipment.centre_key, equipment.log_key, heed
            )
        except SubmissionError as error:
            if error.facts.get("reason") != UNSURE:  # else the next look finds out
                journal.move_entry(entry, State.ACCESSIONED)
            raise
        except SignatureError as error:
            # Other bytes than the receipt's are another recording, which the next look takes.
            files.docking.reopen_file(version_of(submission))
            journal.move_entry(entry, State.ACCESSIONED)
            if digest_source(submission, heed).hex == entry.sha256:
                raise  # the bytes are the same, so the receipt is not good: a person must look
            raise SubmissionError(reason="changed") from error

    def note_unlinked(self, bay: Bay) -> None:
        """Note what this bay's thread itself removed, where the note failed then."""
        for entry in self.equipment.journal.in_state(State.CLEARING) if self._unlinked else ():
            if self._unlinked.get(entry.id) == bay.name:
                self._note_clearing(entry, _recording_of(entry), noticed_gone=False)

    def finish_clearing(self, bay: Bay, volume: VolumeIdentity | None) -> None:
        """After a crash between unlink and note: what is gone from this very source is noted.

        Only where the file system itself says that the name is gone from the whole volume: what a
        look did not come to, or was not asked about, is no proof of anything. A slot is no volume:
        what is not in it now may be elsewhere, unless the folder is there that the file was in.
        """
        if bay.only is not None or not bay.whole:
            return
        for entry in self.equipment.journal.in_state(State.CLEARING):
            if _is_source_of(entry, bay, volume) and is_gone(bay.root, entry.path):
                self._note_clearing(entry, _recording_of(entry), noticed_gone=True)

    def _note_clearing(self, entry: Entry, recording: str, *, noticed_gone: bool) -> None:
        """Note that a source was cleared; `gone` says that it was not seen to go, but to be gone.

        A centre far away hears of it through the journal: once, whenever we are killed.
        """
        equipment = self.equipment
        details: dict[str, Any] = {"submission": entry.id, "sha256": entry.sha256}
        with equipment.journal.open_transaction():
            equipment.centre.note_act(
                "source.clear",
                subject=Subject.of_recording(recording),
                outcome="success",
                details=details | ({"noticed": "gone after a restart"} if noticed_gone else {}),
            )
            equipment.on_step("clear-noted")
            equipment.journal.move_entry(entry, State.CLEARED)
        self._unlinked.pop(entry.id, None)
        equipment.on_step("cleared")


def _is_source_of(entry: Entry, bay: Bay, volume: VolumeIdentity | None) -> bool:
    """Whether an entry that is being cleared came from what lies in this bay now."""
    if volume is None or bay.landing:
        return entry.bay == bay.name
    if volume.how != "bay":
        return entry.source == volume.identity
    # Whoever has no identity is known by its slot and by the folder that the file was in: another
    # card there may lack the same name, and that proves nothing of the first one.
    folder_identity = entry.facts.get(_FOLDER)
    return (
        entry.bay == bay.name
        and folder_identity is not None
        and folder_identity == folder_known(bay.root, entry.path)
    )


def _recording_of(entry: Entry) -> str:
    """Return the recording that holds an entry's bytes: of a duplicate, the first one's."""
    return entry.facts.get("recording") or str(entry.recording)
