"""A state machine over everything that keeps a recording or ends it, with an oracle of its own.

The oracle is written from docs/RETENTION.md and knows the model below alone: it calls nothing of
`policies/retention/retention.py`. What the archive refuses or destroys must be exactly what the oracle says.
Catalogue (SQLite), store (folder) and log are real; the clock is the machine's.
"""

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from policies.facts.stages import ActionKind
from policies.facts.terms import FootageClass, HoldReason
from policies.requirements.retain import Retain
from policies.retention.disposition import Bounds
from policies.time.trusted_time import ClockAnswer
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.cases import exhibits
from storage.catalogue.holds import holds, releases
from storage.catalogue.holds.concerns import InvolvedError
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.reading import case_queries
from storage.catalogue.retention import classification as classes
from storage.catalogue.retention import dispositions
from storage.catalogue.retention.dispositions import DispositionError, StillKeptError
from storage.custody.entries.event import PremisType
from storage.errors import ConflictError, DestroyedError
from storage.upkeep import legal_hold_sync
from storage.upkeep.destruction import ClockDoubtedError
from storage.vault.folder.folder_objects import FolderObjects
from storage.vault.objects import PARTS, PAYLOAD
from tests.keeping import TOWNSHIP, WHO, Archive

START = datetime(2026, 11, 23, 2, tzinfo=UTC)
END = datetime(9999, 12, 31, 15, tzinfo=UTC)  # the county's calendar ends an hour later
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # kept until then is kept for ever
PEOPLE = ("张三", "李四", "王五")
PARTIES = ("孙某", "某店")
BY_HAND = (FootageClass.OBSTRUCTION, FootageClass.INCIDENT, FootageClass.DOCUMENT)
AUTHORITIES = ("county", f"township:{TOWNSHIP}")
HEADS, REVIEWERS = ("赵一", "钱二"), ("孙三", "周四")
KEEPERS = HEADS + REVIEWERS
TAKING_PART = ("张三", "钱二", "周四")  # in turn: sometimes somebody who may release else
REJECTING = ("李四", "钱二", "王五", "张三")  # who rejects links, in turn
# Who proposes and who decides a release, how, and what happens between: in turn.
RELEASES = (
    ("right", "right", "approve", ""),
    ("right", "proposer", "approve", ""),
    ("concerned", "right", "approve", ""),
    ("right", "right", "approve", "link"),
    ("right", "concerned", "approve", ""),
    ("right", "right", "later", ""),
    ("wrong", "right", "approve", ""),
    ("right", "wrong", "approve", ""),
    ("right", "right", "reject", ""),
    ("officer", "right", "approve", "link"),
    ("right", "proposer", "withdraw", ""),
    ("right", "right", "withdraw", ""),
    ("right", "officer", "reject", ""),
)
FOR_EVER = {ActionKind.SEIZURE, ActionKind.DEMOLITION}
DAY = timedelta(days=1)
COOLING = timedelta(days=7)
BRAKE = 3
WAYS = (
    "party",
    "",
    "link",
    "",
    "two-holds",
    "",
    "edition",
    "",
    "class",
    "",
)  # what is in the way, in turn
ROOM = 6  # recordings kept at once: more would only be slower

pick = st.integers(0, 50)
person = st.sampled_from(PEOPLE)


@dataclass
class Kept:
    """What the oracle knows of one recording."""

    born: datetime
    promised: datetime
    classes: set[FootageClass] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)  # action -> proposed, confirmed
    exhibits: dict[str, str] = field(default_factory=dict)
    reviewed: datetime | None = None
    locked: datetime | None = None
    store_held: bool = False
    gone: bool = False


@dataclass
class Act:
    """An action, with its case and party."""

    kind: ActionKind
    at: datetime
    case: str
    party: str
    officer: str = "张三"
    closed: bool = False


@dataclass
class Held:
    """A hold that stands."""

    on: str  # recording, action, case, party
    what: str
    township: str | None
    authority: str


@dataclass
class Releasing:
    """A proposal to release a hold that waits; `reached` when it was proposed."""

    hold: str
    by: str
    reached: set[str]


@dataclass
class Planned:
    """A disposition."""

    by: str
    ids: list[str]
    state: str = "proposed"
    approvers: list[str] = field(default_factory=list)
    approved_at: datetime | None = None


def soon(at: datetime, days: int) -> datetime:
    """Some days later, or never."""
    return NEVER if NEVER - at < timedelta(days=days) else at + timedelta(days=days)


class DispositionMachine(RuleBasedStateMachine):
    """Runs the archive and the oracle side by side; `done` counts what happened in all runs."""

    done: ClassVar[Counter[str]] = Counter()
    template: ClassVar[Path | None] = None

    def __init__(self) -> None:
        super().__init__()
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="liuhen-", dir=shm))
        if self.template is not None:
            shutil.copy(self.template, self.folder / "c.sqlite")
        objects = FolderObjects(self.folder / "objects", Random(1).randbytes, immutable=False)
        bounds = Bounds(brake_items=BRAKE, brake_share=100.0, cooling=COOLING)
        self.archive = Archive(
            f"sqlite:///{self.folder}/c.sqlite",
            objects,
            START,
            bounds=bounds,
            entropy=Random(2).randbytes,
        )
        self.archive = self.archive.reopen() if self.template else self.archive.found()
        self.sql = sqlite3.connect(self.folder / "c.sqlite", isolation_level=None)
        self.kept: dict[str, Kept] = {}
        self.acts: dict[str, Act] = {}
        self.holds: dict[str, Held] = {}
        self.releases: dict[str, Releasing] = {}
        self.plans: dict[str, Planned] = {}
        self.asked: dict[str, tuple[str, set[FootageClass], str]] = {}
        self.lags: list[timedelta] = [timedelta(0)]
        self.editions: dict[date, int] = {date(2021, 7, 15): 184}
        self.archive.trusted = lambda: [
            ClockAnswer(f"ntp{number}", self.archive.at, self.archive.at - lag)
            for number, lag in enumerate(self.lags)
        ]

    @property
    def at(self) -> datetime:
        return self.archive.at

    # The oracle.

    def days(self, moment: datetime) -> int:
        """The ordinary period by the edition of that day in the county."""
        day = (moment + timedelta(hours=8)).date()
        return self.editions[max(one for one in self.editions if one <= day)]

    def counted(self, one: Kept) -> dict[str, str]:
        """The links that count: a proposal of a closed action can be decided by nobody."""
        return {
            action: how
            for action, how in one.links.items()
            if how == "confirmed" or not self.acts[action].closed
        }

    def ruled(self, one: Kept) -> datetime:
        """Until when the rules of accession, actions and today keep it."""
        links = self.counted(one)
        moments = [one.born, self.at, *(self.acts[action].at for action in links)]
        if one.reviewed is not None:
            moments = [max(moment, one.reviewed) for moment in moments]
        until = max(soon(one.born, self.days(moment)) for moment in moments)
        if one.classes & {FootageClass.OBSTRUCTION, FootageClass.INCIDENT}:
            return NEVER
        if "confirmed" in links.values():
            return NEVER
        if any(self.acts[action].kind in FOR_EVER for action in links):
            return NEVER
        if FootageClass.DOCUMENT in one.classes:
            until = max(until, soon(one.born, 10958))
        return until

    def reached(self, name: str, hold: Held) -> bool:
        """Whether a hold lies on a recording by itself, or by what it is linked to now."""
        acts = {action: self.acts[action] for action in self.kept[name].links}
        return {
            "recording": name == hold.what,
            "action": hold.what in acts,
            "case": any(act.case == hold.what for act in acts.values()),
            "party": hold.township in {None, TOWNSHIP}
            and any(act.party == hold.what for act in acts.values()),
        }[hold.on]

    def reaches(self, hold: Held) -> set[str]:
        """The recordings that a hold reaches now."""
        return {name for name in self.alive() if self.reached(name, hold)}

    def concerned(self, who: str, hold: Held) -> bool:
        """Whether somebody took part in what a hold lies on, or in what its footage shows."""
        acts = {action for name in self.reaches(hold) for action in self.kept[name].links}
        return any(self.acts[action].officer == who for action in acts | self.acts_under(hold))

    def acts_under(self, hold: Held) -> set[str]:
        """The actions that a hold lies on, by themselves or by their case or party."""
        here = hold.township in {None, TOWNSHIP}
        return {
            action
            for action, act in self.acts.items()
            if (hold.on == "action" and hold.what == action)
            or (hold.on == "case" and hold.what == act.case)
            or (hold.on == "party" and hold.what == act.party and here)
        }

    def speaks(self, who: str, hold: Held, *, second: bool) -> bool:
        """Whether somebody may release a hold, as the first or the second, if it is not his."""
        if self.concerned(who, hold):
            return False
        if hold.authority == "county":
            return who in REVIEWERS
        if any(not self.concerned(head, hold) for head in HEADS):
            return who in HEADS or (second and who in REVIEWERS)
        return who in REVIEWERS

    def outdated(self, one: Releasing) -> bool:
        """Whether a proposal is void: what the hold reaches changed, or it is his who made it."""
        hold = self.holds[one.hold]
        return self.reaches(hold) != one.reached or self.concerned(one.by, hold)

    def keepers(self, name: str, *, store: bool) -> list[str]:
        """What keeps a recording now; `store` asks the store's own locks too."""
        one, found = self.kept[name], []
        for what, until in (("rule", self.ruled(one)), ("promise", one.promised)):
            if until >= NEVER or until > self.at:
                found.append(what)
        if any(self.reached(name, hold) for hold in self.holds.values()):
            found.append("hold")
        if "proposed" in self.counted(one).values():
            found.append("pending")
        if store and one.locked is not None and one.locked > self.at:
            found.append("lock")
        if store and one.store_held:
            found.append("store-hold")
        return found

    def needed(self, name: str) -> int:
        """How many approvals a disposition needs now."""
        others = [
            len(plan.ids)
            for other, plan in self.plans.items()
            if other != name
            and plan.state in {"approved", "done"}
            and plan.approved_at is not None
            and plan.approved_at > self.at - DAY
        ]
        return 2 if len(self.plans[name].ids) + sum(others) > BRAKE else 1

    # What happens.

    def step(self, name: str) -> None:
        type(self).done["steps"] += 1
        type(self).done[name] += 1

    def to(self, moment: datetime) -> None:
        self.archive.at = max(self.at, min(moment, END))

    def alive(self) -> list[str]:
        return [name for name, one in self.kept.items() if not one.gone]

    def any_of(self, names: list[str], number: int) -> str:
        return names[number % len(names)]

    @initialize()
    def first(self) -> None:
        self.keep_one()

    def keep_one(self) -> None:
        until = soon(self.at, self.days(self.at))
        name = self.archive.keep()
        assert self.archive.row(name).retain_until == until
        self.kept[name] = Kept(self.at, until, locked=min(until, datetime(2100, 1, 1, tzinfo=UTC)))

    @precondition(lambda self: len(self.alive()) < ROOM)
    @rule()
    def keep(self) -> None:
        self.step("keep")
        self.keep_one()

    @rule(
        wait=st.sampled_from(
            [timedelta(seconds=1), timedelta(minutes=6), timedelta(hours=9), DAY, COOLING]
        )
    )
    def wait(self, wait: timedelta) -> None:
        self.step("wait")
        self.to(self.at + min(wait, END - self.at))

    @rule(by=st.sampled_from([-1, 0, 0, 1]), number=pick)
    def until_due(self, by: int, number: int) -> None:
        """To the second at which a recording falls due, or next to it."""
        self.step("until-due")
        if names := self.alive():
            one = self.kept[self.any_of(names, number)]
            until = max(self.ruled(one), one.promised)
            if until < NEVER:
                self.to(until + timedelta(seconds=by))

    @rule(by=st.sampled_from([-1, 0, 0, 1]), number=pick)
    def until_cooled(self, by: int, number: int) -> None:
        self.step("until-cooled")
        plans = [one for one in self.plans.values() if one.state == "approved"]
        if plans:
            approved = plans[number % len(plans)].approved_at
            if approved is not None and approved < END - COOLING:
                self.to(approved + COOLING + timedelta(seconds=by))

    @rule(
        by=st.sampled_from([-1, 0, 1]), what=st.sampled_from(["midnight", "leap", "end"]), rare=pick
    )
    def until_a_day(self, by: int, what: str, rare: int) -> None:
        self.step("until-a-day")
        at = self.at
        if what == "midnight":  # in the county, UTC+8
            at = at.replace(hour=16, minute=0, second=0, microsecond=0)
        elif what == "leap" and at.year < 9000:
            year = next(
                y
                for y in range(at.year + 1, at.year + 9)
                if (y % 4, y % 100 == 0) == (0, False) or y % 400 == 0
            )
            at = datetime(year, 2, 28, 16, tzinfo=UTC)
        elif what == "end" and rare == 50:
            at = datetime(9999, 12, 24, 16, tzinfo=UTC)
        self.to(at + timedelta(seconds=by))

    @rule(lags=st.sampled_from([[0], [0], [0], [], [300], [301], [-3600], [0, 31536000]]))
    def other_clocks(self, lags: list[int]) -> None:
        self.step("other-clocks")
        self.lags = [timedelta(seconds=one) for one in lags]

    @rule(days=st.sampled_from([1, 30, 183, 185, 366, 3650]), ahead=st.integers(0, 3))
    def newer_edition(self, days: int, ahead: int) -> None:
        self.step("newer-edition")
        self.add_edition(days, ahead)

    def add_edition(self, days: int, ahead: int) -> None:
        day = (self.at + timedelta(hours=8)).date()
        if day >= date(9999, 12, 20) or len(self.editions) > 8:
            return
        day += timedelta(days=ahead)
        if day <= max(self.editions):
            return
        book = self.archive.rulebook
        old = book.find_rule("keep-ordinary")
        assert old is not None
        new = replace(
            old, requirement=Retain(days=days), effective_from=day, version=f"since-{day}"
        )
        self.archive.rulebook = replace(book, rules=(*book.rules, new))
        self.editions[day] = days

    @rule(kind=st.sampled_from(BY_HAND), number=pick)
    def give_class(self, kind: FootageClass, number: int) -> None:
        self.step("give-class")
        if names := self.alive():
            self.give(self.any_of(names, number), kind)

    def give(self, name: str, kind: FootageClass) -> None:
        one = self.kept[name]
        if kind in one.classes:
            return
        with self.archive.catalogue.write() as uow:
            classes.assign_class(
                uow,
                self.archive.rulebook,
                name,
                kind,
                "因此",
                person_id=self.archive.persons["张三"],
                actor=WHO,
            )
        one.classes.add(kind)
        one.promised = max(one.promised, self.ruled(one))

    @rule(number=pick, by=person)
    def propose_taking(self, number: int, by: str) -> None:
        self.step("propose-taking")
        names = [one for one in self.alive() if one not in {a for a, _k, _b in self.asked.values()}]
        if not names:
            return
        name = self.any_of(names, number)
        # A document's class ends with the document; nobody takes it away by hand.
        taking = self.kept[name].classes - {FootageClass.DOCUMENT}
        with self.archive.catalogue.write() as uow:
            asked = classes.propose_reclassification(
                uow, name, sorted(taking), "误标", person_id=self.archive.persons[by], actor=WHO
            )
        self.asked[asked.id] = (name, taking, by)

    @precondition(lambda self: self.asked)
    @rule(number=pick, by=person, approve=st.sampled_from([True, True, False]))
    def decide_taking(self, number: int, by: str, approve: int) -> None:
        self.step("decide-taking")
        asked = self.any_of(list(self.asked), number)
        name, taking, proposer = self.asked[asked]
        one = self.kept[name]
        try:
            with self.archive.catalogue.write() as uow:
                classes.decide_reclassification(
                    uow,
                    self.archive.rulebook,
                    asked,
                    approve=bool(approve),
                    person_id=self.archive.persons[by],
                    actor=WHO,
                )
        except DestroyedError:
            assert one.gone
            return
        except ConflictError:
            assert by == proposer
            return
        assert by != proposer, "one person decided alone that a recording is kept for less"
        assert not one.gone
        del self.asked[asked]
        if approve:
            one.classes -= taking
            one.reviewed = self.at
            one.promised = self.ruled(one)

    @precondition(lambda self: len(self.acts) < 6)
    @rule(
        kind=st.sampled_from([ActionKind.INSPECTION, ActionKind.INSPECTION, ActionKind.SEIZURE]),
        party=st.sampled_from(PARTIES),
    )
    def act(self, kind: ActionKind, party: str) -> None:
        self.step("act")
        self.start_action(kind, party)

    def start_action(self, kind: ActionKind, party: str) -> str:
        officer = TAKING_PART[len(self.acts) % len(TAKING_PART)]
        action = self.archive.action(kind, party, officer)
        self.acts[action] = Act(kind, self.at, self.archive.case_of(action), party, officer)
        return action

    @precondition(lambda self: self.acts)
    @rule(number=pick, other=pick, how=st.sampled_from(["confirmed", "proposed", "proposed"]))
    def link(self, number: int, other: int, how: str) -> None:
        self.step("link")
        if names := self.alive():
            self.link_one(self.any_of(names, number), self.any_of(list(self.acts), other), how)

    def link_one(self, name: str, action: str, how: str) -> None:
        one, at = self.kept[name], self.acts[action].at
        if self.acts[action].closed:
            return
        if one.links.get(action) == "confirmed" or (how == "proposed" and action in one.exhibits):
            return
        if how == "confirmed":
            with self.archive.catalogue.write() as uow:
                exhibit = exhibits.link_by_hand(
                    uow, action, name, actor=WHO, shown_from=at, shown_to=at
                ).id
        else:
            exhibit = self.archive.propose_link(action, name, at)
        one.links[action], one.exhibits[action] = how, exhibit

    @precondition(lambda self: self.acts)
    @rule(number=pick)
    def close_action(self, number: int) -> None:
        self.step("close-action")
        self.close(self.any_of(list(self.acts), number))

    def close(self, action: str) -> None:
        """Close an action with what is still proposed for it; nobody can decide that any more."""
        if self.acts[action].closed:
            return
        with self.archive.catalogue.write() as uow:
            row = case_queries.get_action(uow.session, action)
            row.status = "closed"
            uow.record(
                "action.close",
                PremisType.METADATA_MODIFICATION,
                row,
                actor=WHO,
                subject=f"action:{action}",
            )
        self.acts[action].closed = True

    @rule(number=pick)
    def reject_link(self, number: int) -> None:
        self.step("reject-link")
        linked = [
            (name, action)
            for name in self.alive()
            for action in self.kept[name].links
            if not self.acts[action].closed
        ]
        if linked:
            name, action = linked[number % len(linked)]
            by = REJECTING[number % len(REJECTING)]
            if not self.try_rejecting(name, action, by):
                return
            del self.kept[name].links[action]

    def try_rejecting(self, name: str, action: str, by: str) -> bool:
        """Reject a link unless that takes the recording out of a hold that concerns who does so."""
        one = self.kept[name]
        without = {other: how for other, how in one.links.items() if other != action}
        over = [hold for hold in self.holds.values() if self.reached(name, hold)]
        barred = [hold for hold in over if self.concerned(by, hold)]
        links, one.links = one.links, without
        lost = any(not self.reached(name, hold) for hold in barred)
        one.links = links
        actor = self.archive.actors[by]
        try:
            with self.archive.catalogue.write() as uow:
                exhibits.reject_exhibit(uow, one.exhibits[action], actor=actor)
        except InvolvedError:
            assert lost, "refused to reject a link, though no hold that concerns him loses by it"
            return False
        assert not lost, "whom a hold concerns took footage out of its reach"
        return True

    @rule(
        on=st.sampled_from(["recording", "action", "case", "party"]),
        number=pick,
        authority=st.sampled_from(AUTHORITIES),
        township=st.sampled_from([None, TOWNSHIP, "别处镇"]),
    )
    def place_hold(self, on: str, number: int, authority: str, township: str | None) -> None:
        self.step("place-hold")
        if on == "party":
            self.hold(on, PARTIES[number % 2], authority, township)
        elif on == "recording":
            self.hold(on, self.any_of(list(self.kept), number), authority)
        elif self.acts:
            action = self.any_of(list(self.acts), number)
            self.hold(on, action if on == "action" else self.acts[action].case, authority)

    def hold(self, on: str, what: str, authority: str, township: str | None = None) -> None:
        column = on if on == "party" else f"{on}_id"
        new = NewHold(
            reason=HoldReason.OTHER, authority=authority, township=township, **{column: what}
        )
        try:
            with self.archive.catalogue.write() as uow:
                placed = holds.place_hold(uow, new, actor=WHO).id
        except DestroyedError:
            assert on == "recording"
            assert self.kept[what].gone
            return
        assert on != "recording" or not self.kept[what].gone
        self.holds[placed] = Held(on, what, township, authority)

    @precondition(lambda self: self.holds)
    @rule(number=pick, turn=st.integers(0, len(RELEASES) - 1))
    def release_hold(self, number: int, turn: int) -> None:
        self.step("release-hold")
        self.release_one(number, turn)

    def release_one(self, number: int, turn: int) -> None:
        """Proposed and decided, with something between or nothing; or decided much later."""
        first, second, how, meanwhile = RELEASES[turn % len(RELEASES)]
        if meanwhile or "concerned" in {first, second} or not self.holds:
            name = self.linked_hold(number)
        else:
            name = self.any_of(list(self.holds), number)
        release = self.propose_one(name, self.somebody(first, self.holds[name], ""))
        if release is None and self.releases:
            release = self.any_of(list(self.releases), number)
        if release is None or how == "later":
            return
        asked = self.releases[release]
        hold = self.holds[asked.hold]
        if meanwhile:
            self.link_under(hold, number)
        self.decide_one(release, self.somebody(second, hold, asked.by), how)

    def linked_hold(self, number: int) -> str:
        """A hold that lies on an open action, by itself or by its case or party."""
        acts = [action for action, act in self.acts.items() if not act.closed]
        action = (
            self.any_of(acts, number) if acts else self.start_action(ActionKind.SERVICE, "孙某")
        )
        under = [name for name, hold in self.holds.items() if action in self.acts_under(hold)]
        if not under:
            self.hold("action", action, AUTHORITIES[number % 2])
            under = list(self.holds)[-1:]
        return self.any_of(under, number)

    def somebody(self, which: str, hold: Held, proposer: str) -> str:
        """A person of a kind; where there is none of it, whoever comes next."""
        turn = len(self.holds) % len(KEEPERS)
        turned = KEEPERS[turn:] + KEEPERS[:turn]
        kinds = {
            "right": [one for one in turned if self.speaks(one, hold, second=bool(proposer))],
            "wrong": [one for one in turned if not self.speaks(one, hold, second=bool(proposer))],
            "concerned": [one for one in turned if self.concerned(one, hold)],
            "proposer": [proposer],
            "officer": ["张三"],
        }
        return next(
            iter([one for one in kinds[which] if one != proposer] or kinds[which] or turned)
        )

    def link_under(self, hold: Held, number: int) -> None:
        """Have a hold reach more than it did."""
        under = sorted(self.acts_under(hold))
        fresh = [name for name in self.alive() if not self.reached(name, hold)]
        if under and fresh:
            self.link_one(self.any_of(fresh, number), self.any_of(under, number), "proposed")

    def propose_one(self, name: str, by: str) -> str | None:
        hold = self.holds[name]
        waiting = [one for one, asked in self.releases.items() if asked.hold == name]
        free = all(self.outdated(self.releases[one]) for one in waiting)
        right = self.speaks(by, hold, second=False)
        try:
            with self.archive.catalogue.write() as uow:
                release = releases.propose_for_hold(
                    uow, name, "结案", by=self.archive.keeper(by)
                ).id
        except ConflictError:
            assert not (right and free), "refused who may propose a release"
            return None
        assert right, "somebody proposed to release what is not his to release"
        assert free, "two proposals wait for one hold"
        for one in waiting:
            del self.releases[one]
        self.releases[release] = Releasing(name, by, self.reaches(hold))
        return release

    def decide_one(self, name: str, by: str, how: str) -> None:
        asked = self.releases[name]
        hold = self.holds[asked.hold]
        own = by == asked.by
        right = own if how == "withdraw" else self.speaks(by, hold, second=True) and not own
        stale = how == "approve" and self.outdated(asked)
        try:
            with self.archive.catalogue.write() as uow:
                who = self.archive.keeper(by)
                if how == "approve":
                    state = releases.approve_release(uow, name, by=who).state
                elif how == "reject":
                    state = releases.reject_release(uow, name, "再查", by=who).state
                else:
                    state = releases.withdraw_release(uow, name, "再查", by=who).state
        except ConflictError:
            assert not right, f"refused who may {how} a release"
            return
        assert right, f"somebody could {how} a release that is not his to decide"
        del self.releases[name]
        assert (state == "void") is stale, "released more than was proposed"
        if state == "approved":
            assert how == "approve"
            del self.holds[asked.hold]

    @precondition(lambda self: self.alive())
    @rule(number=pick)
    def tell_the_store(self, number: int) -> None:
        self.step("tell-the-store")
        name = self.any_of(self.alive(), number)
        legal_hold_sync.sync_legal_holds(self.archive.catalogue, self.archive.objects, [name])
        self.kept[name].store_held = any(self.reached(name, one) for one in self.holds.values())

    @precondition(lambda self: self.alive())
    @rule(number=pick, days=st.sampled_from([1, 8, 200]))
    def lock_behind(self, number: int, days: int) -> None:
        """Somebody extends the object lock, and the catalogue does not know."""
        self.step("lock-behind")
        self.lock(self.any_of(self.alive(), number), days)

    def lock(self, name: str, days: int) -> None:
        until = soon(self.at, days)
        self.archive.objects.lock(self.archive.key_of(name, PAYLOAD), until)
        known = self.kept[name].locked
        self.kept[name].locked = until if known is None else max(known, until)

    @rule(number=pick, several=st.booleans(), by=person)
    def propose(self, number: int, several: int, by: str) -> None:
        self.step("propose")
        self.propose_some(number, several=bool(several), by=by)

    def propose_some(self, number: int, *, several: bool, by: str) -> str | None:
        names = self.alive()
        if not names:
            return None
        ids = [self.any_of(names, number)]
        if several:  # and whatever else is due
            ids += [one for one in names if one not in ids and not self.keepers(one, store=False)]
        kept = [one for one in ids if self.keepers(one, store=False)]
        listed = {
            one
            for plan in self.plans.values()
            if plan.state in {"proposed", "approved"}
            for one in plan.ids
        }
        try:
            plan = self.archive.propose(*ids, by=by)
        except StillKeptError:
            assert kept, "refused though nothing keeps it"
            return None
        except ConflictError:
            assert not kept
            assert listed & set(ids)
            return None
        assert not kept, f"proposed though kept: {[self.keepers(one, store=False) for one in kept]}"
        assert not listed & set(ids)
        self.plans[plan] = Planned(by, sorted(ids))
        return plan

    @precondition(lambda self: self.plans)
    @rule(number=pick, by=person)
    def approve(self, number: int, by: str) -> None:
        self.step("approve")
        plans = [one for one, plan in self.plans.items() if plan.state in {"proposed", "approved"}]
        self.approve_one(self.any_of(plans or list(self.plans), number), by)

    def approve_one(self, name: str, by: str) -> None:
        plan, needed = self.plans[name], self.needed(name)
        open_ = plan.state in {"proposed", "approved"} and len(plan.approvers) < needed
        other = by != plan.by and by not in plan.approvers
        try:
            self.archive.approve(name, by)
        except DispositionError:
            assert not (open_ and other), "refused another person's approval"
            return
        assert other, "one person proposed and approved, or approved twice"
        assert open_
        plan.approvers.append(by)
        if len(plan.approvers) >= needed:
            plan.state, plan.approved_at = "approved", self.at

    @rule(number=pick)
    def decide_and_cool(self, number: int) -> None:
        """The ordinary way, so that destruction is not rare: due, proposed, approved, cooled."""
        self.step("decide-and-cool")
        due = [one for one in self.alive() if not self.keepers(one, store=False)]
        if not due:
            return
        index = self.alive().index(self.any_of(due, number))
        name = self.propose_some(index, several=False, by="张三")
        if name is not None:
            self.approve_one(name, "李四")
            self.to(self.at + min(COOLING, END - self.at))

    @rule(
        number=pick,
        before=st.integers(0, 9),
        early=st.sampled_from([-1, 0, 0]),
        by=st.sampled_from(["李四", "李四", "张三"]),
        slow=st.integers(0, 1),
        cooled=st.sampled_from([-1, 0, 0]),
        meddle=st.sampled_from(["", "", "hold", "link", "lock", "clock"]),
    )
    def whole_way(
        self,
        number: int,
        before: int,
        early: int,
        by: str,
        slow: int,
        cooled: int,
        meddle: str,
    ) -> None:
        """From due to destroyed, each time with something in the way or nothing.

        Mostly of a new recording: what is older is soon kept for ever by something.
        """
        self.step("whole-way")
        self.go_the_way(number, before, early, by, slow, cooled, meddle)
        self.release_one(number, before + len(self.kept))

    def go_the_way(
        self,
        number: int,
        before: int,
        early: int,
        by: str,
        slow: int,
        cooled: int,
        meddle: str,
    ) -> None:
        self.lags = [timedelta(0)]
        if len(self.alive()) < 2 * ROOM:
            self.keep_one()
            number = len(self.alive()) - 1
        names = self.alive()
        name = self.any_of(names, number)
        way = WAYS[(before + len(self.kept)) % len(WAYS)]
        self.prepare(way, name)
        until = max(self.ruled(self.kept[name]), self.kept[name].promised)
        if until >= NEVER:  # kept for ever: by a link alone, perhaps, that no promise follows yet
            self.to(min(self.kept[name].promised, END))
            self.propose_some(number, several=False, by="张三")
            return
        self.to(until + timedelta(seconds=-1 if way == "edition" else early))
        plan = self.propose_some(number, several=False, by="张三")
        if plan is None:
            return
        if slow:
            self.to(self.at + min(COOLING, END - self.at))
        self.approve_one(plan, by)
        self.to(self.at + min(COOLING + timedelta(seconds=cooled), END - self.at))
        before_lags = self.lags
        if meddle == "clock":
            self.lags = [timedelta(0), timedelta(minutes=5, seconds=1)]
        elif meddle == "link" and not self.acts:
            self.start_action(ActionKind.INSPECTION, PARTIES[0])
        self.destroy(plan, "" if meddle == "clock" else meddle, 0)
        self.lags = before_lags

    def prepare(self, how: str, name: str) -> None:
        """Put something in the way of a recording's destruction."""
        if how == "two-holds":
            self.hold("recording", name, "county")
            self.hold("recording", name, AUTHORITIES[1])
            released = list(self.holds)[-1]
            release = self.propose_one(released, HEADS[0])
            assert release is not None, "nobody but the other head and a reviewer take part"
            self.decide_one(release, HEADS[1], "approve")
            if released in self.holds:  # it concerned the other head
                self.decide_one(release, REVIEWERS[0], "approve")
        elif how == "party":
            self.hold("party", PARTIES[0], "county", TOWNSHIP)
            self.to(self.at + min(DAY, END - self.at))
            action = self.start_action(ActionKind.INSPECTION, PARTIES[0])
            self.link_one(name, action, "proposed")
            self.close(action)
        elif how == "link":
            self.link_one(name, self.start_action(ActionKind.SERVICE, PARTIES[0]), "confirmed")
        elif how == "class":
            self.give(name, FootageClass.DOCUMENT)
        elif how == "edition":
            self.add_edition(1, 0)

    @precondition(lambda self: self.plans)
    @rule(number=pick)
    def withdraw(self, number: int) -> None:
        self.step("withdraw")
        name = self.any_of(list(self.plans), number)
        try:
            with self.archive.catalogue.write() as uow:
                dispositions.withdraw_disposition(uow, name, "有人申请查看", actor=WHO)
        except DispositionError:
            assert self.plans[name].state in {"done", "withdrawn"}
            return
        assert self.plans[name].state in {"proposed", "approved"}
        self.plans[name].state = "withdrawn"

    @precondition(lambda self: any(one.state == "approved" for one in self.plans.values()))
    @rule(
        number=pick,
        meddle=st.sampled_from(["", "", "", "hold", "class", "link", "lock"]),
        which=st.integers(0, 2),
    )
    def execute(self, number: int, meddle: str, which: int) -> None:
        plans = [one for one, plan in self.plans.items() if plan.state == "approved"]
        self.destroy(self.any_of(plans, number), meddle, which)

    @precondition(lambda self: self.plans)
    @rule(number=pick)
    def execute_any(self, number: int) -> None:
        self.destroy(self.any_of(list(self.plans), number), "", 0)

    def destroy(self, name: str, meddle: str, which: int) -> None:
        """Destroy, perhaps with somebody meddling before the first point of no return."""
        self.step("execute")
        plan = self.plans[name]
        target = self.any_of(plan.ids, which)
        pending = [meddle] if meddle and not self.kept[target].gone else []

        def on_step(step: str) -> None:
            while step == "begun" and pending:
                self.meddle(pending.pop(), target)

        self.archive.on_step = on_step
        before = self.gone()
        refused = ""
        try:
            self.archive.execute(name)
        except DispositionError:
            refused = "decision"
        except ClockDoubtedError:
            refused = "clock"
        new = self.gone() - before
        kept = {one: self.keepers(one, store=True) for one in plan.ids}
        for one in new:
            assert one in plan.ids, "destroyed what no disposition lists"
            assert not kept[one], f"destroyed what {kept[one]} keep"
            self.check_decided(name)
            self.kept[one].gone = True
        type(self).done["destroyed"] += len(new)
        if plan.state != "approved":
            assert (new, refused) == (set(), "")
        elif not self.decided(name):
            assert (new, refused) == (set(), "decision")
        elif self.doubted():
            assert (new, refused) == (set(), "clock")
        else:
            assert refused == ""
            assert new == {one for one in plan.ids if not kept[one]}
            plan.state = "done"
            for one in set(plan.ids) - new:  # the store is told of what was kept
                # Only where it turned back at the point of no return; so look at the store.
                facts = self.archive.objects.facts(self.archive.key_of(one, PAYLOAD))
                self.kept[one].store_held = facts.on_hold

    def meddle(self, how: str, target: str) -> None:
        type(self).done[f"meddle-{how}"] += 1
        if how == "hold":
            self.hold("recording", target, "county")
        elif how == "class":
            self.give(target, FootageClass.OBSTRUCTION)
        elif how == "lock":
            self.lock(target, 1)
        elif self.acts:
            self.link_one(target, next(iter(self.acts)), "confirmed")

    def decided(self, name: str) -> bool:
        plan = self.plans[name]
        return (
            plan.approved_at is not None
            and len({*plan.approvers} - {plan.by}) >= self.needed(name)
            and self.at - plan.approved_at >= COOLING
        )

    def check_decided(self, name: str) -> None:
        """Two different persons at least, and the cooling-off time after the last of them."""
        plan = self.plans[name]
        assert plan.state == "approved", "destroyed without a decision"
        assert len({plan.by, *plan.approvers}) > self.needed(name)
        assert plan.approved_at is not None
        assert self.at - plan.approved_at >= COOLING, "destroyed before it cooled off"
        assert not self.doubted(), "destroyed though no other clock vouched"

    def doubted(self) -> bool:
        return not self.lags or any(lag > timedelta(minutes=5) for lag in self.lags)

    def gone(self) -> set[str]:
        """What has a tombstone, read past the product."""
        return {row[0] for row in self.sql.execute("SELECT recording_id FROM tombstone")}

    @invariant()
    def every_recording_is_whole_or_gone(self) -> None:
        rows = self.sql.execute(
            "SELECT recording.id, envelope_text, recording.destroyed_at, verified_at FROM recording"
            " LEFT JOIN tombstone ON recording_id = recording.id"
        ).fetchall()
        assert {row[0] for row in rows} == set(self.kept)
        for name, envelope, destroyed, verified in rows:
            there = [(self.folder / "objects" / name / part).exists() for part in PARTS]
            if self.kept[name].gone:
                assert (envelope, any(there)) == ("", False)
                assert destroyed is not None
                assert verified is not None
            else:
                assert envelope != ""
                assert all(there)
                assert (destroyed, verified) == (None, None)

    def teardown(self) -> None:
        try:
            with self.archive.catalogue.read() as session:
                assert list(audit_catalogue(session, [])) == []
        finally:
            self.sql.close()
            self.archive.close()
            shutil.rmtree(self.folder)


def found_template(folder: Path) -> Path:
    """Make the catalogue that every run begins with; return its file."""
    path = folder / "template.sqlite"
    archive = Archive(f"sqlite:///{path}", FolderObjects(folder / "o", os.urandom), START)
    archive.found().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path
