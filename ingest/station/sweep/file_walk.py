"""One file's walk through the journal's states, at one look: `STEPS` says what each state asks for.

Every step is written down before the next, so a killed station goes on where it stopped. A walk
ends in a result: the file waits, is sealed, or holds a verified receipt.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ingest.bays.bay import BayState, FileProgress, FileReport, Outcome
from ingest.bays.census import display_path
from ingest.bays.docking import version_of
from ingest.bays.settle import Settled, assess_looks
from ingest.bays.submission import Submission, open_source
from ingest.media.probe import FileLooker, probe_file
from ingest.sources.names import display_text
from ingest.station.clear import digest_source, verify_receipt
from ingest.station.equipment import Equipment
from ingest.station.journal import RECEIPTED, Entry, State
from ingest.station.seal import seal_submission
from ingest.station.sealed_entries import SealedEntries
from ingest.station.sweep.docked_files import DockedFiles
from ingest.station.sweep.file_faults import affects_every_file
from storage.digest import Digest
from storage.errors import ConflictError, LiuhenError, LogContradictedError, SubmissionError
from storage.record import Receipt
from storage.recording import new_recording_id
from storage.vault.ranges import payload_size

# What part of what is left of a file each phase is, for those who watch it.
_KNOWN_PART, _LOOK_PART, SEAL_PART, _READ_PART = 0.15, 0.5, 0.9, 0.95


@dataclass(slots=True)
class FileWalk:
    """One file of a docking, its progress, a sandbox, and whether it is open elsewhere."""

    equipment: Equipment
    sealed: SealedEntries
    files: DockedFiles
    submission: Submission
    file: FileProgress
    sandbox: FileLooker
    open_elsewhere: bool | None
    _bytes_read: bool = False  # at this look: what is read once is not read again to be compared

    def walk_states(self) -> FileReport:
        """Walk from the state that the journal holds as far as it goes now.

        Raises: SubmissionError, and whatever the source and the centre raise.
        """
        docking, version = self.files.docking, version_of(self.submission)
        entry = self.files.find_entry(self.submission)
        self.equipment.on_step("found")
        if (given_up := docking.given_up.get(version)) is not None:
            # Tried in this docking; once more would only wear the card and flood the log.
            return given_up
        if not (version in docking.checked and entry.state in RECEIPTED):
            self.file.bay.worked = True
        step_end: Entry | FileReport = entry
        while isinstance(step_end, Entry):
            step_end = STEPS[step_end.state](self, step_end)
        return step_end

    def begin_again(self, entry: Entry) -> Entry:
        """Forget the old result: the same name on the card again says nothing of its bytes."""
        return self.equipment.journal.move_entry(entry, State.WAITING, recording=None)

    def undo_attempt(self, _entry: Entry) -> Entry:
        """Give up an attempt that was cut short: its data key is gone with the process."""
        return self.files.undo_attempt(self.submission)

    def take_whole(self, entry: Entry) -> Entry | FileReport:
        """Take the file once it is whole: known by a receipt of the same bytes, or sealed."""
        settled = self._assess_file()
        if settled is not Settled.WHOLE:
            reason = "still-writing" if settled is Settled.WAIT else "growing"
            return FileReport(display_path(self.submission.path), Outcome.WAITING, reason=reason)
        entry = self._find_duplicate(entry) or self._seal_entry(entry)
        self._bytes_read = True
        return entry

    def deliver_sealed(self, entry: Entry) -> Entry | FileReport:
        """Have a sealed file's receipt, where the centre gives it while the recorder waits."""
        if not self._bytes_read:
            return self._compare_bytes(entry)
        if self.equipment.centre.immediate:
            return self._deliver_or_reseal(entry)
        recording, path = str(entry.recording), display_path(self.submission.path)
        return FileReport(path, Outcome.SEALED, recording, entry.sha256, entry.reason)

    def report_receipted(self, entry: Entry) -> Entry | FileReport:
        """Nothing is left to do but to clear, which waits for the whole bay."""
        if not self._bytes_read:
            return self._compare_bytes(entry)
        return self.files.report_receipted(entry, self.submission)

    def _compare_bytes(self, entry: Entry) -> Entry:
        """Once a docking, read a known file again, from its medium.

        The same name, size and time may hold other bytes: FAT counts time in two seconds and
        recorders restart their counters; other bytes are another recording. And the first read may
        have been wrong: two that differ must not be explained away by a third.
        Raises: SubmissionError(unsteady): no two reads agree.
        """
        self._bytes_read = True
        docking, version = self.files.docking, version_of(self.submission)
        if version in docking.checked:
            return entry
        self.file.bay.show_reading()
        digest = digest_source(self.submission, self.file.open_phase(_READ_PART))
        if digest.hex != entry.sha256:
            if digest_source(self.submission, self.file.open_phase(_READ_PART)) != digest:
                raise SubmissionError(reason="unsteady")
            entry = self.equipment.journal.with_bytes(entry, digest.hex)
            docking.entries[version] = entry.id
        entry = self._check_holding(entry, digest)
        if entry.state in RECEIPTED or entry.state is State.SEALED:
            docking.checked.add(version)
        return entry

    def _check_holding(self, entry: Entry, digest: Digest) -> Entry:
        """Return the entry; WAITING where what it stands for is kept no more, here or there.

        A recording may have been destroyed since, and a sealed payload may rot while it waits.
        """
        journal = self.equipment.journal
        if entry.state is State.SEALED:
            if self.sealed.payload_is_whole(entry):
                return entry
            entry = journal.by_id(entry.id) or entry  # a delivery may have ended meanwhile
            return self.sealed.give_up_attempt(entry) if entry.state is State.SEALED else entry
        must_ask = entry.state in RECEIPTED and entry.id not in self.files.docking.delivered
        if must_ask and (
            self.equipment.centre.still_holds(self.submission.source, digest) is False
        ):
            return journal.restart_entry(entry)
        return entry

    def _assess_file(self) -> Settled:
        submission = self.submission
        looks = self.files.docking.add_look(submission, self.equipment.monotonic())
        name = display_text(submission.path.rpartition(b"/")[2])
        patience = self.equipment.patience
        if submission.quiet_s is not None:
            patience = replace(patience, quiet_s=submission.quiet_s)
        age_s = 0.0
        if submission.docked_at is not None:  # nobody but the recorder wrote to a volume before
            age_s = max(0.0, submission.docked_at.timestamp() - submission.mtime_ns / 1e9)
        return assess_looks(looks, name, patience, held_open=self.open_elsewhere, age_s=age_s)

    def _find_duplicate(self, entry: Entry) -> Entry | None:
        """Return the entry as DUPLICATE if these bytes of this source hold a receipt already."""
        equipment, source, size = self.equipment, self.submission.source, self.submission.size
        journal, centre = equipment.journal, equipment.centre
        # Reading a whole file only to find it unknown would double the time of every docking.
        if not (journal.same_size(source, size) or centre.holds_size(source, size)):
            return None
        self.file.bay.show_reading()
        digest = digest_source(self.submission, self.file.open_phase(_KNOWN_PART))
        equipment.on_step("hashed")
        before = journal.with_receipt(source, digest.hex)
        if before is not None and centre.still_holds(source, digest) is False:
            return None  # it was destroyed, or lost: what is offered is taken anew
        receipt = before.receipt if before else centre.receipt_for(source, digest)
        if receipt is None:
            return None
        verified_receipt = verify_receipt(
            receipt, equipment.centre_key, equipment.log_key, digest, size
        )
        # A receipt alone may be from a forked log; the centre must prove its head now.
        if before is None and not self._is_log_continued(verified_receipt):
            return None  # its delivery will find out
        return journal.move_entry(
            entry,
            State.DUPLICATE,
            sha256=digest.hex,
            receipt=receipt,
            facts={"recording": verified_receipt.recording},
        )

    def _is_log_continued(self, receipt: Receipt) -> bool:
        """Whether the centre, asked now, proves that its log leads on from this receipt's head.

        Raises: LogContradictedError.
        """
        try:
            self.equipment.witness.check_log(receipt.checkpoint)
        except LogContradictedError:
            raise
        except LiuhenError:
            return False
        return True

    def _seal_entry(self, entry: Entry) -> Entry:
        equipment, submission, file = self.equipment, self.submission, self.file
        equipment.centre.check_room(payload_size(submission.size))  # before anything is read
        recording = new_recording_id(equipment.clock(), equipment.entropy(10))
        file.bay.show_reading()
        with open_source(submission) as source:
            media = probe_file(
                source,
                submission.size,
                self.sandbox,
                text=_is_text(submission.path),
                effort=equipment.effort,
                tell=file.open_phase(_LOOK_PART),
            )
            # The same open descriptor: a file replaced under this name cannot be sealed instead.
            source.seek(0)
            # Written first: after a crash while sealing, recovery discards exactly this payload.
            entry = equipment.journal.move_entry(entry, State.SEALING, recording=recording)
            equipment.on_step("sealing")
            file.bay.show_changes(state=BayState.SEALING)
            sealed = seal_submission(
                submission,
                source,
                media,
                by=equipment.seal,
                recording=recording,
                centre=equipment.centre,
                entropy=equipment.entropy,
                now=equipment.clock(),
                progress=file.open_phase(SEAL_PART),
            )
        equipment.on_step("payload-delivered")
        entry = equipment.journal.move_entry(
            entry,
            State.SEALED,
            sha256=sealed.original.hex,
            record=sealed.record,
            envelope=sealed.envelope,
        )
        equipment.on_step("sealed")
        return entry

    def _deliver_or_reseal(self, entry: Entry) -> Entry:
        """Deliver a sealed entry whose source is docked; where that fails for good, seal it anew.

        Once in a process: a fault that comes back is the file's, or the centre's, and is told.
        """
        try:
            return self.sealed.deliver_entry(entry)
        except LiuhenError as error:
            if affects_every_file(error) or not self.sealed.may_seal_anew(entry):
                raise
            try:
                entry = self.sealed.give_up_attempt(entry)
            except ConflictError:
                raise error from None
        return self.sealed.deliver_entry(self._seal_entry(entry))


Step = Callable[[FileWalk, Entry], Entry | FileReport]

# What each state of the journal asks for next: the entry in its next state, or the walk's result.
# A walk may enter at any state, for a crash leaves any; and comparing a file's bytes may lead to
# another entry, which stands in a state of its own.
STEPS: Mapping[State, Step] = {
    State.WAITING: FileWalk.take_whole,
    State.SEALING: FileWalk.undo_attempt,
    State.SEALED: FileWalk.deliver_sealed,
    State.ACCESSIONED: FileWalk.report_receipted,
    State.DUPLICATE: FileWalk.report_receipted,
    State.CLEARING: FileWalk.report_receipted,
    State.CLEARED: FileWalk.begin_again,
    State.QUARANTINED: FileWalk.begin_again,
    State.VANISHED: FileWalk.begin_again,
}


def _is_text(path: bytes) -> bool:
    return path.lower().endswith((b".log", b".gps", b".nmea", b".srt", b".txt", b".csv"))
