"""Holds end by two persons whom they do not concern; what is refused is refused in the unit of work."""

from datetime import timedelta

import pytest

from policies.access.access import Role
from policies.access.concern import Tie
from policies.facts.stages import ActionKind
from policies.facts.terms import HoldReason, Part, ProceedingKind
from policies.retention.releases import ReleaseState
from storage.catalogue.audit.audit import audit_catalogue
from storage.catalogue.cases import case_file, cases
from storage.catalogue.holds import concerns, holds, proceedings, releases
from storage.catalogue.holds.concerns import ConcernedError, InvolvedError, NotEntitledError
from storage.catalogue.holds.holds import NewHold
from storage.catalogue.holds.proceedings import NewProceeding
from storage.catalogue.holds.releases import ReleaseError
from storage.catalogue.jobs import jobs
from storage.catalogue.log import custody_log
from storage.catalogue.people import people, register
from storage.catalogue.reading import case_queries
from storage.catalogue.recordings import recordings
from storage.errors import ConflictError, NotFoundError
from tests.keeping import WHO, add_keeper, keeper_of


@pytest.fixture
def keepers(catalogue, office):
    """Two heads, two reviewers, and an officer as a face knows him."""
    with catalogue.write() as uow:
        return {
            name: add_keeper(uow, name, role, office.township)
            for name, role in (
                ("head", Role.HEAD),
                ("deputy", Role.HEAD),
                ("first", Role.REVIEWER),
                ("second", Role.REVIEWER),
            )
        }


@pytest.fixture
def film(catalogue, new, now):
    def make(start, **more):
        with catalogue.write() as uow:
            facts = {"start_at": now + timedelta(seconds=start)} | more
            return recordings.accession_recordings(uow, new(f"{start} {more}".encode(), **facts))[
                0
            ].id

    return make


@pytest.fixture
def seized(catalogue, office, film, now):
    """A case with one action of the second officer, and the first officer's footage of it."""
    recording = film(0)
    with catalogue.write() as uow:
        case = cases.open_case(
            uow, number="1", title="t", party="孙某", township=office.township, actor=WHO
        )
        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.SEIZURE,
            place="x",
            start_at=now,
            end_at=now + timedelta(seconds=60),
            officers=[office.second.id],
            actor=WHO,
        )
        cases.link_by_hand(uow, action.id, recording, actor=WHO)
    return case.id, action.id, recording


@pytest.fixture
def brought(catalogue, office, now):
    def make(**more):
        facts = {
            "kind": ProceedingKind.COMPLAINT,
            "number": "信访1号",
            "township": office.township,
            "about": "粗暴执法",
            "brought_by": "孙某",
            "received_at": now,
        }
        with catalogue.write() as uow:
            new = NewProceeding(**facts | more)
            return proceedings.register_proceeding(uow, new, actor=WHO).id

    return make


def answer(catalogue, proceeding, by):
    with catalogue.write() as uow:
        proceedings.answer_proceeding(uow, proceeding, "查无此事", by=by)


def propose(catalogue, proceeding, by):
    with catalogue.write() as uow:
        return releases.propose_for_proceeding(uow, proceeding, "已办结", by=by).id


def approve(catalogue, release, by):
    with catalogue.write() as uow:
        return releases.approve_release(uow, release, by=by).state


def place(catalogue, authority, **on):
    with catalogue.write() as uow:
        new = NewHold(reason=HoldReason.INVESTIGATION, authority=authority, **on)
        return holds.place_hold(uow, new, actor=WHO).id


def standing(catalogue):
    with catalogue.read() as session:
        return len(holds.list_active_holds(session))


def entries(catalogue, subject, act):
    with catalogue.read() as session:
        found = custody_log.LogReader(session).events_of(subject)
    return [one for one in found if one.act == act]


def refused(catalogue, step, error):
    """Run a step that must be refused; return the refusal. Nothing of it may stay."""
    before = standing(catalogue)
    with pytest.raises(error) as caught, catalogue.write() as uow:
        step(uow)
    assert standing(catalogue) == before
    return caught.value


def as_role(person_row, role, office):
    return keeper_of(person_row.id, role, office.township)


def test_an_officer_complained_about_cannot_answer_or_release(
    catalogue, office, keepers, seized, brought
):
    complaint = brought(case_id=seized[0])
    for who in (office.first, office.second):
        officer = as_role(who, Role.OFFICER, office)
        for step in (
            lambda uow, by=officer: proceedings.answer_proceeding(uow, complaint, "无", by=by),
            lambda uow, by=officer: releases.propose_for_proceeding(uow, complaint, "无", by=by),
        ):
            assert refused(catalogue, step, ConcernedError).facts["who_zh"]
    answer(catalogue, complaint, keepers["head"])
    proposed = propose(catalogue, complaint, keepers["head"])
    for who in (office.first, office.second):
        officer = as_role(who, Role.OFFICER, office)
        refused(
            catalogue,
            lambda uow, by=officer: releases.approve_release(uow, proposed, by=by),
            ConcernedError,
        )
    assert standing(catalogue) == 1


def test_an_officer_whom_it_does_not_concern_answers_nothing_either(
    catalogue, office, keepers, film, brought, now
):
    film(0, officer_no="001")
    complaint = brought(since=now, until=now + timedelta(seconds=5))
    officer = as_role(office.helper, Role.OFFICER, office)
    error = refused(
        catalogue,
        lambda uow: proceedings.answer_proceeding(uow, complaint, "无", by=officer),
        NotEntitledError,
    )
    assert error.code == "proceeding-authority"
    assert "审核人员" in error.facts["who_zh"]


def test_a_second_account_of_the_officer_complained_about_changes_nothing(
    catalogue, office, keepers, seized, brought
):
    complaint = brought(case_id=seized[0])
    with catalogue.write() as uow:
        people.create_account(
            uow,
            username="another",
            password_hash="x",
            role=Role.HEAD.value,
            person_id=office.second.id,
            actor=WHO,
        )
    for role in (Role.HEAD, Role.REVIEWER):
        by = as_role(office.second, role, office)
        refused(
            catalogue,
            lambda uow, by=by: proceedings.answer_proceeding(uow, complaint, "无", by=by),
            ConcernedError,
        )


@pytest.mark.parametrize(
    ("part", "tie"),
    [
        (Part.HANDLES, Tie.HANDLES),
        (Part.REVIEWS, Tie.REVIEWED),
        (Part.DECIDES, Tie.DECIDED),
    ],
)
def test_who_handled_reviewed_or_decided_the_case_does_not_answer_a_complaint_about_it(
    catalogue, keepers, seized, brought, part, tie
):
    with catalogue.write() as uow:
        case_file.take_part(uow, seized[0], part, keepers["head"].id, actor=WHO)
    complaint = brought(case_id=seized[0])
    error = refused(
        catalogue,
        lambda uow: proceedings.answer_proceeding(uow, complaint, "无", by=keepers["head"]),
        ConcernedError,
    )
    assert error.facts["tie"] == tie.value
    answer(catalogue, complaint, keepers["deputy"])


def test_who_opened_a_case_or_handed_its_footage_in_is_concerned_by_the_log(
    catalogue, office, keepers, film, brought, now
):
    opener, submitter = keepers["head"], keepers["first"]
    film(0, handed_in={"operator": f"person:{submitter.id}"})
    with catalogue.write() as uow:
        case = cases.open_case(
            uow,
            number="2",
            title="t",
            party="p",
            township=office.township,
            actor=f"person:{opener.id}",
        ).id
    complaint = brought(case_id=case, since=now, until=now + timedelta(seconds=5))
    for by, tie in ((opener, Tie.OPENED), (submitter, Tie.HANDED_IN)):
        error = refused(
            catalogue,
            lambda uow, by=by: proceedings.answer_proceeding(uow, complaint, "无", by=by),
            ConcernedError,
        )
        assert error.facts["tie"] == tie.value


def test_a_complaint_without_a_case_concerns_those_whose_footage_it_holds(
    catalogue, office, keepers, film, brought, now
):
    with catalogue.write() as uow:
        people.add_source(
            uow,
            serial="R7",
            kind="recorder",
            family="x",
            label="7",
            township=office.township,
            actor=WHO,
        )
        register.assign_source(
            uow, "R7", keepers["deputy"].id, since=now - timedelta(days=1), actor=WHO
        )
        register.assign_source(uow, "R7", None, since=now + timedelta(days=1), actor=WHO)
    film(0, officer_no="001")
    film(1, officer_no=None, serial="R7")
    complaint = brought(since=now, until=now + timedelta(seconds=5))
    with catalogue.read() as session:
        matter = proceedings.gather_matter(session, proceedings.get_proceeding(session, complaint))
    assert matter.recorders == {office.first.id, keepers["deputy"].id}
    refused(
        catalogue,
        lambda uow: proceedings.answer_proceeding(uow, complaint, "无", by=keepers["deputy"]),
        ConcernedError,
    )
    answer(catalogue, complaint, keepers["head"])


def test_nobody_handles_a_proceeding_that_concerns_him(
    catalogue, office, keepers, seized, brought, film, now
):
    before = standing(catalogue)
    with pytest.raises(ConcernedError):
        brought(case_id=seized[0], handler_id=office.second.id)
    assert standing(catalogue) == before
    span = {"since": now + timedelta(hours=1), "until": now + timedelta(hours=2)}
    complaint = brought(handler_id=office.first.id, **span)
    film(3700, officer_no="001")  # the handler's own footage comes in later
    with catalogue.write() as uow:
        assert len(proceedings.hold_more(uow, complaint, actor=WHO)) == 1
    with catalogue.read() as session:
        assert proceedings.get_proceeding(session, complaint).handler_id is None
    assert entries(catalogue, f"proceeding:{complaint}", "proceeding.excuse")


def test_a_case_is_held_whole_whatever_interval_the_complaint_names(
    catalogue, seized, brought, now
):
    """Who registers it, be it the officer complained about, cannot make it hold less."""
    complaint = brought(
        case_id=seized[0], since=now + timedelta(days=9), until=now + timedelta(days=10)
    )
    with catalogue.read() as session:
        assert proceedings.list_held_recordings(session, complaint) == [seized[2]]


def test_releasing_takes_two_persons_and_the_log_names_both(catalogue, keepers, seized, brought):
    complaint = brought(case_id=seized[0])
    head, reviewer = keepers["head"], keepers["first"]
    refused(
        catalogue,
        lambda uow: releases.propose_for_proceeding(uow, complaint, "早", by=head),
        ReleaseError,
    )
    answer(catalogue, complaint, head)
    proposed = propose(catalogue, complaint, head)
    assert standing(catalogue) == 1
    error = refused(
        catalogue, lambda uow: releases.approve_release(uow, proposed, by=head), ReleaseError
    )
    assert error.code == "release-same-person"
    assert approve(catalogue, proposed, reviewer) == ReleaseState.APPROVED
    assert standing(catalogue) == 0
    [entry] = entries(catalogue, f"case:{seized[0]}", "hold.release")
    assert entry.actor == entry.details["approved_by"] == f"person:{reviewer.id}"
    assert entry.details["proposed_by"] == f"person:{head.id}"
    assert entries(catalogue, f"proceeding:{complaint}", "hold.release.propose")
    with catalogue.read() as session:
        [hold] = proceedings.holds_of(session, complaint)
        assert (hold.released_by, hold.released_why) == (f"person:{reviewer.id}", "已办结")
        told = [one.subject for one in jobs.list_due_jobs(session, hold.released_at, ["hold"], 9)]
        assert told == [f"hold:{hold.id}"]
        assert list(audit_catalogue(session, [])) == []
    error = refused(
        catalogue, lambda uow: releases.approve_release(uow, proposed, by=reviewer), ReleaseError
    )
    assert error.code == "release-state"


def test_a_hold_placed_by_hand_takes_two_as_well(catalogue, office, keepers, film):
    own = place(catalogue, f"township:{office.township}", recording_id=film(0))
    county = place(catalogue, "county", recording_id=film(100))
    for hold, first, second in ((own, "head", "first"), (county, "first", "second")):
        with catalogue.write() as uow:
            proposed = releases.propose_for_hold(uow, hold, "查毕", by=keepers[first]).id
        refused(
            catalogue,
            lambda uow, one=proposed, by=keepers[first]: releases.approve_release(uow, one, by=by),
            ReleaseError,
        )
        assert approve(catalogue, proposed, keepers[second]) == ReleaseState.APPROVED
        refused(
            catalogue,
            lambda uow, one=hold, by=keepers[first]: releases.propose_for_hold(
                uow, one, "x", by=by
            ),
            ConflictError,
        )
    assert standing(catalogue) == 0


def test_a_hold_of_a_proceeding_is_not_ended_by_itself(catalogue, keepers, seized, brought):
    complaint = brought(case_id=seized[0])
    answer(catalogue, complaint, keepers["head"])
    with catalogue.read() as session:
        [hold] = proceedings.holds_of(session, complaint)
    for name in ("head", "first"):
        refused(
            catalogue,
            lambda uow, by=keepers[name]: releases.propose_for_hold(uow, hold.id, "x", by=by),
            NotEntitledError,
        )


def test_whom_a_hold_by_hand_concerns_neither_proposes_nor_approves(
    catalogue, office, keepers, seized
):
    case, action, recording = seized
    with catalogue.write() as uow:
        case_file.take_part(uow, case, Part.DECIDES, keepers["head"].id, actor=WHO)
    authority = f"township:{office.township}"
    for on in (
        {"case_id": case},
        {"action_id": action},
        {"party": "孙某", "township": office.township},
    ):
        hold = place(catalogue, authority, **on)
        refused(
            catalogue,
            lambda uow, one=hold: releases.propose_for_hold(uow, one, "x", by=keepers["head"]),
            ConcernedError,
        )
        with catalogue.write() as uow:
            proposed = releases.propose_for_hold(uow, hold, "x", by=keepers["deputy"]).id
        refused(
            catalogue,
            lambda uow, one=proposed: releases.approve_release(uow, one, by=keepers["head"]),
            ConcernedError,
        )
    on_footage = place(catalogue, authority, recording_id=recording)
    filmed = as_role(office.first, Role.HEAD, office)
    took_part = as_role(office.second, Role.HEAD, office)
    for by in (filmed, took_part):
        refused(
            catalogue,
            lambda uow, by=by: releases.propose_for_hold(uow, on_footage, "x", by=by),
            ConcernedError,
        )


def test_where_it_concerns_every_head_two_reviewers_do_it(catalogue, office, keepers, seized):
    case = seized[0]
    hold = place(catalogue, f"township:{office.township}", case_id=case)
    step = lambda uow: releases.propose_for_hold(uow, hold, "x", by=keepers["first"])  # noqa: E731
    refused(catalogue, step, NotEntitledError)
    with catalogue.write() as uow:
        case_file.take_part(uow, case, Part.DECIDES, keepers["head"].id, actor=WHO)
        deputy = people.account_by_username(uow.session, "deputy")
        people.set_disabled(uow, deputy.id, disabled=True, actor=WHO)
    with catalogue.read() as session:
        assert concerns.list_heads(session, office.township) == {keepers["head"].id}
    with catalogue.write() as uow:
        proposed = step(uow).id
    assert approve(catalogue, proposed, keepers["second"]) == ReleaseState.APPROVED


def test_a_proposal_is_rejected_or_withdrawn_with_a_reason_and_the_hold_stays(
    catalogue, keepers, film
):
    hold = place(catalogue, "county", recording_id=film(0))
    first, second = keepers["first"], keepers["second"]
    for step, by, other, act in (
        (releases.reject_release, second, first, "hold.release.reject"),
        (releases.withdraw_release, first, second, "hold.release.withdraw"),
    ):
        with catalogue.write() as uow:
            proposed = releases.propose_for_hold(uow, hold, "查毕", by=first).id
        again = lambda uow: releases.propose_for_hold(uow, hold, "再", by=second)  # noqa: E731
        refused(catalogue, again, ConflictError)  # one at a time
        refused(
            catalogue, lambda uow, s=step, p=proposed, o=other: s(uow, p, "x", by=o), ReleaseError
        )
        refused(
            catalogue, lambda uow, s=step, p=proposed, b=by: s(uow, p, " ", by=b), ConflictError
        )
        with catalogue.write() as uow:
            step(uow, proposed, "尚需调阅", by=by)
        [entry] = entries(catalogue, f"hold:{hold}", act)
        assert entry.details["reason"] == "尚需调阅"
        refused(
            catalogue,
            lambda uow, p=proposed: releases.approve_release(uow, p, by=second),
            ReleaseError,
        )
    assert standing(catalogue) == 1


def test_a_proposal_is_void_when_more_is_held_than_it_was_about(
    catalogue, keepers, seized, brought, film, now
):
    complaint = brought(case_id=seized[0], since=now, until=now + timedelta(seconds=5))
    answer(catalogue, complaint, keepers["head"])
    old, late = propose(catalogue, complaint, keepers["head"]), film(10)
    with catalogue.write() as uow:  # linked after it was proposed: held, and nobody looked at it
        cases.link_by_hand(uow, seized[1], late, actor=WHO)
    assert approve(catalogue, old, keepers["first"]) == ReleaseState.VOID
    assert standing(catalogue) > 0
    assert [
        one.outcome for one in entries(catalogue, f"proceeding:{complaint}", "hold.release")
    ] == ["refused"]
    refused(
        catalogue, lambda uow: releases.approve_release(uow, old, by=keepers["first"]), ReleaseError
    )
    assert approve(catalogue, propose(catalogue, complaint, keepers["head"]), keepers["first"]) == (
        ReleaseState.APPROVED
    )


def test_a_void_proposal_makes_way_for_a_new_one(catalogue, keepers, seized, film):
    hold, late = place(catalogue, "county", action_id=seized[1]), film(10)
    with catalogue.write() as uow:
        old = releases.propose_for_hold(uow, hold, "查毕", by=keepers["first"]).id
        cases.link_by_hand(uow, seized[1], late, actor=WHO)
    with catalogue.write() as uow:
        new = releases.propose_for_hold(uow, hold, "再查", by=keepers["second"]).id
    with catalogue.read() as session:
        assert releases.get_release(session, old).state == ReleaseState.VOID
    assert entries(catalogue, f"hold:{hold}", "hold.release.void")
    assert approve(catalogue, new, keepers["first"]) == ReleaseState.APPROVED


def test_a_proposal_is_void_when_its_proposer_turns_out_to_be_concerned(
    catalogue, keepers, seized, brought
):
    complaint = brought(case_id=seized[0])
    answer(catalogue, complaint, keepers["head"])
    proposed = propose(catalogue, complaint, keepers["head"])
    with catalogue.write() as uow:
        case_file.take_part(uow, seized[0], Part.DECIDES, keepers["head"].id, actor=WHO)
    assert approve(catalogue, proposed, keepers["first"]) == ReleaseState.VOID
    assert standing(catalogue) == 1


def test_an_officer_complained_about_takes_no_footage_out_of_the_hold(
    catalogue, office, keepers, seized, brought
):
    case, action, recording = seized
    complaint = brought(case_id=case)
    with catalogue.read() as session:
        [exhibit] = case_queries.list_exhibits(session, action)
    for who in (office.first, office.second):
        refused(
            catalogue,
            lambda uow, w=who: cases.reject_exhibit(uow, exhibit.id, actor=f"person:{w.id}"),
            InvolvedError,
        )
    with catalogue.read() as session:
        assert proceedings.list_held_recordings(session, complaint) == [recording]
    with catalogue.write() as uow:  # somebody whom it does not concern corrects a wrong link
        cases.reject_exhibit(uow, exhibit.id, actor=f"person:{office.helper.id}")


def test_a_link_that_takes_nothing_out_of_a_hold_is_rejected_as_ever(
    catalogue, office, seized, brought
):
    _case, action, recording = seized
    with catalogue.read() as session:
        [exhibit] = case_queries.list_exhibits(session, action)
    place(catalogue, "county", recording_id=recording)  # holds it by itself
    with catalogue.write() as uow:
        cases.reject_exhibit(uow, exhibit.id, actor=f"person:{office.second.id}")


def test_no_proposal_of_this_name(catalogue, keepers):
    with pytest.raises(NotFoundError), catalogue.write() as uow:
        releases.approve_release(uow, "nothing", by=keepers["first"])
    with pytest.raises(NotFoundError), catalogue.write() as uow:
        releases.propose_for_hold(uow, "nothing", "x", by=keepers["first"])
