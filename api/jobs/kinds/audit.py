"""`audit`: every day compares rows, entries, nodes, heads, static log, keys and modes, by itself.

A log of office size is audited whole each day; of a larger one each day has its part of the
entries, by number, so that in n days all is. Where the last part ended says its entry in the log.
The recordings that these entries took in are asked for modes, flags and locks of their objects.
Of originals whose records state more digests than SHA-256, each day has a part by their bytes:
they are unwrapped for it, each after an entry. Reading sealed objects is the business of `verify`.
The outcome is an entry; what is wrong stands in what is due, and in `/readyz`, until a person had
everything verified.
"""

from datetime import timedelta
from itertools import chain

from api.jobs.kind import Facts, Kind, Queue, Step
from api.office.evidence.integrity_check import catalogue_check, modes_check
from api.office.evidence.originals import differing_digests
from api.office.wiring import Office
from policies.identifiers import SYSTEM
from storage.catalogue.jobs.jobs import Job
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import RecordingRow
from storage.catalogue.unit_of_work import UnitOfWork, View
from storage.custody.entries.event import Outcome, PremisType
from storage.custody.entries.subjects import INTEGRITY
from storage.digest import Algorithm
from storage.errors import ArchiveAwayError, DestroyedError, FixityError, LiuhenError
from storage.signed import canonical
from storage.upkeep.fixity import Problem

ACT = "custody.audit"
OFFICE_SIZE = 100_000  # entries that are audited whole in one day
OFFICE_BYTES = 16 << 30  # of originals, which are gone through whole in one day
_LONGEST = 100  # differences told of in one result and entry


def run_job(office: Office, _job: Job, _step: Step) -> Facts:
    """Audit the day's part. What is found stays out of the engine."""
    return audit_part(office)


def audit_part(
    office: Office, *, office_size: int = OFFICE_SIZE, office_bytes: int = OFFICE_BYTES
) -> Facts:
    """Audit the part whose turn it is; say which it was, and what is wrong.

    A log of `office_size` entries is one part, and so are originals of `office_bytes` in all.
    """
    days = office.settings.audit_days
    with office.catalogue.read() as session:
        size = LogReader(session).size
        # Read in one transaction: entries, and the originals that they took in, as of one size.
        part = next_part(session, size, days, office_size)
        originals = next_originals(session, days, office_bytes)
    entries = part if part is not None else range(size)
    walk = chain(catalogue_check(office, part), modes_check(office, entries))
    # A set: one edited row is met from the row and from its entry, and is one fault.
    wrong_pairs = {(fault.kind, fault.subject) for fault in walk}
    compared, differing = _compare_originals(office, originals)
    wrong_pairs |= differing
    wrong = [{"what": kind, "subject": subject} for kind, subject in sorted(wrong_pairs)]
    return {
        "first": entries.start,
        "stop": entries.stop,
        "size": size,
        "originals": {"first": originals.start, "stop": originals.stop, "compared": compared},
        # The count tells of all, where the list is cut: a thousand faults must not read as a
        # hundred.
        "count": len(wrong),
        "wrong": wrong[:_LONGEST],
    }


def next_part(session: View, size: int, days: int, office_size: int) -> range | None:
    """Return the entries whose turn it is; None: all of them."""
    if size <= office_size:
        return None
    # From the log: kept in a row, whoever has the database could move it past what he changed.
    events = LogReader(session).events_of(INTEGRITY, act=ACT)
    last = events[-1].details if events else {"stop": 0, "size": 0}
    first = int(last["stop"]) if last["stop"] < last["size"] else 0  # at the end: begin anew
    # Never less than an office's worth: a log a little larger than that is not cut into days of
    # almost nothing.
    return range(first, min(first + max(office_size, -(-size // days)), size))


def next_originals(session: View, days: int, office_bytes: int) -> range:
    """Return the entries whose originals' turn it is; they begin anew behind the last one."""
    events = LogReader(session).events_of(INTEGRITY, act=ACT)
    last = events[-1].details.get("originals", {}) if events else {}
    size = LogReader(session).size
    first = int(last.get("stop", 0))
    # The day's share in bytes, for recordings differ in size by a thousandfold; rounded up, so that
    # the last day has nothing left over.
    share = max(office_bytes, -(-recordings.bytes_kept(session) // days))
    if first >= size:
        first = 0
    for row in recordings.taken_in_by(session, range(first, size)):
        share -= row.size
        # Behind the one that fills the share: even a recording larger than it has its turn.
        if share <= 0:
            return range(first, row.leaf_index + 1)
    return range(first, size)


def _compare_originals(office: Office, entries: range) -> tuple[int, set[tuple[str, str]]]:
    """Compare originals with all digests in their records; return how many, and what is wrong.

    Those whose records state SHA-256 alone are left out: of them `verify` reads the payloads.
    The system reads, whoever asked for the audit, and nobody is given anything.
    """
    with office.catalogue.read() as session:
        stated = [row.id for row in recordings.taken_in_by(session, entries) if _states_more(row)]
    wrong: set[tuple[str, str]] = set()
    for recording in stated:
        subject = f"{recording}/original"
        try:
            with office.catalogue.read() as session:
                row = recordings.get_present_recording(session, recording)
            # The entry stands before the first byte is opened, as for anybody who reads (promise
            # 4).
            with office.catalogue.write() as uow:
                recordings.log_access(
                    uow, row.id, actor=SYSTEM, purpose="audit", outcome=Outcome.SUCCESS
                )
            if differing_digests(office, row):
                wrong.add((Problem.DIGEST.value, subject))
        # Gone by two persons' decision meanwhile, or on a disk in a safe: neither is a fault.
        except (DestroyedError, ArchiveAwayError):
            continue
        except FixityError:
            wrong.add((Problem.CHANGED.value, subject))
        # One that cannot be read is named, and the others are still compared.
        except LiuhenError:
            wrong.add((Problem.UNREADABLE.value, subject))
    return len(stated), wrong


def _states_more(row: RecordingRow) -> bool:
    """Tell whether a record states a digest that nobody compares otherwise."""
    try:
        digests = canonical.decode(row.record_text.encode())["body"]["digests"]
        return set(digests) > {Algorithm.SHA256}
    except (LiuhenError, ValueError, TypeError, LookupError):
        return False  # no record any more: named by its row


def settle_job(_office: Office, uow: UnitOfWork, job: Job, facts: Facts) -> Facts:
    """Log the audit's outcome."""
    uow.record(
        ACT,
        PremisType.FIXITY_CHECK,
        actor=job.asked_by,
        subject=INTEGRITY,
        outcome=Outcome.FAILURE if facts["count"] else Outcome.SUCCESS,
        **facts,
    )
    return facts


KIND = Kind(
    name="audit",
    zh="数据库与日志核查",
    askable=True,
    work=run_job,
    settle=settle_job,
    queue=Queue.LONG,
    every=timedelta(days=1),
    at=timedelta(hours=2),
)
