"""What an administrator with SQL and the log's key does to the log, as data: replay and heads."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy import text as sql

from api.office.service import Service
from api.office.wiring import Office
from storage.catalogue.cases import case_file
from storage.catalogue.log.custody_log import LogReader, LogWriter
from storage.catalogue.tables import ExhibitRow
from storage.custody.entries.chain import Breach
from storage.custody.entries.event import Event, PremisType
from storage.custody.merkle import tree
from storage.custody.outside_head import Contradiction
from storage.custody.replay import LogProblem
from tests.attacks.attack import Attack, Means
from tests.office import Desk, settings_for
from tests.old_log import before_chains

_CHANGE = PremisType.METADATA_MODIFICATION
_OTHER = "person:other"


@dataclass
class LogInHand:
    """An office's log in the hands of who has its database and its keys."""

    desk: Desk
    case: str
    action: str

    @property
    def catalogue(self):
        return self.desk.office.catalogue

    def say(self, statement: str, **values: object) -> None:
        """Run SQL behind everybody's back."""
        with self.catalogue._writer.begin() as connection:
            assert connection.execute(sql(statement), values).rowcount, "it attacks nothing"

    def sign(self) -> str:
        """Have the log's real key sign what there is; return the head."""
        return self.desk.service.publish_checkpoint()

    def record(self, subject: str, **more: object) -> int:
        with self.catalogue.write() as uow:
            return uow.record("case.note", _CHANGE, actor="system", subject=subject, **more)

    def append(self, subject: str, rows: list[dict]) -> None:
        """Write an entry past the unit of work: it is in the chain of its subject alone."""
        with self.catalogue.write() as uow:
            event = Event("case.note", _CHANGE, uow.at, "system", subject, details={"rows": rows})
            writer = LogWriter(uow.session)
            writer.append(event, bytes(16))
            writer.write()

    def head(self, subject: str):
        with self.catalogue.read() as session:
            return LogReader(session).chain_heads([subject])[subject]

    def set_head(self, subject: str, count: int, digest: bytes) -> None:
        self.say(
            "UPDATE log_chain SET count = :count, digest = :digest WHERE subject = :subject",
            subject=subject,
            count=count,
            digest=digest,
        )

    def last(self) -> int:
        with self.catalogue.read() as session:
            return LogReader(session).size - 1

    def leaf(self, index: int) -> str:
        with self.catalogue.read() as session:
            return LogReader(session).get_leaf(index)

    def rebuild_tree(self) -> None:
        """Make hashes and nodes those of the entries as they are now."""
        with self.catalogue.read() as session:
            log = LogReader(session)
            leaves = list(log.read_leaves(0, log.size))
        nodes: dict[tuple[int, int], bytes] = {}
        for index, leaf in enumerate(leaves):
            for level, place, found in tree.append_leaf(
                index, leaf.encode(), lambda level, place: nodes[level, place]
            ):
                nodes[level, place] = found
        with self.catalogue._writer.begin() as connection:
            for (level, index), found in nodes.items():
                told = {"level": level, "index": index, "hash": found}
                where = 'UPDATE log_node SET hash = :hash WHERE level = :level AND "index" = :index'
                connection.execute(sql(where), told)
                if level == 0:
                    where = 'UPDATE log_leaf SET hash = :hash WHERE "index" = :index'
                    connection.execute(sql(where), {"index": index, "hash": found})


def _twice(log: LogInHand) -> None:
    """Leave an entry off a chain's end, and sign another in its place."""
    subject = f"case:{log.case}"
    before = log.head(subject)
    log.record(subject, refused=True)
    log.sign()
    log.set_head(subject, before.count, before.digest)
    log.say(
        "DELETE FROM log_chain_entry WHERE subject = :subject AND number = :number",
        subject=subject,
        number=before.count,
    )
    log.record(subject, refused=False)


def _left_out(log: LogInHand) -> None:
    subject = f"case:{log.case}"
    log.set_head(subject, log.head(subject).count + 1, bytes(32))
    log.record(subject)


def _not_following(log: LogInHand) -> None:
    subject = f"action:{log.action}"
    log.set_head(subject, log.head(subject).count, bytes(32))
    log.record(subject)


def _head_of_before(log: LogInHand) -> None:
    """Export by a head that is not the last: what came after it is left out of the bundle."""
    subject = f"case:{log.case}"
    before = log.head(subject)
    log.record(subject, refused=True)
    after = log.head(subject)
    log.set_head(subject, before.count, before.digest)
    log.record(_OTHER, heads=[subject])
    log.set_head(subject, after.count, after.digest)


def _without_chain(log: LogInHand) -> None:
    with before_chains():
        log.record(f"case:{log.case}")


def remove_exhibit(log: LogInHand) -> None:
    """Take an exhibit away by an entry in its action's chain, and not in its recording's."""
    with log.catalogue.read() as session:
        row = session.scalars(select(ExhibitRow).where(ExhibitRow.action_id == log.action)).first()
        assert row is not None
        told = {"table": "exhibit", "key": row.key, "state": None}
    log.say("DELETE FROM exhibit WHERE id = :id", id=row.id)
    log.append(f"action:{log.action}", [told])


def move_exhibit(log: LogInHand) -> None:
    """Have an exhibit be of another recording, by an entry that is not in the first one's chain."""
    with log.catalogue.write() as uow:
        rows = uow.session.scalars(select(ExhibitRow).where(ExhibitRow.action_id == log.action))
        first, second = list(rows)[:2]
        told = first.snapshot() | {"recording_id": second.recording_id}
        event = Event(
            "case.note",
            _CHANGE,
            uow.at,
            "system",
            f"action:{log.action}",
            details={"rows": [{"table": "exhibit", "key": first.key, "state": told}]},
        )
        writer = LogWriter(uow.session)
        about = [f"recording:{second.recording_id}"]
        writer.append(event, bytes(16), about)
        writer.write()


def _moment(log: LogInHand) -> dict:
    with log.catalogue.read() as session:
        row = case_file.list_moments(session, log.action)[0]
        return {"table": "moment", "key": row.key, "state": row.snapshot()}


def _other_subject(log: LogInHand) -> None:
    log.append(_OTHER, [_moment(log)])


def _removed_elsewhere(log: LogInHand) -> None:
    """Take a row of the action away, by an entry in somebody else's chain."""
    log.append(_OTHER, [_moment(log) | {"state": None}])


def _edit_leaf(log: LogInHand) -> None:
    index = log.last()
    text = log.leaf(index)
    changed = text.replace('"outcome":"success"', '"outcome":"refused"')
    assert changed != text
    log.say('UPDATE log_leaf SET leaf = :leaf WHERE "index" = :index', leaf=changed, index=index)


def _edit_leaf_and_hash(log: LogInHand) -> None:
    _edit_leaf(log)
    found = tree.leaf_hash(log.leaf(log.last()).encode())
    log.say('UPDATE log_leaf SET hash = :hash WHERE "index" = :index', hash=found, index=log.last())


def _rebuild(log: LogInHand) -> None:
    """Change the last entry and rebuild the tree around it; the signed heads stay."""
    _edit_leaf(log)
    log.rebuild_tree()


def _edit_details(log: LogInHand) -> None:
    log.say(
        'UPDATE custody_event SET details = :text WHERE "index" = :index',
        text='{"said":"nothing"}',
        index=log.last(),
    )


def _garbage(log: LogInHand) -> None:
    log.say('UPDATE log_leaf SET leaf = :leaf WHERE "index" = :index', leaf="{}", index=log.last())


def _far_away(log: LogInHand) -> None:
    """Put the last entry and its readable half where no walk by numbers ever comes."""
    _removed_elsewhere(log)
    index, far = log.last(), 1 << 60
    log.say('UPDATE log_leaf SET "index" = :far WHERE "index" = :index', far=far, index=index)
    log.say('UPDATE custody_event SET "index" = :far WHERE "index" = :index', far=far, index=index)


def _take_out(log: LogInHand) -> None:
    log.say('DELETE FROM log_leaf WHERE "index" = :index', index=log.last() // 2)


def _cut_short(log: LogInHand) -> None:
    log.say('DELETE FROM log_leaf WHERE "index" = :index', index=log.last())


def _false_checkpoint(log: LogInHand) -> None:
    log.say(
        "UPDATE log_checkpoint SET text = :text WHERE size = (SELECT max(size) FROM log_checkpoint)",
        text="office.test/custody\n1\n" + "A" * 43 + "=\n\n— office.test/custody AAAAAAAA\n",
    )


def _replayed(asset: str, act: str, check: str, do: Callable, **more: object) -> Attack:
    shown = check if more.get("level") else f"log replay: {check}"
    told = {"means": Means.ALL_KEYS, "level": None, "check": shown} | more
    return Attack(asset=asset, act=act, do=do, **told)


_SQL = {"means": Means.SQL}
IN_LOG = (
    _replayed("chain", "its last entry replaced by another, signed", Breach.DOUBLE_NUMBER, _twice),
    _replayed("chain", "an entry that follows one never made", Breach.LEFT_OUT, _left_out),
    _replayed("chain", "an entry that follows another one", Breach.NOT_FOLLOWING, _not_following),
    _replayed("chain", "a head of before named", Breach.FALSE_HEAD, _head_of_before),
    _replayed("chain", "an entry of version 1 afterwards", Breach.UNCHAINED, _without_chain),
    _replayed(
        "entry", "about a case, in another's chain", LogProblem.WRONG_SUBJECT, _other_subject
    ),
    _replayed(
        "entry", "removes a row in another's chain", LogProblem.WRONG_SUBJECT, _removed_elsewhere
    ),
    _replayed("entry", "edited in the table", LogProblem.NOT_IN_TREE, _edit_leaf, **_SQL),
    _replayed("entry", "edited with its hash", LogProblem.NOT_IN_TREE, _edit_leaf_and_hash, **_SQL),
    _replayed("entry", "edited, the tree rebuilt", LogProblem.FALSE_ROOT, _rebuild, **_SQL),
    _replayed("entry", "no entry any more", LogProblem.NO_ENTRY, _garbage, **_SQL),
    _replayed("entry", "moved to a number far away", LogProblem.MISSING_ENTRIES, _far_away, **_SQL),
    _replayed("entry", "taken from the middle", LogProblem.MISSING_ENTRIES, _take_out, **_SQL),
    _replayed("entry", "taken off the log's end", LogProblem.SHORT, _cut_short, **_SQL),
    _replayed("readable half", "edited", LogProblem.CLOSED, _edit_details, **_SQL),
    _replayed(
        "checkpoint",
        "replaced by an unsigned one",
        LogProblem.FALSE_SIGNATURE,
        _false_checkpoint,
        **_SQL,
    ),
)


def put_back(log: LogInHand, copy: Path) -> LogInHand:
    """Put the whole home back from a copy: database, signer's memory, static log, everything."""
    folder = log.desk.office.settings.home.parent
    log.desk.office.close()
    shutil.rmtree(folder / "var")
    shutil.copytree(copy, folder / "var")
    office = Office.open(settings_for(folder))
    return LogInHand(
        Desk(office, Service.of_office(office), log.desk.persons), log.case, log.action
    )


def _rolled_back(log: LogInHand, copy: Path) -> LogInHand:
    return put_back(log, copy)


def _told_anew(log: LogInHand, copy: Path) -> LogInHand:
    """Tell history anew from some entry on: chains, tree, heads and static log all whole."""
    back = put_back(log, copy)
    for _ in range(20):
        back.record(f"case:{back.case}", said="otherwise")
    back.sign()
    return back


def _outside(act: str, how: Contradiction, do: Callable, check: str) -> Attack:
    return Attack(
        asset="whole log", act=act, means=Means.ALL_KEYS, level=None, check=f"{check}: {how}", do=do
    )


AGAINST_HEADS = tuple(
    _outside(f"{act}, {seen}", how, do, check)
    for check, seen in (
        ("log check --against", "a head is kept outside"),
        ("station's witness", "a station saw a head"),
    )
    for act, how, do in (
        ("put back with keys and signer", Contradiction.ROLLED_BACK, _rolled_back),
        ("told anew and signed", Contradiction.FORKED, _told_anew),
    )
)
IN_EXPORT = (
    _replayed("exhibit", "removed in its action's chain alone", "chains", remove_exhibit, level=2),
    _replayed(
        "exhibit",
        "moved to another recording, not in the first's chain",
        "chains",
        move_exhibit,
        level=2,
    ),
)
ATTACKS = (*IN_LOG, *AGAINST_HEADS, *IN_EXPORT)

UNDETECTED = (
    """A history told anew from before any head that somebody keeps outside: neither replay nor
`log check --against` has anything to hold it to.""",
    """A static log without readable halves does not show rows about another subject: the office's
own replay does, or a bundle in whose chains the entry stands.""",
)
