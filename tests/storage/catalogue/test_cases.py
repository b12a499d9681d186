"""From a case to a closed action: linking, refusing with every gap, moving on."""

from datetime import timedelta
from pathlib import Path

import pytest

from api.office.samples import sample_case
from policies.facts.findings import Severity
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import DocumentKind, Part
from policies.rules import rulebook
from storage.catalogue.cases import case_file, cases
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.people import people, register
from storage.catalogue.recordings import recording_search, recordings
from storage.catalogue.recordings.recording_search import RecordingFilter
from storage.catalogue.recordings.recordings import Answers
from storage.errors import ConflictError, NotFoundError
from storage.recording import MediaKind

WHO = "person:p1"


@pytest.fixture(scope="session")
def rules():
    return rulebook.load_rulebook(Path(rulebook.SHIPPED))


@pytest.fixture
def seizure(catalogue, office, now):
    """A seizure of two minutes by two officers, in the stage of investigation."""
    with catalogue.write() as uow:
        case = cases.open_case(
            uow,
            number="兴综执〔2026〕1号",
            title="违法占地",
            party="某砂石厂",
            township=office.township,
            stage=Stage.INVESTIGATION,
            actor=WHO,
        )
        action = cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.SEIZURE,
            place="厂区",
            start_at=now,
            end_at=now + timedelta(seconds=120),
            officers=[office.first.id, office.second.id],
            actor=WHO,
        )
        sample_case.mark_moments(uow, action.id, actor=WHO)
        sample_case.file_documents(uow, action.id, actor=WHO)
        return action


@pytest.fixture
def record(catalogue, new, now):
    """Accession footage of one officer's recorder between two seconds of the action."""

    def make(serial, officer_no, start, stop, **given):
        with catalogue.write() as uow:
            return recordings.accession_recordings(
                uow,
                new(
                    f"{serial} {start}".encode(),
                    serial=serial,
                    officer_no=officer_no,
                    start_at=now + timedelta(seconds=start),
                    duration_s=float(stop - start),
                    **given,
                ),
            )[0]

    return make


def propose_and_confirm(catalogue, action):
    with catalogue.write() as uow:
        proposed = cases.propose_exhibits(uow, action.id, actor=WHO)
    with catalogue.write() as uow:
        for row in proposed:
            cases.confirm_exhibit(uow, row.id, actor="person:p2")
    return proposed


def close(catalogue, action, rules):
    with catalogue.write() as uow:
        return cases.close_action(uow, action.id, rules, actor=WHO)


def status(catalogue, action):
    with catalogue.read() as session:
        return cases.get_action(session, action.id).status


def last_event(catalogue, subject):
    with catalogue.read() as session:
        return LogReader(session).events_of(subject)[-1]


def test_a_seizure_with_a_gap_stays_open_and_the_refusal_names_it(
    catalogue, seizure, record, rules, now
):
    record("R1", "001", -10, 60)
    propose_and_confirm(catalogue, seizure)
    verdict = close(catalogue, seizure, rules)
    (blocking,) = [finding for finding in verdict.findings if finding.blocks]
    assert (blocking.severity, blocking.basis.article) == (Severity.BLOCKS, "第八条")
    (gap,) = blocking.gaps
    assert (gap.span.start, gap.span.end) == (
        now + timedelta(seconds=60),
        now + timedelta(seconds=120),
    )
    assert status(catalogue, seizure) == "open"
    event = last_event(catalogue, f"action:{seizure.id}")
    assert (event.act, event.outcome) == ("action.close", "refused")
    assert event.details["verdict"]["allowed"] is False
    assert "rows" not in event.details


def test_the_second_officers_recorder_fills_the_gap_and_the_seizure_closes(
    catalogue, seizure, record, rules
):
    record("R1", "001", -10, 60)
    propose_and_confirm(catalogue, seizure)
    assert not close(catalogue, seizure, rules).allowed
    record("R2", "002", 50, 130)
    assert len(propose_and_confirm(catalogue, seizure)) == 1
    assert close(catalogue, seizure, rules).allowed
    assert status(catalogue, seizure) == "closed"
    event = last_event(catalogue, f"action:{seizure.id}")
    assert event.outcome == "success"
    assert event.details["rows"][0]["state"]["status"] == "closed"


def test_what_is_only_proposed_does_not_count(catalogue, seizure, record, rules):
    record("R1", "001", -10, 130)
    with catalogue.write() as uow:
        cases.propose_exhibits(uow, seizure.id, actor=WHO)
    verdict = close(catalogue, seizure, rules)
    assert not verdict.allowed
    (gap,) = next(finding for finding in verdict.findings if finding.blocks).gaps
    assert gap.nearest is not None


def test_footage_without_sound_does_not_close_a_seizure(catalogue, seizure, record, rules):
    record("R1", "001", -10, 130, has_audio=False)
    propose_and_confirm(catalogue, seizure)
    assert not close(catalogue, seizure, rules).allowed


def test_doubtful_and_missing_spans_reach_the_rules(catalogue, seizure, record):
    record(
        "R1",
        "001",
        0,
        120,
        video_gaps=((3.0, 4.0),),
        audio_gaps=((5.0, 6.5),),
        inspection=[
            {"kind": "black", "start_s": 7.0, "end_s": 8.0, "weight": "doubt", "detail": {}},
            {"kind": "torn", "start_s": 9.0, "end_s": None, "weight": "doubt", "detail": {}},
            {"kind": "gap", "start_s": 3.0, "end_s": 4.0, "weight": "fact", "detail": {}},
        ],
    )
    propose_and_confirm(catalogue, seizure)
    with catalogue.read() as session:
        facts = cases.facts_of(session, seizure.id)
    (footage,) = facts.footage
    assert footage.missing_video == ((3.0, 4.0),)
    assert footage.missing_audio == ((5.0, 6.5),)
    assert footage.doubtful == ((7.0, 8.0, "black"), (9.0, 120.0, "torn"))
    assert [officer.certified for officer in facts.officers] == [True, True]


def test_a_closed_action_is_settled(catalogue, seizure, record, rules, now):
    record("R1", "001", -10, 130)
    (row,) = propose_and_confirm(catalogue, seizure)
    assert close(catalogue, seizure, rules).allowed
    late = [
        lambda uow: cases.close_action(uow, seizure.id, rules, actor=WHO),
        lambda uow: cases.set_action_end(uow, seizure.id, now + timedelta(hours=1), actor=WHO),
        lambda uow: cases.reject_exhibit(uow, row.id, actor=WHO),
        lambda uow: cases.propose_exhibits(uow, seizure.id, actor=WHO),
        lambda uow: cases.link_by_hand(uow, seizure.id, row.recording_id, actor=WHO),
    ]
    for act in late:
        with pytest.raises(ConflictError), catalogue.write() as uow:
            act(uow)


def test_a_rejected_recording_is_not_proposed_again(catalogue, seizure, record):
    record("R1", "001", -10, 130)
    with catalogue.write() as uow:
        (row,) = cases.propose_exhibits(uow, seizure.id, actor=WHO)
        cases.reject_exhibit(uow, row.id, actor=WHO)
    with catalogue.write() as uow:
        assert cases.propose_exhibits(uow, seizure.id, actor=WHO) == []
    with catalogue.read() as session:
        facts = cases.facts_of(session, seizure.id)
        assert (facts.footage, facts.nearby) == ((), ())


def test_a_decision_is_not_taken_twice(catalogue, seizure, record):
    record("R1", "001", -10, 130)
    (row,) = propose_and_confirm(catalogue, seizure)
    with pytest.raises(ConflictError), catalogue.write() as uow:
        cases.confirm_exhibit(uow, row.id, actor=WHO)


def test_a_link_stands_in_the_recordings_own_chain(catalogue, seizure, record):
    recording = record("R1", "001", -10, 130)
    (row,) = propose_and_confirm(catalogue, seizure)
    with catalogue.read() as session:
        events = LogReader(session).events_of(f"recording:{recording.id}")
        assert [event.act for event in events] == [
            "recording.accession",
            "exhibit.propose",
            "exhibit.confirm",
        ]
        assert events[-1].details["action"] == seizure.id
        assert [e.id for e in cases.exhibits_of(session, recording.id)] == [row.id]
        page = recording_search.search_recordings(session, RecordingFilter(case=seizure.case_id))
        assert [found.id for found in page] == [recording.id]


def test_strangers_footage_is_not_proposed_but_can_be_linked_by_hand(
    catalogue, seizure, record, now
):
    stranger = record("R9", "009", 20, 40)
    with catalogue.write() as uow:
        assert cases.propose_exhibits(uow, seizure.id, actor=WHO) == []
        row = cases.link_by_hand(uow, seizure.id, stranger.id, actor=WHO)
    assert (row.state, row.how, row.decided_by) == ("confirmed", "hand", WHO)
    assert (row.shown_from, row.shown_to) == (
        now + timedelta(seconds=20),
        now + timedelta(seconds=40),
    )


def test_by_hand_takes_over_what_was_proposed(catalogue, seizure, record):
    recording = record("R1", "001", 0, 60)
    with catalogue.write() as uow:
        (proposed,) = cases.propose_exhibits(uow, seizure.id, actor=WHO)
        linked = cases.link_by_hand(uow, seizure.id, recording.id, actor="person:p2")
    assert (linked.id, linked.state) == (proposed.id, "confirmed")
    with pytest.raises(ConflictError), catalogue.write() as uow:
        cases.link_by_hand(uow, seizure.id, recording.id, actor=WHO)


def test_footage_of_another_time_is_linked_only_with_an_interval(catalogue, seizure, record, now):
    recording = record("R1", "001", 500, 600)
    with pytest.raises(ConflictError), catalogue.write() as uow:
        cases.link_by_hand(uow, seizure.id, recording.id, actor=WHO)
    with catalogue.write() as uow:
        row = cases.link_by_hand(
            uow,
            seizure.id,
            recording.id,
            actor=WHO,
            shown_from=now,
            shown_to=now + timedelta(seconds=10),
        )
    assert row.shown_to == now + timedelta(seconds=10)


def test_a_paper_shows_the_whole_action(catalogue, seizure, record, now):
    paper = record("scanner", None, 5000, 5000, kind=MediaKind.DOCUMENT)
    with catalogue.write() as uow:
        row = cases.link_by_hand(uow, seizure.id, paper.id, actor=WHO)
    assert (row.shown_from, row.shown_to) == (seizure.start_at, seizure.end_at)


def test_footage_of_unknown_time_counts_only_once_it_is_answered(
    catalogue, seizure, new, rules, now
):
    with catalogue.write() as uow:
        (recording,) = recordings.accession_recordings(
            uow, new(start_at=None, duration_s=140.0, questions=("start",))
        )
        cases.link_by_hand(uow, seizure.id, recording.id, actor=WHO)
    assert not close(catalogue, seizure, rules).allowed
    with catalogue.write() as uow:
        answers = Answers(start_at=now - timedelta(seconds=10))
        recordings.answer_questions(uow, recording.id, answers, actor=WHO)
    assert close(catalogue, seizure, rules).allowed


def test_an_officer_is_known_by_number_or_by_the_recorder_in_hand(catalogue, office, new, now):
    with catalogue.write() as uow:
        people.add_source(
            uow,
            serial="R1",
            kind="recorder",
            family="f",
            label="l",
            township=office.township,
            actor=WHO,
        )
        register.assign_source(uow, "R1", office.second.id, actor=WHO, since=now)
        (by_number,) = recordings.accession_recordings(
            uow, new(b"a", officer_no="001", questions=("officer",))
        )
        (by_source,) = recordings.accession_recordings(
            uow, new(b"b", officer_no=None, questions=("officer",))
        )
        (unknown,) = recordings.accession_recordings(
            uow, new(b"c", officer_no="777", questions=("officer",))
        )
    assert (by_number.officer_id, by_number.questions) == (office.first.id, [])
    assert (by_source.officer_id, by_source.questions) == (office.second.id, [])
    assert (unknown.officer_id, unknown.questions) == (None, ["officer"])


def test_an_action_without_an_end_cannot_close(catalogue, seizure, office, rules, now):
    with catalogue.write() as uow:
        action = cases.add_action(
            uow,
            case_id=seizure.case_id,
            kind=ActionKind.SERVICE,
            place="镇政府",
            start_at=now,
            officers=[office.first.id],
            actor=WHO,
        )
    with pytest.raises(ConflictError):
        close(catalogue, action, rules)
    with pytest.raises(ConflictError), catalogue.write() as uow:
        cases.set_action_end(uow, action.id, now, actor=WHO)
    with catalogue.write() as uow:
        cases.set_action_end(uow, action.id, now + timedelta(minutes=1), actor=WHO)
    assert close(catalogue, action, rules).allowed


def test_a_case_leaves_its_stage_when_its_actions_are_closed(
    catalogue, office, seizure, record, rules
):
    def move(stage):
        with catalogue.write() as uow:
            return cases.move_case(uow, seizure.case_id, stage, rules, actor=WHO)

    refused = move(Stage.REVIEW)
    assert (refused.reason, refused.open_actions) == ("open-actions", (seizure.id,))
    assert last_event(catalogue, f"case:{seizure.case_id}").outcome == "refused"
    record("R1", "001", -10, 130)
    propose_and_confirm(catalogue, seizure)
    close(catalogue, seizure, rules)
    assert move(Stage.EXECUTION).reason == "not-a-next-stage"
    with catalogue.write() as uow:
        case_file.take_part(uow, seizure.case_id, Part.HANDLES, office.first.id, actor=WHO)
    refused = move(Stage.REVIEW)
    assert [f.rule for f in refused.verdict.findings if f.blocks] == ["xl-08-evidence-recorded"]
    with catalogue.write() as uow:
        kind = DocumentKind.SITE_RECORD
        case_file.enter_document(uow, seizure.case_id, kind, number="1", at=uow.at, actor=WHO)
    assert move(Stage.REVIEW).allowed
    assert last_event(catalogue, f"case:{seizure.case_id}").details["before"] == "investigation"


def test_a_closed_case_takes_no_more_actions(catalogue, office, now, rules):
    with catalogue.write() as uow:
        case = cases.open_case(
            uow, number="2", title="t", party="p", township=office.township, actor=WHO
        )
        assert cases.move_case(uow, case.id, Stage.CLOSING, rules, actor=WHO).allowed
    assert case.closed_at is not None
    with pytest.raises(ConflictError), catalogue.write() as uow:
        cases.add_action(
            uow,
            case_id=case.id,
            kind=ActionKind.OTHER,
            place="x",
            start_at=now,
            officers=[],
            actor=WHO,
        )


def test_cases_are_found_by_place_party_and_words(catalogue, seizure, office):
    with catalogue.read() as session:
        assert [c.id for c in cases.list_cases(session, text="砂石")] == [seizure.case_id]
        assert cases.list_cases(session, township="别处") == []
        assert len(cases.list_cases(session, party="某砂石厂", township=office.township)) == 1
        assert [a.id for a in cases.list_actions(session, seizure.case_id)] == [seizure.id]
        assert {p.id for p in cases.list_officers(session, seizure.id)} == {
            office.first.id,
            office.second.id,
        }


def test_a_number_names_one_case(catalogue, seizure):
    with pytest.raises(ConflictError), catalogue.write() as uow:
        cases.open_case(
            uow, number="兴综执〔2026〕1号", title="t", party="p", township="t", actor=WHO
        )


def test_what_is_not_there_is_not_found(catalogue, now):
    with catalogue.read() as session:
        for look in (cases.get_case, cases.get_action, cases.get_exhibit):
            with pytest.raises(NotFoundError):
                look(session, "nothing")


def test_retention_only_grows(catalogue, record, now):
    recording = record("R1", "001", 0, 60)
    with catalogue.write() as uow:
        assert (
            recordings.extend_retention(
                uow, recording.id, now, actor=WHO, reason="link"
            ).retain_until
            == recording.retain_until
        )
        longer = recording.retain_until + timedelta(days=365)
        recordings.extend_retention(uow, recording.id, longer, actor=WHO, reason="link")
    with catalogue.read() as session:
        assert recordings.by_id(session, recording.id).retain_until == longer
        assert len(LogReader(session).events_of(f"recording:{recording.id}")) == 2
