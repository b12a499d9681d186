"""The station: sweeps its bays, takes what is whole, and clears only against verified receipts.

One bay is one small state machine (`bay.MOVES`); one file is one walk through the journal's states.
Every step is written down before the next, so a killed station goes on where it stopped, and any
call may be made again. Nothing here deletes an original but `clear.clear`, and only when the whole
bay was looked at.
"""

import errno
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from ingest.bay import GREEN, Bay, BayState, Outcome, Progress, Result, conclusion
from ingest.clear import Clearing, When, clear, digest_source, verified
from ingest.deliver import Centre
from ingest.journal import RECEIPTED, Entry, Journal, State
from ingest.media import USUAL, Effort, Sandbox
from ingest.probe import probe
from ingest.seal import Seal, seal
from ingest.settle import Look, Patience, Settled, changed, settle, written_now
from ingest.sources.names import display
from ingest.sources.profile import read as read_profile
from ingest.sources.volume import VolumeIdentity, identify, landed, vacant
from ingest.submission import Submission, open_source
from ingest.watch import Candidate, MountGoneError, Refused, scan
from storage import canonical
from storage.digest import Algorithm, Digest
from storage.errors import LiuhenError, SignatureError, StorageFullError, SubmissionError
from storage.record import RECORD_DOMAIN
from storage.recording import new_recording_id
from storage.signing import VerifyKey, sign_document, signer_of

_GONE = {errno.ENODEV, errno.ENOTCONN, errno.ENXIO, errno.ESTALE}
_RETRY = frozenset({"changed", "gone"})
_AT_WORK = frozenset({BayState.MOUNTING, BayState.SCANNING, BayState.SEALING})
_SHOWN_S = 0.5


@dataclass(slots=True)
class Station:
    """Everything a station needs, handed in."""

    journal: Journal
    centre: Centre
    sandbox: Sandbox
    seal: Seal
    centre_key: VerifyKey
    log_key: VerifyKey
    clock: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    patience: Patience = field(default_factory=Patience)
    effort: Effort = USUAL
    clearing: Clearing = field(default_factory=Clearing)
    per_hub: int = 2
    on_step: Callable[[str], None] = lambda _step: None
    listen: Callable[[Progress], None] = lambda _progress: None
    _looks: dict[tuple[str, bytes], list[Look]] = field(default_factory=dict)
    _checked: set[tuple[str, bytes]] = field(default_factory=set)
    _given_up: set[tuple[str, bytes]] = field(default_factory=set)
    _docked: dict[str, str] = field(default_factory=dict)
    _since: dict[str, datetime] = field(default_factory=dict)
    _states: dict[str, BayState] = field(default_factory=dict)
    _shown: dict[str, float] = field(default_factory=dict)
    _hubs: dict[str, threading.BoundedSemaphore] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
                except LiuhenError:
                    continue  # the next docking of this file tries again, and tells why it fails

    def _sign_again(self, entry: Entry) -> None:
        """After the station got a new key: what it still holds is signed under that key."""
        if entry.record is None or signer_of(entry.record) == self.seal.key.verify_key().kid:
            return
        body = canonical.decode(entry.record)["body"]
        self.journal.keep_record(entry, sign_document(self.seal.key, RECORD_DOMAIN, body))

    def sweep(self, bay: Bay) -> list[Result]:
        """Look at one bay once and take what is whole. Never raises for what a source does."""
        before = self._states.get(bay.name, BayState.UNKNOWN)
        progress = Progress(bay.name, self._report, before)
        try:
            with self._line_of(bay):
                return self._sweep(bay, progress)
        except MountGoneError:
            self._forget(bay)
            Progress(bay.name, self._report, progress.state).show(state=BayState.EMPTY)
        except LiuhenError as error:
            reason = error.facts.get("reason", error.code)
            progress.show(state=BayState.ATTENTION, reason=reason, facts=error.facts, current=None)
        return []

    def _line_of(self, bay: Bay) -> AbstractContextManager[object]:
        """Wait for a place on the bay's hub; bays of no hub have their own line."""
        if bay.hub is None:
            return nullcontext()
        with self._lock:
            return self._hubs.setdefault(bay.hub, threading.BoundedSemaphore(self.per_hub))

    def _sweep(self, bay: Bay, progress: Progress) -> list[Result]:
        if bay.handed is not None:
            bay.handed.land()
        found = [item for item in scan(bay.root) if bay.only is None or item.parts == (bay.only,)]
        files = [item for item in found if isinstance(item, Candidate)]
        results = [self._refused(bay, item) for item in found if isinstance(item, Refused)]
        now = self.clock()
        if not found and (bay.landing or bay.only or vacant(bay.root)):
            if bay.handed is not None:  # a folder of our own: what is not in it is gone
                self._finish_clearing(bay, None, set())
            self._forget(bay)
            progress.show(state=BayState.EMPTY)
            return results
        if progress.state in {BayState.UNKNOWN, BayState.EMPTY}:
            progress.show(state=BayState.MOUNTING)
        volume = self._identified(bay, files, now)
        if not bay.landing and self._dock(volume, bay):
            progress.show(state=BayState.MOUNTING)
        self._finish_clearing(bay, volume, {item.path for item in files})
        offered = self._offered(bay, files, volume, now)
        progress.source = None if bay.landing else volume.identity
        progress.files_total = len(offered)
        progress.bytes_total = sum(item.size for item in offered)
        if progress.state is BayState.MOUNTING:
            progress.show(state=BayState.SCANNING)
        held = written_now()
        inodes = {item.path: (item.device, item.inode) for item in files}
        taken: list[Result] = []
        try:
            for submission in offered:
                open_elsewhere = None if held is None else inodes[submission.path] in held
                taken.append(self._one(submission, progress, open_elsewhere=open_elsewhere))
                progress.files_done += 1
        except StorageFullError:
            self._clear_what_is_due(progress, offered, taken, results)  # no room here hinders none
            raise
        self._clear_what_is_due(progress, offered, taken, results)
        results += taken
        self._conclude(progress, results)
        return results

    def _offered(
        self, bay: Bay, files: list[Candidate], volume: VolumeIdentity, now: datetime
    ) -> list[Submission]:
        """Return what is offered, in the order in which it is taken."""
        docked_at = None if bay.landing else self._since.setdefault(bay.name, now)
        names: dict[tuple[bytes, ...], list[bytes]] = {}
        for item in files:
            names.setdefault(item.parts[:-1], []).append(item.parts[-1])
        offered = []
        for item in files:
            facts = read_profile(item.parts, names[item.parts[:-1]], now)
            if bay.landing:
                place = f"{self.seal.station}-{_opaque(bay.name)}"
                facts = landed(facts, item.parts, place)
            if not facts.ignore:
                operator = bay.handed.submitter(item.parts) if bay.handed is not None else None
                source = _source(bay, volume, facts.serial, operator)
                offered.append(
                    Submission(
                        source,
                        bay.name,
                        bay.root,
                        item.path,
                        item.size,
                        item.mtime_ns,
                        facts,
                        docked_at,
                        bay.quiet_s,
                        operator,
                    )
                )
        # Of two files with the same bytes, the one whose name says most becomes the recording.
        offered.sort(key=lambda one: (len(one.facts.questions), one.path))
        return offered

    def _clear_what_is_due(
        self,
        progress: Progress,
        offered: list[Submission],
        taken: list[Result],
        refused: list[Result],
    ) -> None:
        """Remove from the source what may go, now that everything on it was looked at."""
        due = [
            number
            for number, result in enumerate(taken)
            if result.outcome in {Outcome.ACCESSIONED, Outcome.DUPLICATE}
            and self._due(offered[number])
        ]
        if not due:
            return
        progress.worked = True
        state = conclusion({result.outcome for result in (*refused, *taken)})
        if state is BayState.ACCESSIONED and len(taken) == len(offered):
            progress.show(state=state, current=None)
        else:
            _reading(progress)
        for number in due:
            submission, result = offered[number], taken[number]
            taken[number] = self._tried(submission, partial(self._clear, submission, result))

    def _identified(self, bay: Bay, files: list[Candidate], now: datetime) -> VolumeIdentity:
        """Return whose volume this is; where it no longer tells, what it was before it was cleared.

        A recorder whose named files are gone may hold a last one that names nobody.
        """
        volume = identify(bay.root, [item.parts for item in files], now)
        if volume.how != "bay":
            return volume
        before = {
            source
            for item in files
            for source in self.journal.sources_of(bay.name, item.path, item.size, item.mtime_ns)
        }
        return replace(volume, identity=before.pop()) if len(before) == 1 else volume

    def _conclude(self, progress: Progress, results: list[Result]) -> None:
        state = conclusion({result.outcome for result in results})
        told: dict[str, Any] = {"reason": None, "facts": {}}
        if state is BayState.ATTENTION:
            wrong = [r for r in results if r.outcome is Outcome.QUARANTINED]
            facts = {"files": len(wrong), "first": wrong[0].path}
            told = {"reason": wrong[0].reason, "facts": facts}
        elif state is BayState.DELIVERING:
            sealed = [r for r in results if r.outcome is Outcome.SEALED]
            why = next((r.reason for r in sealed if r.reason), None)
            told = {"reason": why, "facts": {"sealed": len(sealed)}}
        resting = state is BayState.ACCESSIONED and not progress.worked
        if not (resting and progress.state in GREEN):
            progress.show(state=state, current=None, **told)
        if resting:
            progress.show(state=BayState.SAFE, current=None, **told)
        elif state is BayState.ACCESSIONED and results and all(one.cleared for one in results):
            progress.show(state=BayState.CLEARED)

    def _one(
        self, submission: Submission, progress: Progress, *, open_elsewhere: bool | None
    ) -> Result:
        progress.show(current=display(submission.path))
        before = progress.bytes_done
        entry = self._entry(submission)
        self.on_step("found")
        result = self._tried(
            submission,
            lambda: self._walk(entry, submission, progress, open_elsewhere=open_elsewhere),
        )
        progress.show(bytes_done=before + submission.size)
        return result

    def _entry(self, submission: Submission) -> Entry:
        return self.journal.take(
            source=submission.source,
            path=submission.path,
            size=submission.size,
            mtime_ns=submission.mtime_ns,
            bay=submission.bay,
        )

    def _tried(self, submission: Submission, act: Callable[[], Result]) -> Result:
        """Return what an act on one file gives; a fault of this file alone is its result."""
        try:
            return act()
        except SubmissionError as error:
            return self._quarantine(submission, error.facts.get("reason", error.code), error.facts)
        except StorageFullError:
            self._undo(submission)
            raise
        except LiuhenError as error:
            if not error.retryable:
                self._quarantine(submission, error.code, error.facts)
            raise
        except OSError as error:
            if error.errno in _GONE or not submission.root.is_dir():
                self._undo(submission)
                raise MountGoneError(str(submission.root)) from error
            return self._quarantine(submission, "read-error", {"errno": error.errno})

    def _walk(
        self,
        entry: Entry,
        submission: Submission,
        progress: Progress,
        *,
        open_elsewhere: bool | None,
    ) -> Result:
        given_up = (submission.bay, submission.path) in self._given_up
        if entry.state is State.QUARANTINED and given_up:
            # Tried in this docking; once more would only wear the card and flood the log.
            return Result(display(submission.path), Outcome.QUARANTINED, reason=entry.reason)
        checked = (submission.bay, submission.path) in self._checked
        if not (checked and entry.state in RECEIPTED):
            progress.worked = True
        if entry.state in {State.CLEARED, State.GONE, State.QUARANTINED}:
            entry = self.journal.move(entry, State.WAITING, recording=None)
        if entry.state is State.SEALING:
            entry = self._undo(submission)
        if entry.state in RECEIPTED:
            entry = self._same_bytes(entry, submission, progress)
        if entry.state is State.WAITING:
            settled = self._settled(submission, open_elsewhere=open_elsewhere)
            if settled is not Settled.WHOLE:
                reason = "still-writing" if settled is Settled.WAIT else "growing"
                return Result(display(submission.path), Outcome.WAITING, reason=reason)
            entry = self._known(entry, submission, progress) or self._seal(
                entry, submission, progress
            )
        if entry.state is State.SEALED and self.centre.immediate:
            entry = self.deliver(entry)
        if entry.state is State.SEALED:
            recording = str(entry.recording)
            return Result(
                display(submission.path), Outcome.SEALED, recording, entry.sha256, entry.reason
            )
        return _receipted(entry, submission)

    def _same_bytes(self, entry: Entry, submission: Submission, progress: Progress) -> Entry:
        """Once a docking, read a receipted file again: same name and time may hold other bytes.

        FAT counts time in two seconds and recorders restart their counters; other bytes are
        another recording.
        """
        key = (submission.bay, submission.path)
        if key in self._checked or entry.state is State.CLEARING:
            return entry
        _reading(progress)
        if digest_source(submission).hex != entry.sha256:
            entry = self.journal.move(
                entry, State.WAITING, recording=None, receipt=None, record=None, envelope=None
            )
        else:
            self._checked.add(key)
        return entry

    def _settled(self, submission: Submission, *, open_elsewhere: bool | None) -> Settled:
        looks = self._looks.setdefault((submission.bay, submission.path), [])
        now = Look(submission.size, submission.mtime_ns, self.clock())
        if len(looks) > 1 and not changed(looks) and not changed([looks[-1], now]):
            looks[-1] = now  # however often somebody looks, the first of the equal looks is kept
        else:
            looks.append(now)
        del looks[1:-8]
        name = display(submission.path.rpartition(b"/")[2])
        patience = self.patience
        if submission.quiet_s is not None:
            patience = replace(patience, quiet_s=submission.quiet_s)
        return settle(looks, name, patience, held_open=open_elsewhere)

    def _known(self, entry: Entry, submission: Submission, progress: Progress) -> Entry | None:
        """Return the entry as DUPLICATE if these bytes of this source hold a receipt already."""
        source, size = submission.source, submission.size
        if not (self.journal.same_size(source, size) or self.centre.holds_size(source, size)):
            return None
        _reading(progress)
        digest = digest_source(submission)
        self.on_step("hashed")
        before = self.journal.with_receipt(source, digest.hex)
        receipt = before.receipt if before else self.centre.receipt_for(source, digest)
        if receipt is None:
            return None
        found = verified(receipt, self.centre_key, self.log_key, digest, size)
        return self.journal.move(
            entry,
            State.DUPLICATE,
            sha256=digest.hex,
            receipt=receipt,
            facts={"recording": found.recording},
        )

    def _seal(self, entry: Entry, submission: Submission, progress: Progress) -> Entry:
        recording = new_recording_id(self.clock(), self.entropy(10))
        done = progress.bytes_done
        _reading(progress)
        with open_source(submission) as source:
            media = probe(
                source,
                submission.size,
                self.sandbox,
                text=_is_text(submission.path),
                effort=self.effort,
            )
            source.seek(0)
            entry = self.journal.move(entry, State.SEALING, recording=recording)
            self.on_step("sealing")
            progress.show(state=BayState.SEALING)
            sealed = seal(
                submission,
                source,
                media,
                by=self.seal,
                recording=recording,
                centre=self.centre,
                entropy=self.entropy,
                now=self.clock(),
                progress=lambda count: progress.show(bytes_done=done + count),
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

    def deliver(self, entry: Entry) -> Entry:
        """Bring a sealed entry to the centre and keep its verified receipt.

        Raises: SubmissionError(reason=journal-damaged), SignatureError, CustodyError, and as
        `Centre.accession`.
        """
        if entry.record is None or entry.envelope is None or entry.sha256 is None:
            raise SubmissionError(reason="journal-damaged")
        receipt = self.centre.accession(entry.record, entry.envelope)
        self.on_step("delivered")
        original = Digest(Algorithm.SHA256, bytes.fromhex(entry.sha256))
        found = verified(receipt, self.centre_key, self.log_key, original, entry.size)
        same = found.recording == str(entry.recording)
        entry = self.journal.move(
            entry,
            State.ACCESSIONED if same else State.DUPLICATE,
            receipt=receipt,
            facts={"recording": found.recording},
        )
        self.on_step("accessioned")
        return entry

    def _due(self, submission: Submission) -> bool:
        if submission.operator is not None:
            return True  # what a person handed in is a copy of ours
        if self.clearing.when is When.NEVER:
            return False
        entry = self._entry(submission)
        return entry.changed is not None and self.clearing.due(entry.changed, self.clock())

    def _clear(self, submission: Submission, result: Result) -> Result:
        entry = self._entry(submission)
        recording = str(result.recording)
        receipt = entry.receipt or b""
        if entry.state is not State.CLEARING:
            entry = self.journal.move(entry, State.CLEARING)
        self.on_step("clearing")
        try:
            clear(submission, receipt, self.centre_key, self.log_key)
        except SubmissionError:
            self.journal.move(entry, State.ACCESSIONED)
            raise
        except SignatureError as error:
            # Other bytes than the receipt's are another recording, which the next look takes.
            self._checked.discard((submission.bay, submission.path))
            self.journal.move(entry, State.ACCESSIONED)
            if digest_source(submission).hex == entry.sha256:
                raise  # the bytes are the same, so the receipt is not good: a person must look
            raise SubmissionError(reason="changed") from error
        self.on_step("unlinked")
        self._cleared(entry, recording)
        return replace(result, cleared=True)

    def _cleared(self, entry: Entry, recording: str) -> None:
        # A centre far away hears of it through the journal: once, whenever we are killed.
        with self.journal.together():
            self.centre.note(
                "source.clear",
                subject=f"recording:{recording}",
                outcome="success",
                details={"submission": entry.id, "sha256": entry.sha256},
            )
            self.on_step("clear-noted")
            self.journal.move(entry, State.CLEARED)
        self.on_step("cleared")

    def _dock(self, volume: VolumeIdentity, bay: Bay) -> bool:
        """Note where a source is; tell whether it took another's place since the last look.

        Raises: SubmissionError(serial-twice): the same serial in two bays is two devices.
        """
        with self._lock:
            here = {source for source, name in self._docked.items() if name == bay.name}
        # A volume that tells nothing any more may be the same one, cleared.
        changed_places = bool(here) and volume.how != "bay" and volume.identity not in here
        if changed_places:
            self._forget(bay)
        with self._lock:
            other = self._docked.setdefault(volume.identity, bay.name)
        if other != bay.name:
            raise SubmissionError(reason="serial-twice", serial=volume.identity, other_bay=other)
        return changed_places

    def _finish_clearing(
        self, bay: Bay, volume: VolumeIdentity | None, present: set[bytes]
    ) -> None:
        """After a crash between unlink and note: what is gone from this very source is noted."""
        for entry in self.journal.in_state(State.CLEARING):
            if volume is None or bay.landing:
                same = entry.bay == bay.name
            else:
                same = entry.source == volume.identity
            if same and entry.path not in present:
                self._cleared(entry, entry.facts.get("recording") or str(entry.recording))

    def _quarantine(self, submission: Submission, reason: str, facts: dict[str, Any]) -> Result:
        entry = self._undo(submission)
        shown = display(submission.path)
        if reason in _RETRY:
            return Result(shown, Outcome.WAITING, reason=reason)
        if entry.state is State.WAITING:
            self._given_up.add((submission.bay, submission.path))
            told = {name: value for name, value in facts.items() if name != "reason"}
            self.journal.move(entry, State.QUARANTINED, reason=reason, facts=told)
            self.centre.note(
                "submission.refuse",
                subject=f"submission:{entry.id}",
                outcome="refused",
                details={"reason": reason, "path": shown, "source": submission.source},
            )
        return Result(shown, Outcome.QUARANTINED, reason=reason)

    def _undo(self, submission: Submission) -> Entry:
        """Give up an unfinished attempt at this file, at the centre and in the journal."""
        entry = self._entry(submission)
        if entry.state is State.SEALING:
            if entry.recording is not None:
                self.centre.discard(entry.recording)
            entry = self.journal.move(entry, State.WAITING, recording=None)
        return entry

    def _refused(self, bay: Bay, item: Refused) -> Result:
        shown = "/".join(display(part) for part in item.parts)
        key = (bay.name, b"/".join(item.parts))
        if key not in self._looks:
            self._looks[key] = []
            self.centre.note(
                "submission.refuse",
                subject=f"bay:{_opaque(bay.name)}",
                outcome="refused",
                details={"reason": item.reason, "path": shown},
            )
        return Result(shown, Outcome.QUARANTINED, reason=item.reason)

    def _forget(self, bay: Bay) -> None:
        self._since.pop(bay.name, None)
        for key in [key for key in self._looks if key[0] == bay.name]:
            del self._looks[key]
        self._checked = {key for key in self._checked if key[0] != bay.name}
        self._given_up = {key for key in self._given_up if key[0] != bay.name}
        with self._lock:
            for source in [source for source, name in self._docked.items() if name == bay.name]:
                del self._docked[source]

    def _report(self, progress: Progress) -> None:
        """Pass progress on; the journal's row for screens is written at most twice a second.

        A bay at rest is looked at in silence: nothing of it changes until it is at work again.
        """
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


def _reading(progress: Progress) -> None:
    """Show that a file is read; while a bay's files are being sealed that is part of it."""
    if progress.state not in {BayState.SCANNING, BayState.SEALING}:
        progress.show(state=BayState.SCANNING)


def _receipted(entry: Entry, submission: Submission) -> Result:
    """Return a receipted file's outcome. Raises: SubmissionError(journal-damaged)."""
    if entry.receipt is None or entry.state not in RECEIPTED:
        raise SubmissionError(reason="journal-damaged")
    return Result(
        display(submission.path),
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
