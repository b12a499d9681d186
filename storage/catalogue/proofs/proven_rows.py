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

from policies.identifiers import CaseId, Subject, split_subject
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.engine.columns import Audited
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.log.discrepancy import Discrepancy, DiscrepancyKind, about_entry
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
    find_related_subjects,
    kind_of,
    list_continued_subjects,
)
from storage.custody.merkle import tree
from storage.custody.merkle.partial_tree import PartialTree, nodes_beside
from storage.errors import CustodyError

RECENT = 2048  # the newest entries, looked through for one that the table of chains hides
_AT_ONCE = 500  # values in one question
_SUBJECT = re.compile(r'"([a-z][a-z-]*:[A-Za-z0-9._-]+)":\[')
_PERSON = "person:"


def require_case(uow: UnitOfWork, case_id: CaseId, attempt: Attempt) -> None:
    """Refuse an act whose case has a row that is not as it was logged. Raises: RowsDifferError."""
    _require_no_difference(uow, partial(belonging_to, uow.session, case_id), attempt)


def require_footage(
    uow: UnitOfWork, recordings: Iterable[str], attempt: Attempt, *subjects: str
) -> None:
    """Refuse an act on footage where a row that keeps it is not as it was logged.

    Looked at are the recordings, `subjects`, the actions and cases that they were ever linked to,
    what holds any of these, and every other hold of the office: a hold on a party reaches them too.
    Raises: RowsDifferError.
    """
    start = {*(Subject.of_recording(recording_id) for recording_id in recordings), *subjects}
    _require_no_difference(uow, partial(_find_keeping_subjects, uow.session, start), attempt)


def find_differences(
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
    differences = list(proven.compare_rows(logged or {}))
    # A row may have been told of before chains began: only then the slower search is worth it.
    if differences and (keys := _keys_of(differences)) and proven.read_unchained(keys):
        differences = list(proven.compare_rows(logged or {}))
    yield from proven.wrong
    yield from differences


def _require_no_difference(
    uow: UnitOfWork, find_subjects: Callable[[], set[str]], attempt: Attempt
) -> None:
    # What this unit has changed so far must be seen by the queries below.
    uow.session.flush()
    try:
        subjects = find_subjects() | _of_actor(uow.session, attempt.actor)
        differences = list(find_differences(uow.session, subjects, uow.last_head(), uow.logged))
    except UNREADABLE as error:
        # A refusal of the log itself is no edited row, and is told as what it is.
        if isinstance(error, CustodyError) and "problem" in error.facts:
            raise
        # What cannot be read was edited by somebody: the act is refused all the same.
        differences = [Discrepancy(DiscrepancyKind.EDITED_ENTRY, attempt.subject)]
    if differences:
        raise RowsDifferError(attempt, differences)


def _of_actor(session: Session, actor: str) -> set[str]:
    """Return what says who acts: his row and his accounts, whose role let him in."""
    if not actor.startswith(_PERSON):
        return set()
    query = select(AccountRow.id).where(AccountRow.person_id == actor.removeprefix(_PERSON))
    return {actor, *(Subject.of_account(account_id) for account_id in session.scalars(query))}


def _find_keeping_subjects(session: Session, start: Collection[str]) -> set[str]:
    # All holds of the office, since a hold on a party names no recording.
    holds = select(LogChainRow.subject).where(LogChainRow.subject.like("hold:%"))
    subjects = set(start) | set(session.scalars(holds))
    return find_related_subjects(subjects, partial(touched_by, LogReader(session)), FOOTAGE_REACHES)


def _keys_of(differences: Iterable[Discrepancy]) -> list[str]:
    return sorted(
        {difference.facts["row"] for difference in differences if "row" in difference.facts}
    )


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
        leaves = self._read_entries(
            sorted({number for indexes in places.values() for number in indexes})
        )
        self._follow_chains(leaves)
        self._look_for_hidden({index for indexes in places.values() for index in indexes})

    def read_unchained(self, keys: Collection[str]) -> bool:
        """Read the version 1 entries that tell of rows with these keys; whether there are any.

        Before a log had chains, an entry stood in that of its own subject alone.
        """
        begun = self._log.chain_entries([BEGUN])[BEGUN]
        size = max(
            (self._log.get_event(index).details.get("size", 0) for index in begun), default=0
        )
        indexes: set[int] = set()
        details = type_coerce(CustodyEventRow.details, Text)
        for key in keys if size else ():
            # A plain search of texts, and slow; it finds where to look and proves nothing.
            query = select(CustodyEventRow.index).where(
                CustodyEventRow.index < size, details.contains(f'"key":"{key}"', autoescape=True)
            )
            indexes.update(self.session.scalars(query))
        self._read_entries(sorted(indexes))
        return bool(indexes)

    def compare_rows(self, logged: Mapping[RowKey, State]) -> Iterator[Discrepancy]:
        """Compare the rows that stand in the chains, as they are now, with their last states."""
        # What this very unit logged counts last: its rows are changed already.
        last = {key: state for key, (_index, state) in self._states.items()} | dict(logged)
        present: set[RowKey] = set()
        for table, row, key in self._list_rows():
            name = (table.__tablename__, key)
            present.add(name)
            expected = last.get(name)
            facts = {"table": table.__tablename__, "row": key}
            if expected is None:
                yield Discrepancy(
                    DiscrepancyKind.UNLOGGED_ROW, f"{table.__tablename__} {key}", facts
                )
            elif changed := _list_changed_columns(row, expected):
                facts |= {"changed": changed}
                yield Discrepancy(DiscrepancyKind.EDITED_ROW, f"{table.__tablename__} {key}", facts)
        for (table_name, key), state in sorted(last.items()):
            # Only rows that were about these subjects: others have chains of their own.
            about = list_continued_subjects([(table_name, state)]) if state is not None else set()
            if (table_name, key) not in present and not about.isdisjoint(self.subjects):
                facts = {"table": table_name, "row": key}
                yield Discrepancy(DiscrepancyKind.MISSING_ROW, f"{table_name} {key}", facts)

    def _read_entries(self, indexes: list[int]) -> dict[int, bytes]:
        """Read entries, prove them, and note the states they tell; return their exact bytes."""
        leaves: dict[int, bytes] = {}
        for index, leaf, event in self._read_halves(indexes):
            leaves[index] = leaf
            self.wrong += compare_halves(index, leaf, event)
            for key, state in states_logged(event):
                # Chains overlap, so entries come more than once and in no order.
                if index >= self._states.get(key, (-1, None))[0]:
                    self._states[key] = (index, state)
        self.wrong += [
            about_entry(DiscrepancyKind.MISSING_ENTRY, number)
            for number in indexes
            if number not in leaves
        ]
        self.wrong += self._prove_entries(
            {index: tree.leaf_hash(leaf) for index, leaf in leaves.items()}
        )
        return leaves

    def _read_halves(
        self, indexes: list[int]
    ) -> Iterator[tuple[int, bytes, CustodyEventRow | None]]:
        """Yield number, exact bytes and readable half; None for a half that cannot be read."""
        try:
            entries = list(self._log.read_readable_halves(indexes))
            yield from ((index, leaf.encode(), event) for index, leaf, event in entries)
        except UNREADABLE:
            for index in indexes:
                try:
                    leaf = self._log.get_leaf(index).encode()
                    event = self.session.get(CustodyEventRow, index)
                except UNREADABLE:
                    self.wrong.append(about_entry(DiscrepancyKind.EDITED_DETAILS, index))
                else:
                    yield index, leaf, event

    def _prove_entries(self, leaves: Mapping[int, bytes]) -> Iterator[Discrepancy]:
        """Recompute the signed and the present root from these entries and sibling nodes."""
        size, head = self._log.size, self.head
        signed = head.size if head is not None else 0
        roots = {signed: head.root} if head is not None else {}
        # Before any proof: a log cut short has no tree of the signed size.
        if size < signed:
            facts = {"signed": signed, "found": size}
            yield Discrepancy(DiscrepancyKind.ROLLBACK, "the custody log", facts)
            return
        old = {index: leaf for index, leaf in leaves.items() if index < signed}
        if not self._leads_to_roots(old, signed, roots):
            # One by one only to name them: together they cost one walk over shared nodes.
            alone = [
                number
                for number in old
                if not self._leads_to_roots({number: old[number]}, signed, roots)
            ]
            details = {"size": signed, "entries": alone[:100]}
            yield Discrepancy(
                DiscrepancyKind.CONTRADICTED_CHECKPOINT, f"checkpoint {signed}", details
            )
        # No head covers these yet; that they hang together with the signed part is all that can be
        # asked.
        young = {index: leaf for index, leaf in leaves.items() if index >= signed}
        if young and not self._leads_to_roots(young, size, roots | {size: None}):
            yield Discrepancy(DiscrepancyKind.EDITED_NODE, "the newest entries", {"size": size})

    def _leads_to_roots(
        self, leaves: Mapping[int, bytes], size: int, roots: Mapping[int, bytes | None]
    ) -> bool:
        """Tell whether leaves and stored nodes of a tree lead to its roots; None: as nodes say."""
        places = nodes_beside(leaves, roots, size)
        self._log.warm_places(places)
        try:
            # Read in one question beforehand, so that this loop asks the database nothing.
            nodes = {place: self._log.get_node(*place) for place in places}
            partial_tree = PartialTree(leaves, nodes, list(roots), size)
            return all(
                partial_tree.compute_root(tree_size)
                == (self._log.compute_root(tree_size) if root is None else root)
                for tree_size, root in roots.items()
            )
        except CustodyError:  # a node is missing
            return False

    def _follow_chains(self, leaves: Mapping[int, bytes]) -> None:
        """Walk along the chains: an entry that the table of chains leaves out breaks one."""
        walk = ChainWalk(self.subjects)
        for index, leaf in sorted(leaves.items()):
            try:
                broken = walk.add(parse_leaf(leaf), leaf)
            except UNREADABLE:
                continue  # named already
            self.wrong += [broken_chain(str(problem), index) for problem in broken]
        # The table's own claim of the end: it must be where the entries lead.
        for subject, head in self._log.chain_heads(self.subjects).items():
            if head != walk.get_head(subject):
                self.wrong.append(broken_chain(f"{subject}: its chain ends elsewhere", None))

    def _look_for_hidden(self, chain_indexes: Collection[int]) -> None:
        """Look through the newest entries for one that was cut off the end of a chain."""
        # An entry cut off the end leaves no gap; it still stands in the log, and names the subject.
        newest = select(LogLeafRow.index, LogLeafRow.leaf).where(
            LogLeafRow.index >= self._log.size - RECENT
        )
        for index, leaf in self.session.execute(newest):
            if index in chain_indexes:
                continue
            # By pattern first: few of the newest leaves name these subjects, and only those are
            # parsed.
            if hidden := self.subjects & set(_SUBJECT.findall(leaf)):
                cut = hidden & set(parse_leaf(leaf.encode()).get("chains", ()))
                self.wrong += [
                    broken_chain(f"{subject}: an entry is cut off", index) for subject in cut
                ]

    def _list_rows(self) -> Iterator[tuple[type[Any], Audited | None, str]]:
        """Yield the rows that stand in the chains: table, row (None if unreadable), key."""
        for table in AUDITED:
            columns = CONTINUES.get(table.__tablename__, {})
            ids_by_column = {name: self._ids_of_kind(kind) for name, kind in columns.items()}
            for first in range(0, max(map(len, ids_by_column.values()), default=0), _AT_ONCE):
                some = {name: ids[first : first + _AT_ONCE] for name, ids in ids_by_column.items()}
                either = or_(*(getattr(table, name).in_(ids) for name, ids in some.items() if ids))
                yield from self._some_rows(table, either)

    def _some_rows(
        self, table: type[Any], where: Any
    ) -> Iterator[tuple[type[Any], Audited | None, str]]:
        try:
            for row in self.session.scalars(select(table).where(where)).all():
                yield table, row, row.key
        except UNREADABLE:
            # Keys alone can still be read, so that the row is named.
            identities = self.session.execute(select(*table.__table__.primary_key).where(where))
            for identity in identities.all():
                yield table, None, "/".join(str(part) for part in identity)

    def _ids_of_kind(self, kind: str) -> list[str]:
        return [split_subject(subject)[1] for subject in self.subjects if kind_of(subject) == kind]


def _list_changed_columns(row: Audited | None, expected: Mapping[str, Any]) -> list[str]:
    try:
        return changed_columns(row.snapshot(), expected) if row is not None else ["unreadable"]
    except UNREADABLE:
        return ["unreadable"]


def broken_chain(problem: str, index: int | None) -> Discrepancy:
    """Name a break as `ChainWalk` told it: `<subject>: <problem>`."""
    subject, _, description = problem.partition(": ")
    facts = {"problem": description} | ({"entry": index} if index is not None else {})
    return Discrepancy(DiscrepancyKind.BROKEN_CHAIN, subject, facts)
