"""Everything that an office keeps, checked: database, log and objects; what is wrong, in words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from api.office.wiring import Office
from storage.catalogue.audit.audit import audit
from storage.catalogue.jobs import jobs
from storage.catalogue.log.discrepancy import Discrepancy, What
from storage.catalogue.proofs.office_keys import unenrolled
from storage.catalogue.recordings import recordings
from storage.catalogue.retention import dispositions
from storage.catalogue.tables import RecordingRow
from storage.errors import LiuhenError
from storage.upkeep.destruction import keys_of
from storage.upkeep.fixity import Fault, Fixity, Kept, Problem
from storage.vault.keys import KeyRing

WORDS: dict[str, tuple[str, str]] = {
    What.DAMAGED_DATABASE: ("数据库文件损坏", "the database file is damaged"),
    What.EDITED_ENTRY: ("日志条目被改动", "a log entry was edited"),
    What.MISSING_ENTRY: ("日志条目缺失", "a log entry is missing"),
    What.EDITED_DETAILS: ("日志条目的内容被改动", "an entry's readable half was edited"),
    What.MISSING_DETAILS: ("日志条目的内容缺失", "an entry's readable half is missing"),
    What.EDITED_NODE: ("日志树节点被改动", "a node of the log was edited"),
    What.BROKEN_CHAIN: ("条目链断裂", "a chain of entries is broken"),
    What.EDITED_ROW: ("数据库记录被改动", "a row was edited"),
    What.MISSING_ROW: ("数据库记录被删除", "a row was deleted"),
    What.UNLOGGED_ROW: ("数据库记录没有日志", "a row was never logged"),
    What.MISSING_CHECKPOINT: ("已签名的检查点缺失", "a signed checkpoint is missing"),
    What.EDITED_CHECKPOINT: ("检查点签名无效", "a checkpoint's signature is bad"),
    What.CONTRADICTED_CHECKPOINT: ("日志与已签名的检查点矛盾", "the log contradicts a signed head"),
    What.EDITED_TILE: ("公布的日志文件被改动", "a published log file was edited"),
    What.TIME_RUNS_BACK: ("日志时间倒退", "time runs back in the log"),
    What.ACT_OUTSIDE_SESSION: (
        "以某人名义的操作不在其已登记的登录会话之内",
        "an act in a person's name lies in no session that the log opened",
    ),
    What.ROLLBACK: ("日志被退回到旧版本", "the log was rolled back"),
    What.UNENROLLED_KEY: ("密钥目录中有未登记的公钥", "a key that no entry enrolled"),
    Problem.MISSING: ("对象被删除", "an object is missing"),
    Problem.SWAPPED: ("对象被调换成另一份", "an object was swapped for another's"),
    Problem.CHANGED: ("对象内容被改动", "an object was changed"),
    Problem.WRITABLE: ("对象文件可以被改写", "an object's file is writable"),
    Problem.LOCK: ("对象的保管锁不足", "an object is locked for less than promised"),
    Problem.LOCK_LOST: (
        "对象的保管锁记录丢失,在补锁之前任何人不能删除它",
        "what was written of an object's lock is lost; nobody deletes it until it is locked anew",
    ),
    Problem.RECORD: ("封存记录签名无效", "a sealed record's signature is bad"),
    Problem.RECEIPT: ("回执无效", "a receipt is bad"),
    Problem.NO_RECEIPT: ("入库未完成,尚无回执", "accession is unfinished: no receipt yet"),
    Problem.STRANGER: (
        "存储中有不属于本系统的内容(多出的版本、删除标记或者外来文件)",
        "something in the store is none of ours: a strange version, a delete marker or a file",
    ),
    Problem.NOT_GONE: ("已销毁的录音录像仍有残留", "something is left of a destroyed recording"),
    Problem.UNREADABLE: ("对象无法读取", "an object cannot be read"),
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong, ready to be shown."""

    what: str
    subject: str
    facts: dict[str, Any]

    @property
    def zh(self) -> str:
        """Say it in Chinese."""
        return f"{WORDS[self.what][0]}:{self.subject}"

    @property
    def en(self) -> str:
        """Say it in English."""
        return f"{WORDS[self.what][1]}: {self.subject}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "what": self.what,
            "subject": self.subject,
            "zh": self.zh,
            "en": self.en,
            "facts": self.facts,
        }


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """Result of checking everything: recordings read, what is wrong, objects without a row."""

    recordings: int
    wrong: list[Wrong]
    orphans: list[str]

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong; orphans are no faults."""
        return not self.wrong


def whole_check(
    office: Office, progress: Callable[[str, int], None] = lambda _recording, _size: None
) -> Iterator[Wrong]:
    """Yield everything that is wrong; nothing, if all is as it was sealed and logged."""
    yield from catalogue_check(office)
    with office.catalogue.read() as session:
        rows = list(recordings.everything(session))
        everything = [kept(row) for row in rows if row.destroyed_at is None]
        destroyed = [row.id for row in rows if dispositions.destroyed(session, row)]
        gone = {one: keys_of(session, one) for one in destroyed}
    ring = office.ring
    fixity = Fixity(
        office.objects, office.stations, ring.verifying("centre"), ring.verifying("log"), progress
    )
    for fault in fixity.check(everything):
        yield _wrong(fault)
    for fault in chain(fixity.leftovers(gone), fixity.strangers()):
        yield _wrong(fault)


def catalogue_check(office: Office, part: range | None = None) -> Iterator[Wrong]:
    """Yield what is wrong with rows, log and keys; of `part`, the entries of these numbers."""
    signed = None
    try:
        signed = office.signer.last()
    except LiuhenError as error:
        yield Wrong(What.EDITED_CHECKPOINT, "the signer's last head", error.facts)
    folder, keys = office.settings.home / "log", office.signer.keys
    with office.catalogue.read() as session:
        for found in audit(session, keys, signed=signed, folder=folder, part=part):
            yield _wrong(found)
        for found in unenrolled(session, KeyRing.load(office.settings.keys)):
            yield _wrong(found)


def orphans(office: Office) -> list[str]:
    """Return the keys of objects that no row refers to: what interrupted attempts left."""
    with office.catalogue.read() as session:
        known = set(jobs.object_ids(session))
    ring = office.ring
    fixity = Fixity(
        office.objects, office.stations, ring.verifying("centre"), ring.verifying("log")
    )
    return list(fixity.orphans(known))


def kept(row: RecordingRow) -> Kept:
    """Return what the catalogue says it keeps of a recording."""
    return Kept(
        recording=row.id,
        record=row.record_text.encode(),
        envelope=row.envelope_text.encode(),
        receipt=row.receipt_text.encode() if row.receipt_text is not None else None,
        retain_until=row.retain_until,
    )


def _wrong(found: Discrepancy | Fault) -> Wrong:
    return Wrong(found.what.value, found.subject, found.facts)
