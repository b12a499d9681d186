"""Compare the rows that an act rests on with their last states in proven entries of the log.

Rows and readable halves can be edited by whoever has the database; the leaves under a head that
the signer keeps in a file of its own cannot, unseen. So each entry in the chains of the subjects
that an act rests on is opened with its leaf's digest, found in the tree under the signer's last
head, and found in its chain; only then its states are compared with the rows. Entries younger
than that head hang together with it through the stored nodes up to now. The act's own transaction
does it, so nothing changes between the comparing and the act. The whole log is the audit's.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Text, or_, select, type_coerce
from sqlalchemy.orm import Session

from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine.columns import Audited
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, What, about_entry
from storage.catalogue.log.logged_state import (
    UNREADABLE,
    RowKey,
    State,
    changed_columns,
    compare_halves,
    states_logged,
)
from storage.catalogue.log.tables import CustodyEventRow, LogChainRow, LogLeafRow
from storage.catalogue.proofs.case_chains import BEGUN, belonging_to, touched_by
from storage.catalogue.tables import AccountRow
from storage.catalogue.unit_of_work import Attempt, RowsDifferError, UnitOfWork
from storage.custody.checkpoint import Checkpoint
from storage.custody.entries.chain import ChainWalk
from storage.custody.entries.event import parse_leaf
from storage.custody.entries.subjects import (
    CONTINUES,
    FOOTAGE_REACHES,
    belonging,
    continued,
    kind_of,
)
from storage.custody.merkle import tree
from storage.custody.merkle.partial_tree import PartialTree, nodes_beside
from storage.errors import CustodyError

RECENT = 2048  # the newest entries, looked through for one that the table of chains hides
_AT_ONCE = 500  # values in one question
_SUBJECT = re.compile(r'"([a-z][a-z-]*:[A-Za-z0-9._-]+)":\[')
_PERSON = "person:"


def require_case(uow: UnitOfWork, case_id: str, attempt: Attempt) -> None:
    """Refuse an act whose case has a row that is not as it was logged. Raises: RowsDifferError."""
    _require(uow, partial(belonging_to, uow.session, case_id), attempt)


def require_footage(
    uow: UnitOfWork, recordings: Iterable[str], attempt: Attempt, *subjects: str
) -> None:
    """Refuse an act on footage where a row that keeps it is not as it was logged.

    Looked at are the recordings, `subjects`, the actions and cases that they were ever linked to,
    what holds any of these, and every other hold of the office: a hold on a party reaches them too.
    Raises: RowsDifferError.
    """
    start = {*(f"recording:{one}" for one in recordings), *subjects}
    _require(uow, partial(_keeping, uow.session, start), attempt)


def differing(
    session: Session,
    subjects: Collection[str],
    head: Checkpoint | None,
    logged: Mapping[RowKey, State] | None = None,
) -> Iterator[Discrepancy]:
    """Yield each row and entry of some subjects that is not as the log says under a signed head.

    `head` is the last signed one, verified (None: none is known, and the nodes alone must agree).
    `logged` are states that the open unit of work has logged and not written yet.
    """
    proven = _Proven(session, set(subjects), head)
    proven.read_chains()
    differences = list(proven.compare(logged or {}))
    if differences and (keys := _keys_of(differences)) and proven.read_unchained(keys):
        differences = list(proven.compare(logged or {}))
    yield from proven.wrong
    yield from differences


def _require(uow: UnitOfWork, find_subjects: Callable[[], set[str]], attempt: Attempt) -> None:
    uow.session.flush()
    try:
        subjects = find_subjects() | _of_actor(uow.session, attempt.actor)
        found = list(differing(uow.session, subjects, uow.last_head(), uow.logged))
    except UNREADABLE as error:
        if isinstance(error, CustodyError) and "problem" in error.facts:
            raise
        found = [Discrepancy(What.EDITED_ENTRY, attempt.subject)]
    if found:
        raise RowsDifferError(attempt, found)


def _of_actor(session: Session, actor: str) -> set[str]:
    """Return what says who acts: his row and his accounts, whose role let him in."""
    if not actor.startswith(_PERSON):
        return set()
    wanted = select(AccountRow.id).where(AccountRow.person_id == actor.removeprefix(_PERSON))
    return {actor, *(f"account:{one}" for one in session.scalars(wanted))}


def _keeping(session: Session, start: Collection[str]) -> set[str]:
    holds = select(LogChainRow.subject).where(LogChainRow.subject.like("hold:%"))
    found = set(start) | set(session.scalars(holds))
    return belonging(found, partial(touched_by, LogReader(session)), FOOTAGE_REACHES)


def _keys_of(found: Iterable[Discrepancy]) -> list[str]:
    return sorted({one.facts["row"] for one in found if "row" in one.facts})


@dataclass(slots=True)
class _Proven:
    """The entries in some chains, proven as they are read, and what rows should be by them."""

    session: Session
    subjects: set[str]
    head: Checkpoint | None
    wrong: list[Discrepancy] = field(default_factory=list)
    _log: LogReader = field(init=False)
    _states: dict[RowKey, tuple[int, State]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log = LogReader(self.session)

    def read_chains(self) -> None:
        """Read and prove the chains of the subjects, whole."""
        places = self._log.chain_entries(self.subjects)
        leaves = self._read(sorted({one for found in places.values() for one in found}))
        self._follow(leaves)
        self._look_for_hidden({index for found in places.values() for index in found})

    def read_unchained(self, keys: Collection[str]) -> bool:
        """Read the version 1 entries that tell of rows with these keys; whether there are any.

        Before a log had chains, an entry stood in that of its own subject alone.
        """
        begun = self._log.chain_entries([BEGUN])[BEGUN]
        size = max((self._log.event(one).details.get("size", 0) for one in begun), default=0)
        found: set[int] = set()
        details = type_coerce(CustodyEventRow.details, Text)
        for key in keys if size else ():
            wanted = select(CustodyEventRow.index).where(
                CustodyEventRow.index < size, details.contains(f'"key":"{key}"', autoescape=True)
            )
            found.update(self.session.scalars(wanted))
        self._read(sorted(found))
        return bool(found)

    def compare(self, logged: Mapping[RowKey, State]) -> Iterator[Discrepancy]:
        """Compare the rows that stand in the chains, as they are now, with their last states."""
        last = {key: state for key, (_index, state) in self._states.items()} | dict(logged)
        present: set[RowKey] = set()
        for table, row, key in self._rows():
            name = (table.__tablename__, key)
            present.add(name)
            expected = last.get(name)
            facts = {"table": table.__tablename__, "row": key}
            if expected is None:
                yield Discrepancy(What.UNLOGGED_ROW, f"{table.__tablename__} {key}", facts)
            elif changed := _changed(row, expected):
                facts |= {"changed": changed}
                yield Discrepancy(What.EDITED_ROW, f"{table.__tablename__} {key}", facts)
        for (table_name, key), state in sorted(last.items()):
            about = continued([(table_name, state)]) if state is not None else set()
            if (table_name, key) not in present and not about.isdisjoint(self.subjects):
                facts = {"table": table_name, "row": key}
                yield Discrepancy(What.MISSING_ROW, f"{table_name} {key}", facts)

    def _read(self, indexes: list[int]) -> dict[int, bytes]:
        """Read entries, prove them, and note the states they tell; return their exact bytes."""
        leaves: dict[int, bytes] = {}
        for index, leaf, event in self._readable(indexes):
            leaves[index] = leaf
            self.wrong += compare_halves(index, leaf, event)
            for key, state in states_logged(event):
                if index >= self._states.get(key, (-1, None))[0]:
                    self._states[key] = (index, state)
        self.wrong += [about_entry(What.MISSING_ENTRY, one) for one in indexes if one not in leaves]
        self.wrong += self._prove({index: tree.leaf_hash(leaf) for index, leaf in leaves.items()})
        return leaves

    def _readable(self, indexes: list[int]) -> Iterator[tuple[int, bytes, CustodyEventRow | None]]:
        """Yield number, exact bytes and readable half; None for a half that cannot be read."""
        try:
            found = list(self._log.readable(indexes))
            yield from ((index, leaf.encode(), event) for index, leaf, event in found)
        except UNREADABLE:
            for index in indexes:
                try:
                    leaf = self._log.leaf(index).encode()
                    event = self.session.get(CustodyEventRow, index)
                except UNREADABLE:
                    self.wrong.append(about_entry(What.EDITED_DETAILS, index))
                else:
                    yield index, leaf, event

    def _prove(self, leaves: Mapping[int, bytes]) -> Iterator[Discrepancy]:
        """Work out the signed root, and that of now, from these entries and the nodes beside."""
        size, head = self._log.size, self.head
        signed = head.size if head is not None else 0
        roots = {signed: head.root} if head is not None else {}
        if size < signed:
            facts = {"signed": signed, "found": size}
            yield Discrepancy(What.ROLLBACK, "the custody log", facts)
            return
        old = {index: leaf for index, leaf in leaves.items() if index < signed}
        if not self._lead(old, signed, roots):
            alone = [one for one in old if not self._lead({one: old[one]}, signed, roots)]
            told = {"size": signed, "entries": alone[:100]}
            yield Discrepancy(What.CONTRADICTED_CHECKPOINT, f"checkpoint {signed}", told)
        young = {index: leaf for index, leaf in leaves.items() if index >= signed}
        if young and not self._lead(young, size, roots | {size: None}):
            yield Discrepancy(What.EDITED_NODE, "the newest entries", {"size": size})

    def _lead(
        self, leaves: Mapping[int, bytes], size: int, roots: Mapping[int, bytes | None]
    ) -> bool:
        """Tell whether leaves and stored nodes of a tree lead to its roots; None: as nodes say."""
        places = nodes_beside(leaves, roots, size)
        self._log.warm_places(places)
        try:
            nodes = {place: self._log.node(*place) for place in places}
            found = PartialTree(leaves, nodes, list(roots), size)
            return all(
                found.root(one) == (self._log.root(one) if root is None else root)
                for one, root in roots.items()
            )
        except CustodyError:  # a node is missing
            return False

    def _follow(self, leaves: Mapping[int, bytes]) -> None:
        """Walk along the chains: an entry that the table of chains leaves out breaks one."""
        walk = ChainWalk(self.subjects)
        for index, leaf in sorted(leaves.items()):
            try:
                broken = walk.add(parse_leaf(leaf), leaf)
            except UNREADABLE:
                continue  # named already
            self.wrong += [broken_chain(str(one), index) for one in broken]
        for subject, head in self._log.chain_heads(self.subjects).items():
            if head != walk.head(subject):
                self.wrong.append(broken_chain(f"{subject}: its chain ends elsewhere", None))

    def _look_for_hidden(self, known: Collection[int]) -> None:
        """Look through the newest entries for one that was cut off the end of a chain."""
        newest = select(LogLeafRow.index, LogLeafRow.leaf).where(
            LogLeafRow.index >= self._log.size - RECENT
        )
        for index, leaf in self.session.execute(newest):
            if index in known:
                continue
            if hidden := self.subjects & set(_SUBJECT.findall(leaf)):
                cut = hidden & set(parse_leaf(leaf.encode()).get("chains", ()))
                self.wrong += [broken_chain(f"{one}: an entry is cut off", index) for one in cut]

    def _rows(self) -> Iterator[tuple[type[Any], Audited | None, str]]:
        """Yield the rows that stand in the chains: table, row (None if unreadable), key."""
        for table in AUDITED:
            columns = CONTINUES.get(table.__tablename__, {})
            wanted = {name: self._ids(kind) for name, kind in columns.items()}
            for first in range(0, max(map(len, wanted.values()), default=0), _AT_ONCE):
                some = {name: ids[first : first + _AT_ONCE] for name, ids in wanted.items()}
                either = or_(*(getattr(table, name).in_(ids) for name, ids in some.items() if ids))
                yield from self._some_rows(table, either)

    def _some_rows(
        self, table: type[Any], where: Any
    ) -> Iterator[tuple[type[Any], Audited | None, str]]:
        try:
            for row in self.session.scalars(select(table).where(where)).all():
                yield table, row, row.key
        except UNREADABLE:
            identities = self.session.execute(select(*table.__table__.primary_key).where(where))
            for identity in identities.all():
                yield table, None, "/".join(str(part) for part in identity)

    def _ids(self, kind: str) -> list[str]:
        return [one.partition(":")[2] for one in self.subjects if kind_of(one) == kind]


def _changed(row: Audited | None, expected: Mapping[str, Any]) -> list[str]:
    try:
        return changed_columns(row.snapshot(), expected) if row is not None else ["unreadable"]
    except UNREADABLE:
        return ["unreadable"]


def broken_chain(problem: str, index: int | None) -> Discrepancy:
    """Name a break as `ChainWalk` told it: `<subject>: <problem>`."""
    subject, _, said = problem.partition(": ")
    facts = {"problem": said} | ({"entry": index} if index is not None else {})
    return Discrepancy(What.BROKEN_CHAIN, subject, facts)
