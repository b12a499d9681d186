"""Stored duties are those that judging everything anew would bring, whatever happened before."""

import random
from dataclasses import fields, replace
from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from api.office.reports.duty_list import (
    count_overdue,
    iterate_duties,
    judge_all,
    read_duty_page,
    store_judgements,
)
from policies.access.access import Role
from policies.duties import Asking, DutyState, derive_duties, has_clock, in_order, rank_duty
from policies.facts.facts import ActionFacts, CaseFacts
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import DocumentKind, Feature, Manner, Part, ProceedingKind
from policies.requirements.outcome import Scope
from policies.rules.rulebook import load_rulebook
from policies.time import calendar
from storage.catalogue import duty_basis
from storage.catalogue.audited_tables import AUDITED
from storage.catalogue.cases import case_file, cases, exhibits
from storage.catalogue.cases.tables import DecisionRow
from storage.catalogue.holds import proceedings
from storage.catalogue.holds.proceedings import NewProceeding
from storage.catalogue.oversight import duties as stored
from storage.catalogue.oversight import duty_facts
from storage.catalogue.people import people, register
from storage.catalogue.reading.rule_facts import case_facts_of, proceeding_facts
from storage.catalogue.recordings import recordings
from storage.custody.entries.event import PremisType
from storage.errors import LiuhenError
from tests.keeping import add_keeper

WHO = "person:p1"
_BEGIN = 10  # the first steps bring what the others are about
TOWNSHIPS = ("半壁山镇", "兴隆镇")


@pytest.fixture(scope="module")
def rules():
    return load_rulebook()


@pytest.fixture
def desk(catalogue, office, rules, clock):
    """What `api.office.reports.duty_list` asks of an office."""
    return SimpleNamespace(catalogue=catalogue, rulebook=rules, clock=clock, people=office)


@pytest.fixture
def case(desk, now):
    """A case with a seizure, whose goods are held for thirty days at most."""
    with desk.catalogue.write() as uow:
        row = cases.open_case(
            uow,
            number="1",
            title="占道",
            party="孙某",
            township="半壁山镇",
            stage=Stage.INVESTIGATION,
            actor=WHO,
        )
        cases.add_action(
            uow,
            case_id=row.id,
            kind=ActionKind.SEIZURE,
            place="街口",
            start_at=now,
            officers=[desk.people.first.id],
            actor=WHO,
        )
    return row


def anew(desk, at):
    """Judge every case, action, proceeding and township by all that is known of them."""
    book, found = desk.rulebook, []
    with desk.catalogue.read() as session:
        judged = []
        for row in cases.list_cases(session):
            if row.closed_at is None or row.closed_at > at - stored.LOOK_BACK:
                facts = case_facts_of(session, row.id, at)
                judged += [facts, *facts.actions]
        judged += [proceeding_facts(row, at) for row in proceedings.list_proceedings(session)]
        judged += stored.township_days(session, people.list_townships(session), at)
    for facts in judged:
        found += derive_duties(Asking(book).find_clocked_rules(facts), facts, at)
    return list(in_order(found))


def walk(desk, at, limit, **only):
    """Return the list as a screen does, page by page."""
    found, after = [], None
    while True:
        one = read_duty_page(desk, at=at, limit=limit, after=after, **only)
        assert len(one.duties) <= limit
        store_judgements(desk, one.judgements)
        found += one.duties
        if one.last is None:
            return found
        after = one.last


class Chance:
    """Facts of every kind that duties may hang on, one after another, as a seed draws them."""

    def __init__(self, seed, desk, new):
        self.draw, self.desk, self.new, self.count = random.Random(seed), desk, new, 0
        self.cases, self.actions, self.proceedings, self.documents = [], [], [], []
        self.exhibits, self.numbers = [], []
        self.people = [desk.people.first.id, desk.people.second.id]
        with desk.catalogue.write() as uow:
            self.head = add_keeper(uow, "head", Role.HEAD, "半壁山镇")

    def step(self):
        """Let something happen, or be refused."""
        self.count += 1
        acts = [name for name in dir(self) if name.startswith("_do_")]
        begin = ["_do_open", "_do_act", "_do_complain", "_do_film", "_do_answer"]
        act = begin[self.count % len(begin)] if self.count <= _BEGIN else self.draw.choice(acts)
        try:
            with self.desk.catalogue.write() as uow:
                getattr(self, act)(uow)
        except (LiuhenError, IndexError):
            act += " (refused)"
        self.desk.clock.now += timedelta(seconds=self.draw.choice([1, 7_000, 90_000, 900_000]))
        return act

    def _do_open(self, uow):
        row = cases.open_case(
            uow,
            number=f"{self.count}",
            title="占道",
            party="孙某",
            township=self.draw.choice(TOWNSHIPS),
            stage=self.draw.choice([Stage.REGISTRATION, Stage.FILING, Stage.DECISION]),
            actor=WHO,
            features=self.draw.sample(list(Feature), 2),
        )
        self.cases.append(row.id)

    _do_open_more = _do_open

    def _do_act(self, uow):
        kinds = [ActionKind.SEIZURE, ActionKind.INSPECTION, ActionKind.HEARING, ActionKind.SERVICE]
        row = cases.add_action(
            uow,
            case_id=self.draw.choice(self.cases),
            kind=self.draw.choice(kinds),
            place="街口",
            start_at=uow.at - timedelta(hours=self.draw.choice([1, 30, 2000])),
            officers=self.draw.sample(self.people, 2),
            actor=WHO,
        )
        self.actions.append(row.id)

    _do_act_more = _do_act

    def _do_end(self, uow):
        cases.set_action_end(uow, self.draw.choice(self.actions), uow.at, actor=WHO)

    def _do_move(self, uow):
        row = cases.get_case(uow.session, self.draw.choice(self.cases))
        stages = [Stage.SUSPENSION, Stage.INVESTIGATION, Stage.CLOSING, Stage.FILING]
        cases._enter_stage(row, self.draw.choice(stages), uow.at)  # whatever the gate would say
        uow.record("case.move", PremisType.POLICY_ASSIGNMENT, row, actor=WHO, subject=f"{row.id}")

    _do_move_more = _do_move

    def _do_features(self, uow):
        case_file.set_features(
            uow, self.draw.choice(self.cases), self.draw.sample(list(Feature), 2), actor=WHO
        )

    def _do_part(self, uow):
        case, person = self.draw.choice(self.cases), self.draw.choice(self.people)
        case_file.take_part(uow, case, Part.HANDLES, person, actor=WHO)

    def _do_document(self, uow):
        action = self.draw.choice([None, *self.actions])
        case = self.draw.choice(self.cases)
        if action is not None:
            case = cases.get_action(uow.session, action).case_id
        row = case_file.enter_document(
            uow,
            case,
            self.draw.choice([*DocumentKind, DocumentKind.SEIZURE_EXTENSION]),
            number=f"{self.count}",
            at=uow.at,
            action_id=action,
            actor=WHO,
        )
        self.documents.append(row.id)

    _do_document_more = _do_document

    def _do_serve(self, uow):
        document = self.draw.choice(self.documents)
        case_file.serve_document(uow, document, at=uow.at, manner=Manner.DIRECT, actor=WHO)

    def _do_decide(self, uow):
        case = self.draw.choice(self.cases)
        row = DecisionRow(
            id=uow.new_id(),
            case_id=case,
            person_id=self.people[0],
            at=uow.at,
            penalty=self.draw.random() < 0.8,
            signed_by_head=True,
            text="罚",
            disclosed_at=None,
            disclosed_where=None,
        )
        uow.session.add(row)
        uow.record("case.decide", PremisType.POLICY_ASSIGNMENT, row, actor=WHO, subject=case)

    def _do_disclose(self, uow):
        case_file.record_disclosure(
            uow, self.draw.choice(self.cases), at=uow.at, where="网站", actor=WHO
        )

    def _do_film(self, uow):
        film = self.new(b"%d" % self.count, start_at=uow.at)
        row = recordings.accession_recordings(uow, film)[0]
        link = exhibits.link_by_hand(
            uow,
            self.draw.choice(self.actions),
            row.id,
            actor=WHO,
            shown_from=uow.at,
            shown_to=uow.at + timedelta(seconds=5),
        )
        self.exhibits.append(link.id)

    _do_film_more = _do_film

    def _do_reject(self, uow):
        exhibits.reject_exhibit(uow, self.draw.choice(self.exhibits), actor=WHO)

    def _do_complain(self, uow):
        row = proceedings.register_proceeding(
            uow,
            NewProceeding(
                kind=ProceedingKind.COMPLAINT,
                number=f"{self.count}",
                township=self.draw.choice(TOWNSHIPS),
                about="粗暴",
                brought_by="孙某",
                received_at=uow.at,
                summary=self.draw.random() < 0.5,
            ),
            actor=WHO,
        )
        self.proceedings.append(row.id)

    def _do_answer(self, uow):
        proceedings.answer_proceeding(uow, self.draw.choice(self.proceedings), "已答", by=self.head)

    def _do_hire(self, uow):
        row = people.add_person(
            uow,
            name=f"甲{self.count}",
            kind="officer",
            unit="队",
            township=self.draw.choice([*TOWNSHIPS, f"{self.count}镇"]),
            actor=WHO,
            full_time=True,
        )
        self.people.append(row.id)

    def _do_certify(self, uow):
        register.record_certificate(
            uow,
            self.draw.choice(self.people),
            number=f"C{self.count}",
            category="综合",
            unit="队",
            valid_from=date(2026, 1, 1),
            valid_to=uow.at.date() + timedelta(days=self.draw.choice([10, 100])),
            actor=WHO,
        )
        self.numbers.append(f"C{self.count}")

    def _do_revoke(self, uow):
        number = self.draw.choice(self.numbers)
        register.end_certificate(uow, number, on=uow.at.date(), why="revoked", actor=WHO)

    def _do_train(self, uow):
        register.record_training(
            uow,
            self.draw.choice(self.people),
            day=uow.at.date(),
            hours=self.draw.choice([8, 20]),
            special=self.draw.random() < 0.5,
            title="培训",
            actor=WHO,
        )

    def _do_transfer(self, uow):
        row = people.get_person(uow.session, self.draw.choice(self.people))
        row.name, row.township = f"乙{self.count}", self.draw.choice(TOWNSHIPS)
        uow.record(
            "person.change",
            PremisType.METADATA_MODIFICATION,
            row,
            actor=WHO,
            subject=f"person:{row.id}",
        )


@pytest.mark.parametrize("seed", range(3))
def test_what_is_stored_is_what_judging_anew_brings(desk, new, seed):
    chance, happened, states, rules_seen = Chance(seed, desk, new), [], set(), set()
    for _ in range(60):
        happened.append(chance.step())
        if chance.draw.random() < 0.6:  # mostly several things happen between two looks
            continue
        back = chance.draw.choice([0, 0, 0, 3, 200_000])
        at = desk.clock.now - timedelta(seconds=back)
        wanted = anew(desk, at)
        states |= {one.state for one in wanted}
        rules_seen |= {one.rule for one in wanted}
        assert walk(desk, at, 7, include_done=True) == wanted, happened
        with desk.catalogue.read() as session:  # and now it is stored
            standard = stored.standard_of(desk.rulebook)
            assert stored.list_stale_subjects(session, standard, at) == []
            assert (
                stored.list_duties(session, standard, at, limit=999, include_done=True) == wanted
            ), happened
        own = [
            one
            for one in wanted
            if one.township == "兴隆镇" and one.state is not DutyState.COMPLETED
        ]
        assert list(iterate_duties(desk, at, township="兴隆镇")) == own
        assert count_overdue(desk, at) == sum(one.state is DutyState.OVERDUE for one in wanted)
        assert judge_all(desk, at) == []
    assert (len(states), len(rules_seen)) > (2, 3)  # the chance was one


def test_a_state_turns_with_the_time_alone_and_nothing_is_judged_for_it(desk, case):
    at = desk.clock.now
    list(iterate_duties(desk, at))
    held = next(one for one in iterate_duties(desk, at) if one.rule == "qz-25-held")
    for moment, state in (
        (held.due_at - timedelta(days=9), DutyState.OPEN),
        (held.due_at, DutyState.SOON),
        (held.due_at + timedelta(microseconds=1), DutyState.OVERDUE),
    ):
        with desk.catalogue.read() as session:
            stale = stored.list_stale_subjects(session, stored.standard_of(desk.rulebook), moment)
        assert not [one for one in stale if one.startswith("case:")]
        found = read_duty_page(desk, at=moment, limit=200)
        assert next(one for one in found.duties if one.rule == "qz-25-held").state is state


def test_what_changed_while_it_was_judged_is_not_stored(desk, case, now):
    found = read_duty_page(desk, at=desk.clock.now, limit=50)
    assert found.judgements
    with desk.catalogue.write() as uow:
        case_file.enter_document(uow, case.id, DocumentKind.DECISION, number="1", at=now, actor=WHO)
    store_judgements(desk, found.judgements)
    with desk.catalogue.read() as session:
        stale = stored.list_stale_subjects(
            session, stored.standard_of(desk.rulebook), desk.clock.now
        )
    assert stale == [f"case:{case.id}"]


def test_another_rulebook_judges_everything_anew(desk, case):
    at = desk.clock.now
    before = list(iterate_duties(desk, at))
    rules = tuple(one for one in desk.rulebook.rules if one.id != "qz-25-held")
    desk.rulebook = replace(desk.rulebook, rules=rules)
    after = list(iterate_duties(desk, at))
    assert {one.rule for one in before} - {one.rule for one in after} == {"qz-25-held"}
    assert after == [one for one in anew(desk, at) if one.state is not DutyState.COMPLETED]


def test_a_holiday_that_is_published_later_judges_everything_anew(desk, case, monkeypatch):
    at = desk.clock.now
    list(iterate_duties(desk, at))
    before = stored.standard_of(desk.rulebook)
    days = calendar.published.holidays
    monkeypatch.setattr(calendar.published, "holidays", {**days, date(2026, 12, 1): "节"})
    assert stored.standard_of(desk.rulebook) != before
    assert [
        one
        for one in read_duty_page(desk, at=at, limit=50).judgements
        if one.subject.startswith("case:")
    ]


def test_the_nightly_judgement_names_and_mends_what_was_changed_behind_its_back(
    desk, case, database
):
    at = desk.clock.now
    wanted = list(iterate_duties(desk, at))
    database.execute("DELETE FROM duty WHERE rule='qz-25-held'")
    assert list(iterate_duties(desk, at)) != wanted
    assert judge_all(desk, at) == [f"case:{case.id}"]
    assert list(iterate_duties(desk, at)) == wanted
    assert judge_all(desk, at) == []


def test_pages_stay_in_order_while_cases_are_opened_and_closed(desk, new):
    chance = Chance(9, desk, new)
    for _ in range(30):
        chance.step()
    at = desk.clock.now
    wanted = [one for one in anew(desk, at) if one.state is not DutyState.COMPLETED]
    after, seen = None, []
    while True:
        found = read_duty_page(desk, at=at, limit=3, after=after)
        seen += found.duties
        if found.last is None:
            break
        after = found.last
        chance.step()
    places = [rank_duty(one) for one in seen]
    assert places == sorted(set(places))  # nothing twice, nothing out of its place
    untouched = [one for one in anew(desk, at) if one in wanted]
    assert [one for one in untouched if one not in seen] == []


# What no requirement with a clock looks at: who logs in, what keeps footage and what ends it.
UNSEEN = {
    *("station", "source", "account", "assignment", "clock_reading", "enrolment"),
    *("doubt", "hold", "hold_release", "draw", "quality_check", "later_look", "rendition"),
    *("footage_class", "reclassification", "tombstone", "verified"),
    *("disposition", "disposition_approval", "disposition_item"),
}


def test_every_audited_table_moves_duties_or_no_clock_looks_at_it():
    audited = {one.__tablename__ for one in AUDITED}
    assert {one.__tablename__ for one in duty_basis.CONCERNS} == audited - UNSEEN


@pytest.mark.parametrize("of", [CaseFacts, ActionFacts])
def test_no_clock_looks_at_more_than_is_read_for_many_cases(of, rules, now):
    seen = set()

    class Watched(of):
        def __getattribute__(self, name):
            if not name.startswith("__"):
                seen.add(name)
            return super().__getattribute__(name)

    given = {
        "case": "c",
        "township": "t",
        "stage": Stage.DECISION,
        "opened_at": now,
        "at": now,
        "action": "a",
        "kind": ActionKind.SEIZURE,
        "start": now,
        "end": now,
    }
    names = {one.name for one in fields(of)}
    facts = Watched(**{name: value for name, value in given.items() if name in names})
    scope = Scope.CASE if of is CaseFacts else Scope.ACTION
    asked = [one for one in rules.rules if one.scope is scope and has_clock(one.requirement)]
    assert asked
    for rule in asked:
        rule.when.applies_to(facts, major=True)
        rule.requirement.find_deadline(facts)
    allowed = duty_facts.SEEN_OF_CASE if of is CaseFacts else duty_facts.SEEN_OF_ACTION
    assert seen & names <= set(allowed)
