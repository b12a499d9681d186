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
from collections.abc import Callable
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
    Outcome,
    Progress,
    Result,
    conclusion,
    needs_person,
)
from ingest.bays.census import Census, Enumerator, Offer, shown
from ingest.bays.docking import Docking, version_of
from ingest.bays.settle import Patience, Settled, settle, written_now
from ingest.bays.submission import Submission, folder_known, is_gone, open_source
from ingest.bays.watch import Candidate, MountGoneError, Refused, mount_id
from ingest.centre_protocol import Centre
from ingest.media.probe import FileLooker, probe
from ingest.media.sandbox import USUAL, Effort, Sandbox
from ingest.media.shared_sandbox import SharedSandbox
from ingest.sources.names import display
from ingest.sources.profile import SourceFacts
from ingest.sources.volume import VolumeIdentity, identify, landed, vacant
from ingest.station.clear import UNSURE, Clearing, clear, digest_source, verified
from ingest.station.clear_when import When
from ingest.station.delivery.witness import Witness
from ingest.station.elapsed_days import Reckoning
from ingest.station.journal import RECEIPTED, Entry, Journal, State
from ingest.station.seal import Seal, seal
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
_GONE = {errno.ENODEV, errno.ENOTCONN, errno.ENXIO, errno.ESTALE}
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
    at_once: int = AT_ONCE  # small files of one card
    on_step: Callable[[str], None] = lambda _step: None
    listen: Callable[[Progress], None] = lambda _progress: None
    stopping: threading.Event = field(default_factory=threading.Event)  # heard at the next block
    witness: Witness = field(init=False)
    _reckoning: Reckoning = field(init=False)
    _enumerator: Enumerator = field(default_factory=Enumerator)
    _dockings: dict[str, Docking] = field(default_factory=dict)
    _delivered: set[int] = field(default_factory=set)  # entries accessioned just now
    _unlinked: dict[int, str] = field(default_factory=dict)  # entries seen to go, by their bay
    _sealed_anew: set[int] = field(default_factory=set)
    _states: dict[str, BayState] = field(default_factory=dict)
    _shown: dict[str, float] = field(default_factory=dict)
    _hubs: dict[str, threading.BoundedSemaphore] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Watch the clock that clearing counts days by, and the centre's log."""
        self._reckoning = Reckoning(self.journal, self.clock, self.monotonic)
        self.witness = Witness(self.seal.station, self.journal, self.centre, lambda: self.log_key)

    def recover(self) -> None:
        """After a start: finish what was sealed, give up what was cut short before.

        A payload whose attempt never reached SEALED cannot be trusted to be this file's: its key
        died with the process. It is discarded at the centre and the file is sealed again. What the
        bays showed before counts for nothing: whoever sees them is told that nobody has looked.
        """
        self.journal.unlook()
        for entry in self.journal.in_state(State.SEALING):
            if entry.recording is not None:
                self.centre.discard(entry.recording)
            self.journal.move(entry, State.WAITING, recording=None)
        for entry in self.journal.in_state(State.SEALED):
            self._sign_again(entry)
            if self.centre.immediate:
                try:
                    self.deliver(entry)
                except LiuhenError as error:
                    self.journal.trouble(entry, error.code)  # the next docking tries again

    def _sign_again(self, entry: Entry) -> None:
        """After the station got a new key: what it still holds is signed under that key."""
        if entry.record is None or signer_of(entry.record) == self.seal.key.verify_key().kid:
            return
        body = canonical.decode(entry.record)["body"]
        self.journal.keep_record(entry, sign_document(self.seal.key, RECORD_DOMAIN, body))

    def sweep(self, bay: Bay) -> list[Result]:
        """Look at one bay once and take what is whole; return what became of each entry.

        Never raises for what a source, a file or the centre does: what stopped the look is the
        result of every file that it did not reach, or of the bay itself (`.`). Nothing comes of a
        bay that is empty, or whose volume went meanwhile. Raises: StoppingError.
        """
        before = self._states.get(bay.name, BayState.UNKNOWN)
        progress = Progress(bay.name, self._report, before)
        results: list[Result] = []
        pending: list[Submission] = []
        try:
            with self._line_of(bay):
                self._reckoning.look()
                self._sweep(bay, progress, pending, results)
        except MountGoneError:
            self.forget(bay)
            Progress(bay.name, self._report, progress.state).show(state=BayState.EMPTY)
            return []
        except LiuhenError as error:
            reason = error.facts.get("reason", error.code)
            self._stopped(progress, pending, results, reason, error.facts)
        except Exception as error:
            # The edge of the station: a defect met here must not stop other bays, nor stay unseen.
            LOG.exception("the look at %s failed", bay.name)
            self._stopped(progress, pending, results, "defect", {"error": type(error).__name__})
        return results

    def _stopped(
        self,
        progress: Progress,
        pending: list[Submission],
        results: list[Result],
        reason: str,
        facts: dict[str, Any],
    ) -> None:
        """Say of each file that was not reached, or of the bay, why the look ended before it."""
        paths = [display_path(one.path) for one in pending]
        facts = {name: value for name, value in facts.items() if name != "reason"}
        results += [
            Result(path, Outcome.FAILED, reason=reason, facts=facts) for path in paths or ["."]
        ]
        with suppress(LiuhenError):  # a journal that cannot be written to is told of by its reader
            progress.show(state=BayState.ATTENTION, reason=reason, facts=facts, current=None)

    def _line_of(self, bay: Bay) -> AbstractContextManager[object]:
        """Wait for a place on the bay's hub; bays of no hub have their own line."""
        if bay.hub is None:
            return nullcontext()
        with self._lock:
            return self._hubs.setdefault(bay.hub, threading.BoundedSemaphore(self.per_hub))

    def _sweep(
        self, bay: Bay, progress: Progress, pending: list[Submission], results: list[Result]
    ) -> None:
        if bay.handed is not None:
            bay.handed.land()
        census = self._enumerator.take(bay, partial(self._placed, bay), self.clock())
        results += [self._refused(bay, item) for item in census.refused]
        results += census.ignored
        self._same_mount(bay)
        self._note_unlinked(bay)
        if census.empty and (bay.landing or bay.only or vacant(bay.root)):
            if bay.handed is not None:  # a folder of our own: what is not in it is gone
                self._finish_clearing(bay, None)
            self.forget(bay)
            progress.show(state=BayState.EMPTY)
            return
        if progress.state in {BayState.UNKNOWN, BayState.EMPTY}:
            progress.show(state=BayState.MOUNTING)
        volume = self._identified(bay, census)
        # What is named by hand may be a copy of what is docked: it takes no recorder's place.
        if bay.whole and not bay.landing and self._dock(volume, bay):
            progress.show(state=BayState.MOUNTING)
        self._finish_clearing(bay, volume)
        offered = self._offered(bay, census, volume)
        self._docking(bay.name).keep_only({version_of(one) for one in offered})
        pending += offered
        progress.source = None if bay.landing else volume.identity
        progress.files_total = len(offered)
        progress.bytes_total = sum(item.size for item in offered)
        if progress.state is BayState.MOUNTING:
            progress.show(state=BayState.SCANNING)
        first = len(results)
        self._take_all(census, pending, progress, results)
        self._clear_what_is_due(bay, progress, offered, results, first)
        self._conclude(progress, results)

    def _same_mount(self, bay: Bay) -> None:
        """Forget a docking whose volume was taken out and another mounted between two looks."""
        mount = mount_id(bay.root)
        docking = self._docking(bay.name)
        if docking.mount not in {"", mount}:
            self.forget(bay)
            docking = self._docking(bay.name)
        docking.mount = mount

    def _placed(self, bay: Bay, file: Candidate, facts: SourceFacts) -> SourceFacts:
        """Complete what a name says by where it lies."""
        if not bay.landing:
            return facts
        return landed(facts, file.parts, f"{self.seal.station}-{_opaque(bay.name)}")

    def _offered(self, bay: Bay, census: Census, volume: VolumeIdentity) -> list[Submission]:
        """Return what is offered, in the order in which it is taken."""
        docked_at = None if bay.landing else self._docking(bay.name).since

        def submission(offer: Offer) -> Submission:
            file, facts = offer.file, offer.facts
            operator = bay.handed.submitter(file.parts) if bay.handed is not None else None
            return Submission(
                _source(bay, volume, facts.serial, operator),
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
            map(submission, census.offers), key=lambda one: (len(one.facts.questions), one.path)
        )

    def _take_all(
        self,
        census: Census,
        pending: list[Submission],
        progress: Progress,
        results: list[Result],
    ) -> None:
        """Take each file that is pending; it is that until its result is there.

        What is settled in this docking costs nothing more, however many there are.
        """
        writers = written_now()
        inodes = {item.path: (item.device, item.inode) for item in census.files}
        settled = self._docking(progress.bay).settled

        def known(submission: Submission) -> Result | None:
            before = settled.get(version_of(submission))
            if before is None:
                return None
            progress.skip(submission.size)
            progress.finish_file()
            return before[0]

        with closing(SharedSandbox(self.sandbox)) as sandbox:

            def take(submission: Submission) -> Result:
                open_elsewhere = None if writers is None else inodes[submission.path] in writers
                result = self._one(submission, progress, sandbox, open_elsewhere=open_elsewhere)
                progress.finish_file()
                return result

            take_each(pending, results, known=known, take=take, at_once=self.at_once)

    def _clear_what_is_due(
        self,
        bay: Bay,
        progress: Progress,
        offered: list[Submission],
        results: list[Result],
        first: int,
    ) -> None:
        """Remove from the source what may go, now that everything on it was looked at."""
        if not bay.clears or self.witness.alarm is not None:
            return
        state = conclusion(results)
        for number, submission in enumerate(offered, first):
            result = results[number]
            if result.outcome not in {Outcome.ACCESSIONED, Outcome.DUPLICATE}:
                continue
            if self._due(submission):
                act = partial(self._clear, submission, result, progress, state)
                results[number] = self._tried(submission, act)

    def _identified(self, bay: Bay, census: Census) -> VolumeIdentity:
        """Return whose volume this is; where it no longer tells, what it was before it was cleared.

        A recorder whose named files are gone may hold a last one that names nobody.
        """
        docking = self._docking(bay.name)
        volume = identify(bay.root, {offer.facts.serial for offer in census.offers})
        if volume.how != "bay":
            return volume
        here = {(one.path, one.size, one.mtime_ns, one.stamp) for one in census.files}
        if docking.source is not None and here and here <= docking.settled.keys():
            return replace(volume, identity=docking.source)  # found out at an earlier look
        before = self.journal.sources_of(bay.name, {version[:3] for version in here})
        return replace(volume, identity=before.pop()) if len(before) == 1 else volume

    def _conclude(self, progress: Progress, results: list[Result]) -> None:
        if (alarm := self.witness.alarm) is not None:  # nothing of this centre's is green now
            results.append(Result(".", Outcome.FAILED, reason=alarm.code, facts=alarm.facts))
        state = conclusion(results)
        words = _words(state, results)
        resting = state is BayState.ACCESSIONED and not progress.worked
        if not (resting and progress.state in GREEN):
            progress.show(state=state, current=None, **words)
        evidence = [result for result in results if result.outcome is not Outcome.IGNORED]
        if resting:
            progress.show(state=BayState.SAFE, current=None, **words)
        elif state is BayState.ACCESSIONED and evidence and all(one.cleared for one in evidence):
            progress.show(state=BayState.CLEARED)

    def _one(
        self,
        submission: Submission,
        progress: Progress,
        sandbox: FileLooker,
        *,
        open_elsewhere: bool | None,
    ) -> Result:
        self._heed()
        progress.show(current=display(submission.path))
        file = FileProgress(progress, submission.size, self._heed)

        def walk() -> Result:
            entry = self._entry(submission)
            self.on_step("found")
            return self._walk(entry, submission, FileTaking(file, sandbox, open_elsewhere))

        result = self._tried(submission, walk)
        if result.outcome is Outcome.WAITING:
            file.take_back()
        else:
            file.finish()
        return result

    def _hear(self, _share: float) -> None:
        self._heed()

    def _heed(self) -> None:
        """Raise: StoppingError, once the station is to stop."""
        if self.stopping.is_set():
            raise StoppingError

    def _entry(self, submission: Submission) -> Entry:
        """Return the journal's entry for this file: of the bytes that were read in this docking."""
        number = self._docking(submission.bay).entries.get(version_of(submission))
        known = self.journal.by_id(number) if number is not None else None
        return known or self.journal.take(
            source=submission.source,
            path=submission.path,
            size=submission.size,
            mtime_ns=submission.mtime_ns,
            bay=submission.bay,
        )

    def _tried(self, submission: Submission, act: Callable[[], Result]) -> Result:
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
            return Result(display_path(submission.path), Outcome.FAILED, reason=reason)

    def _tried_once(self, submission: Submission, act: Callable[[], Result]) -> Result:
        try:
            return act()
        except SubmissionError as error:
            return self._quarantine(submission, error.facts.get("reason", error.code), error.facts)
        except StorageFullError as error:
            self._undo(submission)
            if error.facts.get("where") not in _PER_FILE_ROOM:
                raise
            path = display_path(submission.path)
            return Result(path, Outcome.WAITING, reason=error.code, facts=error.facts)
        except LiuhenError as error:
            if error.retryable or isinstance(error, _EVERY_FILES):
                raise
            return self._quarantine(submission, error.code, error.facts)
        except OSError as error:
            if error.errno in _GONE or not submission.root.is_dir():
                self._undo(submission)
                raise MountGoneError(str(submission.root)) from error
            # A source that lacks the file is told as gone: a name missing elsewhere is ours, and
            # went by another thread's hand. It is tried again.
            reason = "changed" if error.errno == errno.ENOENT else "read-error"
            return self._quarantine(submission, reason, {"errno": error.errno})
        except MountGoneError:
            raise
        except Exception as error:
            # The edge of the station: what one file brings about must not stop the others.
            LOG.exception("a file of %s failed", submission.bay)
            return self._quarantine(submission, "defect", {"error": type(error).__name__})

    def _walk(self, entry: Entry, submission: Submission, taking: "FileTaking") -> Result:
        docking, version = self._docking(submission.bay), version_of(submission)
        if (given_up := docking.given_up.get(version)) is not None:
            # Tried in this docking; once more would only wear the card and flood the log.
            return given_up
        if not (version in docking.checked and entry.state in RECEIPTED):
            taking.file.bay.worked = True
        if entry.state in {State.CLEARED, State.GONE, State.QUARANTINED}:
            entry = self.journal.move(entry, State.WAITING, recording=None)
        if entry.state is State.SEALING:
            entry = self._undo(submission)
        if entry.state in RECEIPTED or entry.state is State.SEALED:
            entry = self._same_bytes(entry, submission, taking.file)
        if entry.state is State.WAITING:
            settled = self._settled(submission, open_elsewhere=taking.open_elsewhere)
            if settled is not Settled.WHOLE:
                reason = "still-writing" if settled is Settled.WAIT else "growing"
                return Result(display_path(submission.path), Outcome.WAITING, reason=reason)
            entry = self._known(entry, submission, taking.file) or self._seal(
                entry, submission, taking
            )
        if entry.state is State.SEALED and self.centre.immediate:
            entry = self._brought(entry, submission, taking)
        return self._result(entry, submission)

    def _result(self, entry: Entry, submission: Submission) -> Result:
        """Return what became of a file that is sealed or receipted, and remember it if settled.

        Raises: SubmissionError(journal-damaged).
        """
        if entry.state is State.SEALED:
            recording, path = str(entry.recording), display_path(submission.path)
            return Result(path, Outcome.SEALED, recording, entry.sha256, entry.reason)
        result = _receipted(entry, submission)
        docking, version = self._docking(submission.bay), version_of(submission)
        if version in docking.checked and entry.changed is not None:
            docking.settled[version] = (result, entry.changed)
        return result

    def _same_bytes(self, entry: Entry, submission: Submission, file: FileProgress) -> Entry:
        """Once a docking, read a known file again, from its medium.

        The same name, size and time may hold other bytes: FAT counts time in two seconds and
        recorders restart their counters; other bytes are another recording. And the first read may
        have been wrong: two that differ must not be explained away by a third.
        Raises: SubmissionError(unsteady): no two reads agree.
        """
        docking, version = self._docking(submission.bay), version_of(submission)
        if version in docking.checked:
            return entry
        file.bay.show_reading()
        digest = digest_source(submission, file.phase(_READ_PART))
        if digest.hex != entry.sha256:
            if digest_source(submission, file.phase(_READ_PART)) != digest:
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
        asked = entry.state in RECEIPTED and entry.id not in self._delivered
        if asked and self.centre.still_holds(submission.source, digest) is False:
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
            self.centre.discard(entry.recording)
        return self._take_anew(entry)

    def _take_anew(self, entry: Entry) -> Entry:
        return self.journal.move(
            entry,
            State.WAITING,
            recording=None,
            receipt=None,
            record=None,
            envelope=None,
            sha256=None,
        )

    def _settled(self, submission: Submission, *, open_elsewhere: bool | None) -> Settled:
        looks = self._docking(submission.bay).look(submission, self.monotonic())
        name = display(submission.path.rpartition(b"/")[2])
        patience = self.patience
        if submission.quiet_s is not None:
            patience = replace(patience, quiet_s=submission.quiet_s)
        age_s = 0.0
        if submission.docked_at is not None:  # nobody but the recorder wrote to a volume before
            age_s = max(0.0, submission.docked_at.timestamp() - submission.mtime_ns / 1e9)
        return settle(looks, name, patience, held_open=open_elsewhere, age_s=age_s)

    def _known(self, entry: Entry, submission: Submission, file: FileProgress) -> Entry | None:
        """Return the entry as DUPLICATE if these bytes of this source hold a receipt already."""
        source, size = submission.source, submission.size
        if not (self.journal.same_size(source, size) or self.centre.holds_size(source, size)):
            return None
        file.bay.show_reading()
        digest = digest_source(submission, file.phase(_KNOWN_PART))
        self.on_step("hashed")
        before = self.journal.with_receipt(source, digest.hex)
        if before is not None and self.centre.still_holds(source, digest) is False:
            return None  # it was destroyed, or lost: what is offered is taken anew
        receipt = before.receipt if before else self.centre.receipt_for(source, digest)
        if receipt is None:
            return None
        found = verified(receipt, self.centre_key, self.log_key, digest, size)
        if before is None and not self._log_goes_on(found):
            return None  # its delivery will find out
        return self.journal.move(
            entry,
            State.DUPLICATE,
            sha256=digest.hex,
            receipt=receipt,
            facts={"recording": found.recording},
        )

    def _log_goes_on(self, receipt: Receipt) -> bool:
        """Whether the centre, asked now, proves that its log leads on from this receipt's head.

        Raises: LogContradictedError.
        """
        try:
            self.witness.check(receipt.checkpoint)
        except LogContradictedError:
            raise
        except LiuhenError:
            return False
        return True

    def _seal(self, entry: Entry, submission: Submission, taking: "FileTaking") -> Entry:
        self.centre.check_room(payload_size(submission.size))  # before anything is read
        recording = new_recording_id(self.clock(), self.entropy(10))
        file = taking.file
        file.bay.show_reading()
        with open_source(submission) as source:
            media = probe(
                source,
                submission.size,
                taking.sandbox,
                text=_is_text(submission.path),
                effort=self.effort,
                tell=file.phase(_LOOK_PART),
            )
            source.seek(0)
            entry = self.journal.move(entry, State.SEALING, recording=recording)
            self.on_step("sealing")
            file.bay.show(state=BayState.SEALING)
            sealed = seal(
                submission,
                source,
                media,
                by=self.seal,
                recording=recording,
                centre=self.centre,
                entropy=self.entropy,
                now=self.clock(),
                progress=file.phase(SEAL_PART),
            )
        self.on_step("payload-delivered")
        entry = self.journal.move(
            entry,
            State.SEALED,
            sha256=sealed.original.hex,
            record=sealed.record,
            envelope=sealed.envelope,
        )
        self.on_step("sealed")
        return entry

    def _brought(self, entry: Entry, submission: Submission, taking: "FileTaking") -> Entry:
        """Deliver a sealed entry whose source is docked; where that fails for good, seal it anew.

        Once in a process: a fault that comes back is the file's, or the centre's, and is told.
        """
        try:
            return self.deliver(entry)
        except LiuhenError as error:
            again = entry.id in self._sealed_anew
            if again or error.retryable or isinstance(error, _EVERY_FILES):
                raise
            self._sealed_anew.add(entry.id)
            try:
                entry = self._give_up(entry)
            except ConflictError:
                raise error from None
        return self.deliver(self._seal(entry, submission, taking))

    def deliver(self, entry: Entry) -> Entry:
        """Bring a sealed entry to the centre and keep its verified receipt.

        The centre's log must prove that it continues the newest head that was seen of it.
        Raises: SubmissionError(reason=journal-damaged), SignatureError, LogContradictedError,
        CustodyError, and as `Centre.accession`.
        """
        if entry.record is None or entry.envelope is None or entry.sha256 is None:
            raise SubmissionError(reason="journal-damaged")
        receipt = self.centre.accession(entry.record, entry.envelope)
        self.on_step("delivered")
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256))
        found = verified(receipt, self.centre_key, self.log_key, original, entry.size)
        self.witness.check(found.checkpoint)
        same = found.recording == str(entry.recording)
        entry = self.journal.move(
            entry,
            State.ACCESSIONED if same else State.DUPLICATE,
            receipt=receipt,
            facts={"recording": found.recording},
        )
        self._delivered.add(entry.id)
        self.on_step("accessioned")
        return entry

    def _due(self, submission: Submission) -> bool:
        if submission.operator is not None:
            return True  # what a person handed in is a copy of ours
        if self.clearing.when is When.NEVER:
            return False
        settled = self._docking(submission.bay).settled.get(version_of(submission))
        changed = settled[1] if settled is not None else self._entry(submission).changed
        return changed is not None and self.clearing.due(
            self._reckoning.start_of(changed), self.clock()
        )

    def _clear(
        self, submission: Submission, result: Result, progress: Progress, state: BayState
    ) -> Result:
        """Clear one file, if the centre says now that it holds it; `state` is what its bay is in.

        Raises: SubmissionError, and as `clear`.
        """
        entry = self._entry(submission)
        recording = str(result.recording)
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256 or ""))
        held = self.centre.still_holds(submission.source, original)
        if held is None:
            return result  # nobody can say: the file stays until somebody can
        progress.worked = True
        if held is False:
            self._docking(submission.bay).reopen(version_of(submission))
            self._take_anew(entry)
            raise SubmissionError(reason="taken-anew")
        if state is BayState.ACCESSIONED:
            progress.show(state=state, current=None)
        else:
            progress.show_reading()
        if entry.state is not State.CLEARING:
            known = folder_known(submission.root, submission.path)
            entry = self.journal.move(entry, State.CLEARING, facts=entry.facts | {_FOLDER: known})
        self.on_step("clearing")
        self._remove(submission, entry)
        self._unlinked[entry.id] = submission.bay
        self.on_step("unlinked")
        self._cleared(entry, recording, gone=False)
        self._docking(submission.bay).reopen(version_of(submission))
        return replace(result, cleared=True)

    def _remove(self, submission: Submission, entry: Entry) -> None:
        """Unlink the source against the receipt. Raises: SubmissionError, and as `clear`."""
        try:
            clear(submission, entry.receipt or b"", self.centre_key, self.log_key, self._hear)
        except SubmissionError as error:
            if error.facts.get("reason") != UNSURE:  # else the next look finds out
                self.journal.move(entry, State.ACCESSIONED)
            raise
        except SignatureError as error:
            # Other bytes than the receipt's are another recording, which the next look takes.
            self._docking(submission.bay).reopen(version_of(submission))
            self.journal.move(entry, State.ACCESSIONED)
            if digest_source(submission, self._hear).hex == entry.sha256:
                raise  # the bytes are the same, so the receipt is not good: a person must look
            raise SubmissionError(reason="changed") from error

    def _cleared(self, entry: Entry, recording: str, *, gone: bool) -> None:
        """Note that a source was cleared; `gone` says that it was not seen to go, but to be gone.

        A centre far away hears of it through the journal: once, whenever we are killed.
        """
        details: dict[str, Any] = {"submission": entry.id, "sha256": entry.sha256}
        with self.journal.together():
            self.centre.note(
                "source.clear",
                subject=f"recording:{recording}",
                outcome="success",
                details=details | ({"noticed": "gone after a restart"} if gone else {}),
            )
            self.on_step("clear-noted")
            self.journal.move(entry, State.CLEARED)
        self._unlinked.pop(entry.id, None)
        self.on_step("cleared")

    def _docking(self, bay: str) -> Docking:
        with self._lock:
            return self._dockings.setdefault(bay, Docking(self.clock()))

    def _dock(self, volume: VolumeIdentity, bay: Bay) -> bool:
        """Note where a source is; tell whether it took another's place since the last look.

        Raises: SubmissionError(serial-twice): the same serial in two bays is two devices.
        """
        before = self._docking(bay.name).source
        # A volume that tells nothing any more may be the same one, cleared.
        changed_places = before not in {None, volume.identity} and volume.how != "bay"
        if changed_places:
            self.forget(bay)
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
                self._cleared(entry, recording, gone=False)

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
                known = entry.facts.get(_FOLDER)
                same = entry.bay == bay.name and known is not None
                same = same and known == folder_known(bay.root, entry.path)
            else:
                same = entry.source == volume.identity
            if same and is_gone(bay.root, entry.path):
                recording = entry.facts.get("recording") or str(entry.recording)
                self._cleared(entry, recording, gone=True)

    def _quarantine(self, submission: Submission, reason: str, facts: dict[str, Any]) -> Result:
        entry = self._undo(submission)
        path = display_path(submission.path)
        if reason in _RETRY:
            return Result(path, Outcome.WAITING, reason=reason)
        told = {name: value for name, value in facts.items() if name != "reason"}
        result = Result(path, Outcome.QUARANTINED, reason=reason, facts=told)
        given_up = self._docking(submission.bay).given_up
        first = version_of(submission) not in given_up
        if entry.state is State.WAITING:
            self.journal.move(entry, State.QUARANTINED, reason=reason, facts=told)
        if first:
            self.centre.note(
                "submission.refuse",
                subject=f"submission:{entry.id}",
                outcome="refused",
                details={"reason": reason, "path": path, "source": submission.source},
            )
        given_up[version_of(submission)] = result  # last: what was not logged is tried again
        return result

    def _undo(self, submission: Submission) -> Entry:
        """Give up an unfinished attempt at this file, at the centre and in the journal."""
        entry = self._entry(submission)
        if entry.state is State.SEALING:
            if entry.recording is not None:
                self.centre.discard(entry.recording)
            entry = self.journal.move(entry, State.WAITING, recording=None)
        return entry

    def _refused(self, bay: Bay, item: Refused) -> Result:
        path = shown(item.parts) or "."
        docking, key = self._docking(bay.name), b"/".join(item.parts)
        if key not in docking.refused:
            self.centre.note(
                "submission.refuse",
                subject=f"bay:{_opaque(bay.name)}",
                outcome="refused",
                details={"reason": item.reason, "path": path},
            )
            docking.refused.add(key)
        return Result(path, Outcome.QUARANTINED, reason=item.reason)

    def forget(self, bay: Bay) -> None:
        """Forget what is remembered of a docking: its volume went, or nobody looks any more."""
        self._enumerator.forget(bay.name)
        with self._lock:
            self._dockings.pop(bay.name, None)
            self._delivered.clear()  # whoever is docked next is asked about at the centre

    def _report(self, progress: Progress) -> None:
        """Pass progress on; the journal's row for screens is written at most twice a second.

        A bay at rest is looked at in silence: nothing of it changes until it is at work again.
        Raises: StoppingError: whoever shows how far it is hears here that it shall stop.
        """
        self._heed()
        same = self._states.get(progress.bay) is progress.state
        moving = same and progress.current is not None
        if moving and progress.state not in _AT_WORK:
            return
        self.listen(progress)
        with self._lock:
            last = self._shown.get(progress.bay, 0.0)
            now = self.clock().timestamp()
            if moving and 0 <= now - last < _SHOWN_S:
                return
            self._shown[progress.bay] = now
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
    """What it takes to take one file: who hears how far it is, a sandbox, whether it is open."""

    file: FileProgress
    sandbox: FileLooker
    open_elsewhere: bool | None


def display_path(path: bytes) -> str:
    """Return a raw relative path as it is safe to show."""
    return shown(path.split(b"/"))


def payload_digest(record: bytes) -> Digest | None:
    """Return the digest of the payload that our own signed record names; None if it names none."""
    try:
        payload = canonical.decode(record)["body"]["payload"]
        return Digest(Algorithm.SHA256, bytes.fromhex(payload[Algorithm.SHA256]))
    except (KeyError, TypeError, ValueError):
        return None


def _words(state: BayState, results: list[Result]) -> dict[str, Any]:
    """Return the reason and facts that a bay shows beside its state: what, how many, which first.

    What is ignored is counted and named in every state, so that green says what it leaves out.
    """
    concerned: list[Result] = []
    reason = None
    if state is BayState.ATTENTION:
        concerned = [one for one in results if needs_person(one)]
    elif state is BayState.WAITING:
        concerned = [one for one in results if one.outcome is Outcome.WAITING]
    elif state is BayState.DELIVERING:
        concerned = [one for one in results if one.outcome is Outcome.SEALED]
    facts: dict[str, Any] = {}
    if concerned:
        first = next((one for one in concerned if one.reason), concerned[0])
        reason = first.reason
        facts = {**first.facts, "files": len(concerned), "first": first.path}
    ignored = [one.path for one in results if one.outcome is Outcome.IGNORED]
    if ignored:
        facts |= {"ignored": len(ignored), "ignored_names": ignored[:_NAMED]}
    return {"reason": reason, "facts": facts}


def _receipted(entry: Entry, submission: Submission) -> Result:
    """Return a receipted file's outcome. Raises: SubmissionError(journal-damaged)."""
    if entry.receipt is None or entry.state not in RECEIPTED:
        raise SubmissionError(reason="journal-damaged")
    return Result(
        display_path(submission.path),
        Outcome.DUPLICATE if entry.state is State.DUPLICATE else Outcome.ACCESSIONED,
        entry.facts.get("recording") or str(entry.recording),
        entry.sha256,
    )


def _source(bay: Bay, volume: VolumeIdentity, serial: str | None, operator: str | None) -> str:
    if operator is not None and serial is None:
        return f"unknown:{_opaque(operator)}"
    if bay.landing:
        return serial or f"unknown:landing-{_opaque(bay.name)}"
    return volume.identity


def _is_text(path: bytes) -> bool:
    return path.lower().endswith((b".log", b".gps", b".nmea", b".srt", b".txt", b".csv"))


def _opaque(name: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in name)[:60] or "-"
