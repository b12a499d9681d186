"""One look at one bay: what lies there, whose it is, each file taken, and what is due cleared.

Each entry of a volume ends in a report, whatever happens to the others. `pending` are the files
that the look has not reached yet, so that whoever ends it early can name them.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from ingest.bays.bay import (
    Bay,
    BayState,
    FileProgress,
    FileReport,
    Outcome,
    Progress,
    derive_bay_state,
)
from ingest.bays.census import Census
from ingest.bays.docking import Docking, Dockings, version_of
from ingest.bays.settle import written_now
from ingest.bays.submission import Submission
from ingest.bays.watch import Candidate
from ingest.media.probe import FileLooker
from ingest.media.shared_sandbox import SharedSandbox
from ingest.sources.names import display_text, make_opaque
from ingest.sources.profile import SourceFacts
from ingest.sources.volume import VolumeIdentity, add_landing_serial, is_vacant
from ingest.station.equipment import Equipment
from ingest.station.sealed_entries import SealedEntries
from ingest.station.small_files import take_each
from ingest.station.sweep.bay_display import show_conclusion
from ingest.station.sweep.docked_files import DockedFiles
from ingest.station.sweep.file_faults import FileFaults
from ingest.station.sweep.file_walk import FileWalk
from ingest.station.sweep.offered_files import OfferedFiles, identify_docked_volume
from ingest.station.sweep.source_clearing import SourceClearing


@dataclass(slots=True)
class BaySweep:
    """One look at one bay, with the parts of the station that outlive it."""

    equipment: Equipment
    dockings: Dockings
    sealed: SealedEntries
    clearing: SourceClearing
    bay: Bay
    progress: Progress
    pending: list[Submission] = field(default_factory=list)
    reports: list[FileReport] = field(default_factory=list)

    def process_bay(self) -> None:
        """Look at the bay once; `reports` has the result of each entry.

        Raises: MountGoneError, StoppingError, and what would befall every file.
        """
        bay, progress = self.bay, self.progress
        if bay.hand_in_source is not None:
            bay.hand_in_source.collect_leftovers()
        docking = self.dockings.find_or_begin(bay)
        now = self.equipment.clock()
        census = docking.enumerator.take_census(bay, self._complete_facts, now)
        if census.is_empty and (bay.landing or bay.only or is_vacant(bay.root)):
            self._leave_empty_bay()
            return
        earlier = self.dockings.find_docking(bay)
        docking = self.dockings.keep_docking(bay, docking)
        swapped = earlier is not None and earlier is not docking
        files = DockedFiles(self.equipment, docking, bay.name)
        self.reports += [files.report_refusal(refusal) for refusal in census.refused]
        self.reports += census.ignored
        self.clearing.note_unlinked(bay)
        # What the bay shows is the former card's: green must not stand over one not looked at.
        if swapped or progress.state in {BayState.UNKNOWN, BayState.EMPTY}:
            progress.show_changes(state=BayState.MOUNTING)
        volume = identify_docked_volume(bay, census, docking, self.equipment.journal)
        docking = self._place_volume(docking, volume)
        self.clearing.finish_clearing(bay, volume)
        offered = OfferedFiles(bay, volume, docking).list_submissions(census)
        docking.keep_only({version_of(submission) for submission in offered})
        self._show_offered(offered, volume)
        self._process_files(docking, census, offered)
        show_conclusion(progress, self.reports, self.equipment.witness.alarm)

    def _complete_facts(self, file: Candidate, facts: SourceFacts) -> SourceFacts:
        """Complete what a name says by where it lies."""
        if not self.bay.landing:
            return facts
        place = f"{self.equipment.seal.station}-{make_opaque(self.bay.name)}"
        return add_landing_serial(facts, file.parts, place)

    def _leave_empty_bay(self) -> None:
        self.clearing.note_unlinked(self.bay)
        if self.bay.hand_in_source is not None:  # a folder of our own: what is not in it is gone
            self.clearing.finish_clearing(self.bay, None)
        self.dockings.forget_docking(self.bay)
        self.progress.show_changes(state=BayState.EMPTY)

    def _place_volume(self, docking: Docking, volume: VolumeIdentity) -> Docking:
        """Return the docking of this volume: a new one if it took another's place unseen.

        Raises: SubmissionError(serial-twice).
        """
        # What is named by hand may be a copy of what is docked: it takes no recorder's place.
        if not self.bay.whole or self.bay.landing:
            return docking
        placed = self.dockings.place_volume(self.bay, docking, volume)
        if placed is not docking:
            self.progress.show_changes(state=BayState.MOUNTING)
        return placed

    def _show_offered(self, offered: list[Submission], volume: VolumeIdentity) -> None:
        # Filled before any file is read: a failing look reports all that it did not reach.
        self.pending += offered
        progress = self.progress
        progress.source = None if self.bay.landing else volume.identity
        progress.files_total = len(offered)
        progress.bytes_total = sum(submission.size for submission in offered)
        if progress.state is BayState.MOUNTING:
            progress.show_changes(state=BayState.SCANNING)

    def _process_files(self, docking: Docking, census: Census, offered: list[Submission]) -> None:
        """Take what is offered, all of it, and only then clear what is due."""
        files = DockedFiles(self.equipment, docking, self.bay.name)
        first = len(self.reports)
        self._take_all(files, census)
        self._clear_due_files(files, offered, first)

    def _take_all(self, files: DockedFiles, census: Census) -> None:
        """Take each file that is pending; it is that until its result is there.

        What is settled in this docking costs nothing more, however many there are.
        """
        # A file that another process has open for writing is not whole, however quiet it is.
        writers = written_now()
        inodes = {file.path: (file.device, file.inode) for file in census.offered_files}
        settled = files.docking.settled

        def find_settled(submission: Submission) -> FileReport | None:
            before = settled.get(version_of(submission))
            if before is None:
                return None
            self.progress.skip_bytes(submission.size)
            self.progress.finish_file()
            return before[0]

        with closing(SharedSandbox(self.equipment.sandbox)) as sandbox:

            def take_file(submission: Submission) -> FileReport:
                open_elsewhere = None if writers is None else inodes[submission.path] in writers
                report = self._take_file(files, submission, sandbox, open_elsewhere=open_elsewhere)
                self.progress.finish_file()
                return report

            take_each(
                self.pending,
                self.reports,
                find_settled=find_settled,
                take=take_file,
                at_once=self.equipment.at_once,
            )

    def _take_file(
        self,
        files: DockedFiles,
        submission: Submission,
        sandbox: FileLooker,
        *,
        open_elsewhere: bool | None,
    ) -> FileReport:
        equipment = self.equipment
        equipment.check_stopping()
        self.progress.show_changes(current=display_text(submission.path))
        file = FileProgress(self.progress, submission.size, equipment.check_stopping)
        walk = FileWalk(equipment, self.sealed, files, submission, file, sandbox, open_elsewhere)
        report = FileFaults(files).try_act(submission, walk.walk_states)
        if report.outcome is Outcome.WAITING:
            file.take_back()
        else:
            file.finish()
        return report

    def _clear_due_files(self, files: DockedFiles, offered: list[Submission], first: int) -> None:
        """Remove from the source what may go, now that everything on it was looked at."""
        # A centre whose log forked may issue receipts for nothing: no original is deleted.
        if not self.bay.clears or self.equipment.witness.alarm is not None:
            return
        state = derive_bay_state(self.reports)
        for number, submission in enumerate(offered, first):
            report = self.reports[number]
            if report.outcome not in {Outcome.ACCESSIONED, Outcome.DUPLICATE}:
                continue
            if self.clearing.is_due(files, submission):
                act: Callable[[], FileReport] = partial(
                    self.clearing.clear_submission, files, submission, report, self.progress, state
                )
                self.reports[number] = FileFaults(files).try_act(submission, act)
