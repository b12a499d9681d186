"""The station: sweeps its bays, takes what is whole, and clears only against verified receipts.

One bay is one small state machine (`bay.MOVES`); one file is one walk through the journal's states.
Every step is written down before the next, so a killed station goes on where it stopped, and any
call may be made again. Each entry of a volume ends in a result, whatever happens to the others:
one file's trouble is that file's, and what stops a look is the result of all that it did not
reach. Nothing here deletes an original but `clear.clear`, once the whole bay was looked at.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from ingest.bays.bay import (
    GREEN,
    Bay,
    BayState,
    FileProgress,
    FileReport,
    Outcome,
    Progress,
    derive_bay_state,
    needs_person,
)
from ingest.bays.census import Census, Enumerator, Offer, display_parts
from ingest.bays.docking import Docking, version_of
from ingest.bays.settle import Patience, Settled, assess_looks, written_now
from ingest.bays.submission import Submission, folder_known, is_gone, open_source
from ingest.bays.watch import Candidate, MountGoneError, Refused, mount_id
from ingest.centre_protocol import Centre
from ingest.media.probe import FileLooker, probe_file
from ingest.media.sandbox import USUAL, Effort, Sandbox
from ingest.media.shared_sandbox import SharedSandbox
from ingest.sources.names import display_text
from ingest.sources.profile import SourceFacts
from ingest.sources.profile_files import Profile
from ingest.sources.volume import VolumeIdentity, add_landing_serial, identify_volume, is_vacant
from ingest.station.clear import UNSURE, Clearing, clear_file, digest_source, verify_receipt
from ingest.station.clear_when import When
from ingest.station.delivery.witness import Witness
from ingest.station.elapsed_days import Reckoning
from ingest.station.journal import RECEIPTED, Entry, Journal, State
from ingest.station.seal import Seal, seal_submission
from ingest.station.small_files import AT_ONCE, take_each
from storage.digest import Algorithm, Digest
from storage.errors import (
    CatalogueReplacedError,
    CatalogueSetupError,
    ConflictError,
    CustodyError,
    KeyRingError,
    LiuhenError,
    LogContradictedError,
    SignatureError,
    StorageFullError,
    StoreClockError,
    StoreRefusedError,
    StoreReplacedError,
    StoreSetupError,
    SubmissionError,
)
from storage.record import RECORD_DOMAIN, Receipt
from storage.recording import new_recording_id
from storage.signed import canonical
from storage.signed.signing import VerifyKey, sign_document, signer_of
from storage.vault.ranges import payload_size

LOG = logging.getLogger("liuhen.station")
_VOLUME_GONE_ERRNOS = {errno.ENODEV, errno.ENOTCONN, errno.ENXIO, errno.ESTALE}
_FOLDER = "folder"  # a fact of an entry that is being cleared: `folder_known`
_RETRY = frozenset({"changed", "gone", "still-writing", "taken-anew", UNSURE})
_AT_WORK = frozenset({BayState.MOUNTING, BayState.SCANNING, BayState.SEALING})
_SHOWN_S = 0.5
# What part of what is left of a file each phase is, for those who watch it.
_KNOWN_PART, _LOOK_PART, SEAL_PART, _READ_PART = 0.15, 0.5, 0.9, 0.95
_NAMED = 20  # ignored files whose names a bay shows
# Faults of the centre as a whole: whatever is tried next would meet the same one.
_EVERY_FILES = (
    CatalogueReplacedError,
    CatalogueSetupError,
    CustodyError,
    KeyRingError,
    StoreClockError,
    StoreRefusedError,
    StoreReplacedError,
    StoreSetupError,
)
_PER_FILE_ROOM = frozenset({"objects", "spool"})  # a smaller file may still fit


class StoppingError(BaseException):
    """The station was told to stop, and what it had in hand is left as a crash would leave it.

    No `Exception`: nothing that keeps a look going, whatever one file brings about, may keep this.
    """


@dataclass(slots=True)
class Station:
    """Everything a station needs, handed in; `monotonic` counts seconds and never jumps."""

    journal: Journal
    centre: Centre
    sandbox: Sandbox
    seal: Seal
    centre_key: VerifyKey
    log_key: VerifyKey
    clock: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    monotonic: Callable[[], float] = time.monotonic
    patience: Patience = field(default_factory=Patience)
    effort: Effort = USUAL
    clearing: Clearing = field(default_factory=Clearing)
    per_hub: int = 2
    profiles: Sequence[Profile] = ()  # the shipped ones alone where none are given
    at_once: int = AT_ONCE  # small files of one card
    on_step: Callable[[str], None] = lambda _step: None
    listen: Callable[[Progress], None] = lambda _progress: None
    stopping: threading.Event = field(default_factory=threading.Event)  # heard at the next block
    witness: Witness = field(init=False)
    _reckoning: Reckoning = field(init=False)
    _enumerator: Enumerator = field(init=False)
    _dockings: dict[str, Docking] = field(default_factory=dict)
    _delivered: set[int] = field(default_factory=set)  # entries accessioned just now
    _unlinked: dict[int, str] = field(default_factory=dict)  # entries seen to go, by their bay
    _sealed_anew: set[int] = field(default_factory=set)
    _states: dict[str, BayState] = field(default_factory=dict)
    _shown_at: dict[str, float] = field(default_factory=dict)
    _hubs: dict[str, threading.BoundedSemaphore] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Watch the clock that clearing counts days by, and the centre's log."""
        self._reckoning = Reckoning(self.journal, self.clock, self.monotonic)
        self._enumerator = Enumerator(self.profiles)
        self.witness = Witness(self.seal.station, self.journal, self.centre, lambda: self.log_key)

    def recover_entries(self) -> None:
        """After a start: finish what was sealed, give up what was cut short before.

        A payload whose attempt never reached SEALED cannot be trusted to be this file's: its key
        died with the process. It is discarded at the centre and the file is sealed again. What the
        bays showed before counts for nothing: whoever sees them is told that nobody has looked.
        """
        self.journal.reset_bays()
        for entry in self.journal.in_state(State.SEALING):
            if entry.recording is not None:
                self.centre.discard_attempt(entry.recording)
            self.journal.move_entry(entry, State.WAITING, recording=None)
        # Sealed before a crash: only the accession may be missing.
        for entry in self.journal.in_state(State.SEALED):
            self._sign_again(entry)
            if self.centre.immediate:
                try:
                    self.deliver_entry(entry)
                except LiuhenError as error:
                    self.journal.note_trouble(entry, error.code)  # the next docking tries again

    def _sign_again(self, entry: Entry) -> None:
        """After the station got a new key: what it still holds is signed under that key."""
        if entry.record is None or signer_of(entry.record) == self.seal.key.verify_key().kid:
            return
        body = canonical.decode(entry.record)["body"]
        self.journal.keep_record(entry, sign_document(self.seal.key, RECORD_DOMAIN, body))

    def sweep_bay(self, bay: Bay) -> list[FileReport]:
        """Look at one bay once and take what is whole; return what became of each entry.

        Never raises for what a source, a file or the centre does: what stopped the look is the
        result of every file that it did not reach, or of the bay itself (`.`). Nothing comes of a
        bay that is empty, or whose volume went meanwhile. Raises: StoppingError.
        """
        before = self._states.get(bay.name, BayState.UNKNOWN)
        progress = Progress(bay.name, self._publish_progress, before)
        reports: list[FileReport] = []
        pending: list[Submission] = []
        try:
            with self._line_of(bay):
                self._reckoning.check_clock()
                self._process_bay(bay, progress, pending, reports)
        except MountGoneError:
            self.forget_docking(bay)
            Progress(bay.name, self._publish_progress, progress.state).show_changes(
                state=BayState.EMPTY
            )
            return []
        except LiuhenError as error:
            reason = error.facts.get("reason", error.code)
            self._report_stop(progress, pending, reports, reason, error.facts)
        except Exception as error:
            # The edge of the station: a defect met here must not stop other bays, nor stay unseen.
            LOG.exception("the look at %s failed", bay.name)
            self._report_stop(progress, pending, reports, "defect", {"error": type(error).__name__})
        return reports

    def _report_stop(
        self,
        progress: Progress,
        pending: list[Submission],
        reports: list[FileReport],
        reason: str,
        facts: dict[str, Any],
    ) -> None:
        """Say of each file that was not reached, or of the bay, why the look ended before it."""
        paths = [display_path(submission.path) for submission in pending]
        facts = {name: fact for name, fact in facts.items() if name != "reason"}
        reports += [
            FileReport(path, Outcome.FAILED, reason=reason, facts=facts) for path in paths or ["."]
        ]
        with suppress(LiuhenError):  # a journal that cannot be written to is told of by its reader
            progress.show_changes(
                state=BayState.ATTENTION, reason=reason, facts=facts, current=None
            )

    def _line_of(self, bay: Bay) -> AbstractContextManager[object]:
        """Wait for a place on the bay's hub; bays of no hub have their own line."""
        if bay.hub is None:
            return nullcontext()
        with self._lock:
            return self._hubs.setdefault(bay.hub, threading.BoundedSemaphore(self.per_hub))

    def _process_bay(
        self, bay: Bay, progress: Progress, pending: list[Submission], reports: list[FileReport]
    ) -> None:
        if bay.hand_in_source is not None:
            bay.hand_in_source.collect_leftovers()
        census = self._enumerator.take_census(bay, partial(self._complete_facts, bay), self.clock())
        reports += [self._report_refusal(bay, entry) for entry in census.refused]
        reports += census.ignored
        self._same_mount(bay)
        self._note_unlinked(bay)
        if census.is_empty and (bay.landing or bay.only or is_vacant(bay.root)):
            if bay.hand_in_source is not None:  # a folder of our own: what is not in it is gone
                self._finish_clearing(bay, None)
            self.forget_docking(bay)
            progress.show_changes(state=BayState.EMPTY)
            return
        if progress.state in {BayState.UNKNOWN, BayState.EMPTY}:
            progress.show_changes(state=BayState.MOUNTING)
        volume = self._identify_volume(bay, census)
        # What is named by hand may be a copy of what is docked: it takes no recorder's place.
        if bay.whole and not bay.landing and self._dock_volume(volume, bay):
            progress.show_changes(state=BayState.MOUNTING)
        self._finish_clearing(bay, volume)
        offered = self._list_submissions(bay, census, volume)
        self._get_docking(bay.name).keep_only({version_of(submission) for submission in offered})
        # Filled before any file is read: a failing look reports all that it did not reach.
        pending += offered
        progress.source = None if bay.landing else volume.identity
        progress.files_total = len(offered)
        progress.bytes_total = sum(submission.size for submission in offered)
        if progress.state is BayState.MOUNTING:
            progress.show_changes(state=BayState.SCANNING)
        first = len(reports)
        self._take_all(census, pending, progress, reports)
        self._clear_what_is_due(bay, progress, offered, reports, first)
        self._conclude_sweep(progress, reports)

    def _same_mount(self, bay: Bay) -> None:
        """Forget a docking whose volume was taken out and another mounted between two looks."""
        mount = mount_id(bay.root)
        docking = self._get_docking(bay.name)
        if docking.mount not in {"", mount}:
            self.forget_docking(bay)
            docking = self._get_docking(bay.name)
        docking.mount = mount

    def _complete_facts(self, bay: Bay, file: Candidate, facts: SourceFacts) -> SourceFacts:
        """Complete what a name says by where it lies."""
        if not bay.landing:
            return facts
        return add_landing_serial(
            facts, file.parts, f"{self.seal.station}-{_make_opaque(bay.name)}"
        )

    def _list_submissions(
        self, bay: Bay, census: Census, volume: VolumeIdentity
    ) -> list[Submission]:
        """Return what is offered, in the order in which it is taken."""
        docked_at = None if bay.landing else self._get_docking(bay.name).since

        def build_submission(offer: Offer) -> Submission:
            file, facts = offer.file, offer.facts
            operator = (
                bay.hand_in_source.find_submitter(file.parts)
                if bay.hand_in_source is not None
                else None
            )
            return Submission(
                _name_source(bay, volume, facts.serial, operator),
                bay.name,
                bay.root,
                file.path,
                file.size,
                file.mtime_ns,
                facts,
                docked_at,
                bay.quiet_s,
                operator,
                file.stamp,
            )

        # Of two files with the same bytes, the one whose name says most becomes the recording.
        return sorted(
            map(build_submission, census.offers),
            key=lambda offered_file: (len(offered_file.facts.questions), offered_file.path),
        )

    def _take_all(
        self,
        census: Census,
        pending: list[Submission],
        progress: Progress,
        reports: list[FileReport],
    ) -> None:
        """Take each file that is pending; it is that until its result is there.

        What is settled in this docking costs nothing more, however many there are.
        """
        # A file that another process has open for writing is not whole, however quiet it is.
        writers = written_now()
        inodes = {file.path: (file.device, file.inode) for file in census.offered_files}
        settled = self._get_docking(progress.bay).settled

        def find_settled(submission: Submission) -> FileReport | None:
            before = settled.get(version_of(submission))
            if before is None:
                return None
            progress.skip_bytes(submission.size)
            progress.finish_file()
            return before[0]

        with closing(SharedSandbox(self.sandbox)) as sandbox:

            def take_file(submission: Submission) -> FileReport:
                open_elsewhere = None if writers is None else inodes[submission.path] in writers
                report = self._take_file(
                    submission, progress, sandbox, open_elsewhere=open_elsewhere
                )
                progress.finish_file()
                return report

            take_each(
                pending, reports, find_settled=find_settled, take=take_file, at_once=self.at_once
            )

    def _clear_what_is_due(
        self,
        bay: Bay,
        progress: Progress,
        offered: list[Submission],
        reports: list[FileReport],
        first: int,
    ) -> None:
        """Remove from the source what may go, now that everything on it was looked at."""
        # A centre whose log forked may issue receipts for nothing: no original is deleted.
        if not bay.clears or self.witness.alarm is not None:
            return
        state = derive_bay_state(reports)
        for number, submission in enumerate(offered, first):
            report = reports[number]
            if report.outcome not in {Outcome.ACCESSIONED, Outcome.DUPLICATE}:
                continue
            if self._is_due(submission):
                act = partial(self._clear_file, submission, report, progress, state)
                reports[number] = self._try_act(submission, act)

    def _identify_volume(self, bay: Bay, census: Census) -> VolumeIdentity:
        """Identify the volume; one with no names left keeps its identity before clearing.

        A recorder whose named files are gone may hold a last one that names nobody.
        """
        docking = self._get_docking(bay.name)
        serials = {offer.facts.serial for offer in census.offers}
        volume = identify_volume(bay.root, serials, self.profiles)
        if volume.how != "bay":
            return volume
        here = {(file.path, file.size, file.mtime_ns, file.stamp) for file in census.offered_files}
        if docking.source is not None and here and here <= docking.settled.keys():
            return replace(volume, identity=docking.source)  # found out at an earlier look
        before = self.journal.sources_of(bay.name, {version[:3] for version in here})
        return replace(volume, identity=before.pop()) if len(before) == 1 else volume

    def _conclude_sweep(self, progress: Progress, reports: list[FileReport]) -> None:
        if (alarm := self.witness.alarm) is not None:  # nothing of this centre's is green now
            reports.append(FileReport(".", Outcome.FAILED, reason=alarm.code, facts=alarm.facts))
        state = derive_bay_state(reports)
        words = _describe_state(state, reports)
        resting = state is BayState.ACCESSIONED and not progress.worked
        if not (resting and progress.state in GREEN):
            progress.show_changes(state=state, current=None, **words)
        evidence = [report for report in reports if report.outcome is not Outcome.IGNORED]
        if resting:
            progress.show_changes(state=BayState.SAFE, current=None, **words)
        elif (
            state is BayState.ACCESSIONED
            and evidence
            and all(report.cleared for report in evidence)
        ):
            progress.show_changes(state=BayState.CLEARED)

    def _take_file(
        self,
        submission: Submission,
        progress: Progress,
        sandbox: FileLooker,
        *,
        open_elsewhere: bool | None,
    ) -> FileReport:
        self._check_stopping()
        progress.show_changes(current=display_text(submission.path))
        file = FileProgress(progress, submission.size, self._check_stopping)

        def walk_file() -> FileReport:
            entry = self._find_entry(submission)
            self.on_step("found")
            return self._walk_states(entry, submission, FileTaking(file, sandbox, open_elsewhere))

        report = self._try_act(submission, walk_file)
        if report.outcome is Outcome.WAITING:
            file.take_back()
        else:
            file.finish()
        return report

    def _on_progress(self, _share: float) -> None:
        self._check_stopping()

    def _check_stopping(self) -> None:
        """Raise: StoppingError, once the station is to stop."""
        if self.stopping.is_set():
            raise StoppingError

    def _find_entry(self, submission: Submission) -> Entry:
        """Return the journal's entry for this file: of the bytes that were read in this docking."""
        number = self._get_docking(submission.bay).entries.get(version_of(submission))
        entry = self.journal.by_id(number) if number is not None else None
        return entry or self.journal.find_or_add_entry(
            source=submission.source,
            path=submission.path,
            size=submission.size,
            mtime_ns=submission.mtime_ns,
            bay=submission.bay,
        )

    def _try_act(self, submission: Submission, act: Callable[[], FileReport]) -> FileReport:
        """Return what an act on one file gives; a fault of this file alone is its result.

        So is a fault met while the first one is written down.
        """
        try:
            return self._tried_once(submission, act)
        except MountGoneError:
            raise
        except Exception as error:
            if isinstance(error, LiuhenError) and (
                error.retryable or isinstance(error, _EVERY_FILES)
            ):
                raise
            LOG.exception("a file of %s failed, and its refusal too", submission.bay)
            reason = error.code if isinstance(error, LiuhenError) else "defect"
            return FileReport(display_path(submission.path), Outcome.FAILED, reason=reason)

    def _tried_once(self, submission: Submission, act: Callable[[], FileReport]) -> FileReport:
        try:
            return act()
        except SubmissionError as error:
            return self._quarantine_file(
                submission, error.facts.get("reason", error.code), error.facts
            )
        except StorageFullError as error:
            # The half-written payload goes first: it takes the very room that is missing.
            self._undo_attempt(submission)
            if error.facts.get("where") not in _PER_FILE_ROOM:
                raise
            path = display_path(submission.path)
            return FileReport(path, Outcome.WAITING, reason=error.code, facts=error.facts)
        except LiuhenError as error:
            if error.retryable or isinstance(error, _EVERY_FILES):
                raise
            return self._quarantine_file(submission, error.code, error.facts)
        except OSError as error:
            # The recorder was pulled out: the volume's fault, not this file's; no quarantine.
            if error.errno in _VOLUME_GONE_ERRNOS or not submission.root.is_dir():
                self._undo_attempt(submission)
                raise MountGoneError(str(submission.root)) from error
            # A source that lacks the file is told as gone: a name missing elsewhere is ours, and
            # went by another thread's hand. It is tried again.
            reason = "changed" if error.errno == errno.ENOENT else "read-error"
            return self._quarantine_file(submission, reason, {"errno": error.errno})
        except MountGoneError:
            raise
        except Exception as error:
            # The edge of the station: what one file brings about must not stop the others.
            LOG.exception("a file of %s failed", submission.bay)
            return self._quarantine_file(submission, "defect", {"error": type(error).__name__})

    def _walk_states(
        self, entry: Entry, submission: Submission, taking: "FileTaking"
    ) -> FileReport:
        docking, version = self._get_docking(submission.bay), version_of(submission)
        if (given_up := docking.given_up.get(version)) is not None:
            # Tried in this docking; once more would only wear the card and flood the log.
            return given_up
        if not (version in docking.checked and entry.state in RECEIPTED):
            taking.file.bay.worked = True
        # The same name on the card again: read anew, the old result says nothing about it.
        if entry.state in {State.CLEARED, State.VANISHED, State.QUARANTINED}:
            entry = self.journal.move_entry(entry, State.WAITING, recording=None)
        if entry.state is State.SEALING:
            entry = self._undo_attempt(submission)
        if entry.state in RECEIPTED or entry.state is State.SEALED:
            entry = self._same_bytes(entry, submission, taking.file)
        if entry.state is State.WAITING:
            settled = self._assess_file(submission, open_elsewhere=taking.open_elsewhere)
            if settled is not Settled.WHOLE:
                reason = "still-writing" if settled is Settled.WAIT else "growing"
                return FileReport(display_path(submission.path), Outcome.WAITING, reason=reason)
            entry = self._find_duplicate(entry, submission, taking.file) or self._seal_entry(
                entry, submission, taking
            )
        if entry.state is State.SEALED and self.centre.immediate:
            entry = self._deliver_or_reseal(entry, submission, taking)
        return self._report_file(entry, submission)

    def _report_file(self, entry: Entry, submission: Submission) -> FileReport:
        """Return what became of a file that is sealed or receipted, and remember it if settled.

        Raises: SubmissionError(journal-damaged).
        """
        if entry.state is State.SEALED:
            recording, path = str(entry.recording), display_path(submission.path)
            return FileReport(path, Outcome.SEALED, recording, entry.sha256, entry.reason)
        report = _report_receipted(entry, submission)
        docking, version = self._get_docking(submission.bay), version_of(submission)
        if version in docking.checked and entry.changed is not None:
            docking.settled[version] = (report, entry.changed)
        return report

    def _same_bytes(self, entry: Entry, submission: Submission, file: FileProgress) -> Entry:
        """Once a docking, read a known file again, from its medium.

        The same name, size and time may hold other bytes: FAT counts time in two seconds and
        recorders restart their counters; other bytes are another recording. And the first read may
        have been wrong: two that differ must not be explained away by a third.
        Raises: SubmissionError(unsteady): no two reads agree.
        """
        docking, version = self._get_docking(submission.bay), version_of(submission)
        if version in docking.checked:
            return entry
        file.bay.show_reading()
        digest = digest_source(submission, file.open_phase(_READ_PART))
        if digest.hex != entry.sha256:
            if digest_source(submission, file.open_phase(_READ_PART)) != digest:
                raise SubmissionError(reason="unsteady")
            entry = self.journal.with_bytes(entry, digest.hex)
            docking.entries[version] = entry.id
        entry = self._still_kept(entry, submission, digest)
        if entry.state in RECEIPTED or entry.state is State.SEALED:
            docking.checked.add(version)
        return entry

    def _still_kept(self, entry: Entry, submission: Submission, digest: Digest) -> Entry:
        """Return the entry; WAITING where what it stands for is kept no more, here or there.

        A recording may have been destroyed since, and a sealed payload may rot while it waits.
        """
        if entry.state is State.SEALED:
            if self.payload_is_whole(entry):
                return entry
            entry = self.journal.by_id(entry.id) or entry  # a delivery may have ended meanwhile
            return self._give_up(entry) if entry.state is State.SEALED else entry
        must_ask = entry.state in RECEIPTED and entry.id not in self._delivered
        if must_ask and self.centre.still_holds(submission.source, digest) is False:
            return self._take_anew(entry)
        return entry

    def payload_is_whole(self, entry: Entry) -> bool:
        """Whether what was sealed of an entry is still what its record says. Raises: OSError."""
        if entry.record is None or entry.recording is None:
            return False
        payload = payload_digest(entry.record)
        return payload is not None and self.centre.has_payload(entry.recording, payload)

    def _give_up(self, entry: Entry) -> Entry:
        """Give a sealed attempt up, so that its source is sealed anew.

        Raises: ConflictError when it was accessioned after all.
        """
        if entry.recording is not None:
            self.centre.discard_attempt(entry.recording)
        return self._take_anew(entry)

    def _take_anew(self, entry: Entry) -> Entry:
        return self.journal.move_entry(
            entry,
            State.WAITING,
            recording=None,
            receipt=None,
            record=None,
            envelope=None,
            sha256=None,
        )

    def _assess_file(self, submission: Submission, *, open_elsewhere: bool | None) -> Settled:
        looks = self._get_docking(submission.bay).add_look(submission, self.monotonic())
        name = display_text(submission.path.rpartition(b"/")[2])
        patience = self.patience
        if submission.quiet_s is not None:
            patience = replace(patience, quiet_s=submission.quiet_s)
        age_s = 0.0
        if submission.docked_at is not None:  # nobody but the recorder wrote to a volume before
            age_s = max(0.0, submission.docked_at.timestamp() - submission.mtime_ns / 1e9)
        return assess_looks(looks, name, patience, held_open=open_elsewhere, age_s=age_s)

    def _find_duplicate(
        self, entry: Entry, submission: Submission, file: FileProgress
    ) -> Entry | None:
        """Return the entry as DUPLICATE if these bytes of this source hold a receipt already."""
        source, size = submission.source, submission.size
        if not (self.journal.same_size(source, size) or self.centre.holds_size(source, size)):
            return None
        file.bay.show_reading()
        digest = digest_source(submission, file.open_phase(_KNOWN_PART))
        self.on_step("hashed")
        before = self.journal.with_receipt(source, digest.hex)
        if before is not None and self.centre.still_holds(source, digest) is False:
            return None  # it was destroyed, or lost: what is offered is taken anew
        receipt = before.receipt if before else self.centre.receipt_for(source, digest)
        if receipt is None:
            return None
        verified_receipt = verify_receipt(receipt, self.centre_key, self.log_key, digest, size)
        # A receipt alone may be from a forked log; the centre must prove its head now.
        if before is None and not self._log_goes_on(verified_receipt):
            return None  # its delivery will find out
        return self.journal.move_entry(
            entry,
            State.DUPLICATE,
            sha256=digest.hex,
            receipt=receipt,
            facts={"recording": verified_receipt.recording},
        )

    def _log_goes_on(self, receipt: Receipt) -> bool:
        """Whether the centre, asked now, proves that its log leads on from this receipt's head.

        Raises: LogContradictedError.
        """
        try:
            self.witness.check_log(receipt.checkpoint)
        except LogContradictedError:
            raise
        except LiuhenError:
            return False
        return True

    def _seal_entry(self, entry: Entry, submission: Submission, taking: "FileTaking") -> Entry:
        self.centre.check_room(payload_size(submission.size))  # before anything is read
        recording = new_recording_id(self.clock(), self.entropy(10))
        file = taking.file
        file.bay.show_reading()
        with open_source(submission) as source:
            media = probe_file(
                source,
                submission.size,
                taking.sandbox,
                text=_is_text(submission.path),
                effort=self.effort,
                tell=file.open_phase(_LOOK_PART),
            )
            # The same open descriptor: a file replaced under this name cannot be sealed instead.
            source.seek(0)
            # Written first: after a crash while sealing, recovery discards exactly this payload.
            entry = self.journal.move_entry(entry, State.SEALING, recording=recording)
            self.on_step("sealing")
            file.bay.show_changes(state=BayState.SEALING)
            sealed = seal_submission(
                submission,
                source,
                media,
                by=self.seal,
                recording=recording,
                centre=self.centre,
                entropy=self.entropy,
                now=self.clock(),
                progress=file.open_phase(SEAL_PART),
            )
        self.on_step("payload-delivered")
        entry = self.journal.move_entry(
            entry,
            State.SEALED,
            sha256=sealed.original.hex,
            record=sealed.record,
            envelope=sealed.envelope,
        )
        self.on_step("sealed")
        return entry

    def _deliver_or_reseal(
        self, entry: Entry, submission: Submission, taking: "FileTaking"
    ) -> Entry:
        """Deliver a sealed entry whose source is docked; where that fails for good, seal it anew.

        Once in a process: a fault that comes back is the file's, or the centre's, and is told.
        """
        try:
            return self.deliver_entry(entry)
        except LiuhenError as error:
            again = entry.id in self._sealed_anew
            if again or error.retryable or isinstance(error, _EVERY_FILES):
                raise
            self._sealed_anew.add(entry.id)
            try:
                entry = self._give_up(entry)
            except ConflictError:
                raise error from None
        return self.deliver_entry(self._seal_entry(entry, submission, taking))

    def deliver_entry(self, entry: Entry) -> Entry:
        """Bring a sealed entry to the centre and keep its verified receipt.

        The centre's log must prove that it continues the newest head that was seen of it.
        Raises: SubmissionError(reason=journal-damaged), SignatureError, LogContradictedError,
        CustodyError, and as `Centre.accession`.
        """
        if entry.record is None or entry.envelope is None or entry.sha256 is None:
            raise SubmissionError(reason="journal-damaged")
        # Idempotent at the centre: after a lost reply the same call gives a receipt.
        receipt = self.centre.accession(entry.record, entry.envelope)
        self.on_step("delivered")
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256))
        verified_receipt = verify_receipt(
            receipt, self.centre_key, self.log_key, original, entry.size
        )
        # Split view: a centre that shows this station another log is caught before clearing.
        self.witness.check_log(verified_receipt.checkpoint)
        same = verified_receipt.recording == str(entry.recording)
        entry = self.journal.move_entry(
            entry,
            State.ACCESSIONED if same else State.DUPLICATE,
            receipt=receipt,
            facts={"recording": verified_receipt.recording},
        )
        self._delivered.add(entry.id)
        self.on_step("accessioned")
        return entry

    def _is_due(self, submission: Submission) -> bool:
        if submission.operator is not None:
            return True  # what a person handed in is a copy of ours
        if self.clearing.when is When.NEVER:
            return False
        settled = self._get_docking(submission.bay).settled.get(version_of(submission))
        changed = settled[1] if settled is not None else self._find_entry(submission).changed
        return changed is not None and self.clearing.is_due(
            self._reckoning.start_of(changed), self.clock()
        )

    def _clear_file(
        self, submission: Submission, report: FileReport, progress: Progress, state: BayState
    ) -> FileReport:
        """Clear one file, if the centre says now that it holds it; `state` is what its bay is in.

        Raises: SubmissionError, and as `clear`.
        """
        entry = self._find_entry(submission)
        recording = str(report.recording)
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256 or ""))
        # A receipt is old news: the centre says now that it still holds these bytes.
        is_held = self.centre.still_holds(submission.source, original)
        if is_held is None:
            return report  # nobody can say: the file stays until somebody can
        progress.worked = True
        # Lost or destroyed at the centre: the card holds the last copy and is sealed again.
        if is_held is False:
            self._get_docking(submission.bay).reopen_file(version_of(submission))
            self._take_anew(entry)
            raise SubmissionError(reason="taken-anew")
        if state is BayState.ACCESSIONED:
            progress.show_changes(state=state, current=None)
        else:
            progress.show_reading()
        if entry.state is not State.CLEARING:
            folder_identity = folder_known(submission.root, submission.path)
            # Journaled before the unlink: after a crash, a vanished file is known as cleared.
            entry = self.journal.move_entry(
                entry, State.CLEARING, facts=entry.facts | {_FOLDER: folder_identity}
            )
        self.on_step("clearing")
        self._remove_source(submission, entry)
        self._unlinked[entry.id] = submission.bay
        self.on_step("unlinked")
        self._note_clearing(entry, recording, noticed_gone=False)
        self._get_docking(submission.bay).reopen_file(version_of(submission))
        return replace(report, cleared=True)

    def _remove_source(self, submission: Submission, entry: Entry) -> None:
        """Unlink the source against the receipt. Raises: SubmissionError, and as `clear`."""
        try:
            clear_file(
                submission, entry.receipt or b"", self.centre_key, self.log_key, self._on_progress
            )
        except SubmissionError as error:
            if error.facts.get("reason") != UNSURE:  # else the next look finds out
                self.journal.move_entry(entry, State.ACCESSIONED)
            raise
        except SignatureError as error:
            # Other bytes than the receipt's are another recording, which the next look takes.
            self._get_docking(submission.bay).reopen_file(version_of(submission))
            self.journal.move_entry(entry, State.ACCESSIONED)
            if digest_source(submission, self._on_progress).hex == entry.sha256:
                raise  # the bytes are the same, so the receipt is not good: a person must look
            raise SubmissionError(reason="changed") from error

    def _note_clearing(self, entry: Entry, recording: str, *, noticed_gone: bool) -> None:
        """Note that a source was cleared; `gone` says that it was not seen to go, but to be gone.

        A centre far away hears of it through the journal: once, whenever we are killed.
        """
        details: dict[str, Any] = {"submission": entry.id, "sha256": entry.sha256}
        with self.journal.open_transaction():
            self.centre.note_act(
                "source.clear",
                subject=f"recording:{recording}",
                outcome="success",
                details=details | ({"noticed": "gone after a restart"} if noticed_gone else {}),
            )
            self.on_step("clear-noted")
            self.journal.move_entry(entry, State.CLEARED)
        self._unlinked.pop(entry.id, None)
        self.on_step("cleared")

    def _get_docking(self, bay: str) -> Docking:
        with self._lock:
            return self._dockings.setdefault(bay, Docking(self.clock()))

    def _dock_volume(self, volume: VolumeIdentity, bay: Bay) -> bool:
        """Note where a source is; tell whether it took another's place since the last look.

        Raises: SubmissionError(serial-twice): the same serial in two bays is two devices.
        """
        before = self._get_docking(bay.name).source
        # A volume that tells nothing any more may be the same one, cleared.
        changed_places = before not in {None, volume.identity} and volume.how != "bay"
        if changed_places:
            self.forget_docking(bay)
        with self._lock:
            for name, other in self._dockings.items():
                if name != bay.name and other.source == volume.identity:
                    raise SubmissionError(
                        reason="serial-twice", serial=volume.identity, other_bay=name
                    )
            docking = self._dockings.setdefault(bay.name, Docking(self.clock()))
            docking.source = volume.identity
        return changed_places

    def _note_unlinked(self, bay: Bay) -> None:
        """Note what this bay's thread itself removed, where the note failed then."""
        for entry in self.journal.in_state(State.CLEARING) if self._unlinked else ():
            if self._unlinked.get(entry.id) == bay.name:
                recording = entry.facts.get("recording") or str(entry.recording)
                self._note_clearing(entry, recording, noticed_gone=False)

    def _finish_clearing(self, bay: Bay, volume: VolumeIdentity | None) -> None:
        """After a crash between unlink and note: what is gone from this very source is noted.

        Only where the file system itself says that the name is gone from the whole volume: what a
        look did not come to, or was not asked about, is no proof of anything. A slot is no volume:
        what is not in it now may be elsewhere, unless the folder is there that the file was in.
        """
        if bay.only is not None or not bay.whole:
            return
        for entry in self.journal.in_state(State.CLEARING):
            if volume is None or bay.landing:
                same = entry.bay == bay.name
            elif volume.how == "bay":
                folder_identity = entry.facts.get(_FOLDER)
                same = entry.bay == bay.name and folder_identity is not None
                same = same and folder_identity == folder_known(bay.root, entry.path)
            else:
                same = entry.source == volume.identity
            if same and is_gone(bay.root, entry.path):
                recording = entry.facts.get("recording") or str(entry.recording)
                self._note_clearing(entry, recording, noticed_gone=True)

    def _quarantine_file(
        self, submission: Submission, reason: str, facts: dict[str, Any]
    ) -> FileReport:
        entry = self._undo_attempt(submission)
        path = display_path(submission.path)
        if reason in _RETRY:
            return FileReport(path, Outcome.WAITING, reason=reason)
        details = {name: fact for name, fact in facts.items() if name != "reason"}
        report = FileReport(path, Outcome.QUARANTINED, reason=reason, facts=details)
        given_up = self._get_docking(submission.bay).given_up
        first = version_of(submission) not in given_up
        if entry.state is State.WAITING:
            self.journal.move_entry(entry, State.QUARANTINED, reason=reason, facts=details)
        if first:
            self.centre.note_act(
                "submission.refuse",
                subject=f"submission:{entry.id}",
                outcome="refused",
                details={"reason": reason, "path": path, "source": submission.source},
            )
        given_up[version_of(submission)] = report  # last: what was not logged is tried again
        return report

    def _undo_attempt(self, submission: Submission) -> Entry:
        """Give up an unfinished attempt at this file, at the centre and in the journal."""
        entry = self._find_entry(submission)
        if entry.state is State.SEALING:
            if entry.recording is not None:
                self.centre.discard_attempt(entry.recording)
            entry = self.journal.move_entry(entry, State.WAITING, recording=None)
        return entry

    def _report_refusal(self, bay: Bay, refusal: Refused) -> FileReport:
        path = display_parts(refusal.parts) or "."
        docking, key = self._get_docking(bay.name), b"/".join(refusal.parts)
        if key not in docking.refused:
            self.centre.note_act(
                "submission.refuse",
                subject=f"bay:{_make_opaque(bay.name)}",
                outcome="refused",
                details={"reason": refusal.reason, "path": path},
            )
            docking.refused.add(key)
        return FileReport(path, Outcome.QUARANTINED, reason=refusal.reason)

    def forget_docking(self, bay: Bay) -> None:
        """Forget what is remembered of a docking: its volume went, or nobody looks any more."""
        self._enumerator.forget_bay(bay.name)
        with self._lock:
            self._dockings.pop(bay.name, None)
            self._delivered.clear()  # whoever is docked next is asked about at the centre

    def _publish_progress(self, progress: Progress) -> None:
        """Pass progress on; the journal's row for screens is written at most twice a second.

        A bay at rest is looked at in silence: nothing of it changes until it is at work again.
        Raises: StoppingError: whoever shows how far it is hears here that it shall stop.
        """
        self._check_stopping()
        same = self._states.get(progress.bay) is progress.state
        moving = same and progress.current is not None
        if moving and progress.state not in _AT_WORK:
            return
        self.listen(progress)
        with self._lock:
            last = self._shown_at.get(progress.bay, 0.0)
            now = self.clock().timestamp()
            if moving and 0 <= now - last < _SHOWN_S:
                return
            self._shown_at[progress.bay] = now
            self.journal.show_bay(
                progress.bay,
                state=progress.state,
                source=progress.source,
                files_total=progress.files_total,
                files_done=progress.files_done,
                bytes_total=progress.bytes_total,
                bytes_done=progress.bytes_done,
                current=progress.current,
                reason=progress.reason,
                facts=progress.facts,
            )
            self._states[progress.bay] = progress.state


@dataclass(frozen=True, slots=True)
class FileTaking:
    """Context for taking one file: its progress, a sandbox, whether it is open elsewhere."""

    file: FileProgress
    sandbox: FileLooker
    open_elsewhere: bool | None


def display_path(path: bytes) -> str:
    """Return a raw relative path as it is safe to show."""
    return display_parts(path.split(b"/"))


def payload_digest(record: bytes) -> Digest | None:
    """Return the digest of the payload that our own signed record names; None if it names none."""
    try:
        payload = canonical.decode(record)["body"]["payload"]
        return Digest(Algorithm.SHA256, bytes.fromhex(payload[Algorithm.SHA256]))
    except (KeyError, TypeError, ValueError):
        return None


def _describe_state(state: BayState, reports: list[FileReport]) -> dict[str, Any]:
    """Return the reason and facts that a bay shows beside its state: what, how many, which first.

    What is ignored is counted and named in every state, so that green says what it leaves out.
    """
    concerned: list[FileReport] = []
    reason = None
    if state is BayState.ATTENTION:
        concerned = [report for report in reports if needs_person(report)]
    elif state is BayState.WAITING:
        concerned = [report for report in reports if report.outcome is Outcome.WAITING]
    elif state is BayState.DELIVERING:
        concerned = [report for report in reports if report.outcome is Outcome.SEALED]
    facts: dict[str, Any] = {}
    if concerned:
        first = next((report for report in concerned if report.reason), concerned[0])
        reason = first.reason
        facts = {**first.facts, "files": len(concerned), "first": first.path}
    ignored = [report.path for report in reports if report.outcome is Outcome.IGNORED]
    if ignored:
        facts |= {"ignored": len(ignored), "ignored_names": ignored[:_NAMED]}
    return {"reason": reason, "facts": facts}


def _report_receipted(entry: Entry, submission: Submission) -> FileReport:
    """Return a receipted file's outcome. Raises: SubmissionError(journal-damaged)."""
    if entry.receipt is None or entry.state not in RECEIPTED:
        raise SubmissionError(reason="journal-damaged")
    return FileReport(
        display_path(submission.path),
        Outcome.DUPLICATE if entry.state is State.DUPLICATE else Outcome.ACCESSIONED,
        entry.facts.get("recording") or str(entry.recording),
        entry.sha256,
    )


def _name_source(bay: Bay, volume: VolumeIdentity, serial: str | None, operator: str | None) -> str:
    if operator is not None and serial is None:
        return f"unknown:{_make_opaque(operator)}"
    if bay.landing:
        return serial or f"unknown:landing-{_make_opaque(bay.name)}"
    return volume.identity


def _is_text(path: bytes) -> bool:
    return path.lower().endswith((b".log", b".gps", b".nmea", b".srt", b".txt", b".csv"))


def _make_opaque(name: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:60] or "-"
