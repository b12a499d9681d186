"""The officer register: lists read whole or not at all, and certificates judged by the day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from api.office.reports.register_csv import read_register
from api.problems import ApiError
from storage.catalogue.log.custody_log import LogReader
from storage.catalogue.people import people, register
from storage.catalogue.people.register_import import Change, carry_out, plan_import
from storage.errors import ConflictError
from tests.office import Desk

HEAD = "姓名,人员类别,执法证号,执法类别,所属单位,乡镇,有效期起,有效期止,记录仪警号,专职\n"
ZHAO = "赵六,执法人员,E001,综合行政执法,执法队,兴隆镇,2024-01-01,2028-02-29,000777,是\n"
QIAN = "钱七,辅助人员,,,执法队,兴隆镇,,,,否\n"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk.set_up(tmp_path_factory.mktemp("office"))
    yield desk
    desk.office.close()


def imported(desk, text):
    with desk.office.catalogue.write() as uow:
        return carry_out(uow, read_register(text.encode()), actor="system")


def who(desk, name):
    with desk.office.catalogue.read() as session:
        return [row for row in people.list_persons(session) if row.name == name]


def test_a_list_is_planned_before_it_is_carried_out(desk):
    listed = read_register((HEAD + ZHAO + QIAN).encode("utf-8-sig"))
    with desk.office.catalogue.read() as session:
        before = LogReader(session).size
        assert [one.change for one in plan_import(session, listed)] == [Change.NEW, Change.NEW]
        assert LogReader(session).size == before
    assert who(desk, "赵六") == []
    assert [one.change for one in imported(desk, HEAD + ZHAO + QIAN)] == [Change.NEW, Change.NEW]
    assert [one.change for one in imported(desk, HEAD + ZHAO + QIAN)] == [Change.SAME, Change.SAME]
    (zhao,) = who(desk, "赵六")
    assert (zhao.full_time, zhao.certificate_no) == (True, "000777")


def test_gb_18030_is_read_as_well():
    assert read_register((HEAD + ZHAO).encode("gb18030"))[0].name == "赵六"


def test_whoever_is_renamed_keeps_his_id(desk):
    imported(desk, HEAD + ZHAO)
    (before,) = who(desk, "赵六")
    (changed,) = imported(desk, HEAD + ZHAO.replace("赵六", "赵陆"))
    assert (changed.change, changed.fields) == (Change.CHANGED, ("name",))
    (after,) = who(desk, "赵陆")
    assert after.id == before.id
    imported(desk, HEAD + ZHAO)


def test_two_of_one_name_are_told_apart_by_their_certificates(desk):
    two = ZHAO.replace("E001", "E101").replace("000777", "000801")
    other = ZHAO.replace("E001", "E102").replace("000777", "000802")
    two, other = two.replace("赵六", "李伟"), other.replace("赵六", "李伟")
    imported(desk, HEAD + two + other)
    assert len({row.id for row in who(desk, "李伟")}) == 2
    nameless = "李伟,执法人员,,,执法队,兴隆镇,,,,\n"
    with pytest.raises(ConflictError, match="several persons"):
        imported(desk, HEAD + nameless)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (ZHAO.replace("2028-02-29", "2027-02-29"), "valid_to"),
        (ZHAO.replace("2028-02-29", "2023-02-28"), "valid_to"),
        (ZHAO.replace("执法人员", "保安"), "kind"),
        (ZHAO.replace("赵六", "=HYPERLINK(1)"), "name"),
        (ZHAO.replace("赵六", ""), "name"),
        (ZHAO.replace("是", "也许"), "full_time"),
        (ZHAO.replace("执法人员", "辅助人员"), "certificate"),
        (ZHAO.replace("赵六", "赵" * 300), "name"),
        (ZHAO + ZHAO, "certificate"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(line, column):
    with pytest.raises(ApiError) as refused:
        read_register((HEAD + line).encode())
    assert refused.value.code == "register"
    assert [(row, name) for row, name, _zh, _en in refused.value.facts["mistakes"]][-1][1] in {
        column,
        "recorder_no",
    }
    assert refused.value.facts["mistakes"][0][0] >= 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        ("姓名,姓名\n" + "a,b\n").encode(),
        "姓名,血型\n".encode(),
        "姓名\n赵六\n".encode(),
        b"\xff\xfe\x00\x01",
        b'"' + b"x" * 2_000_000,
    ],
)
def test_what_is_no_list_is_refused(data):
    with pytest.raises(ApiError, match="register"):
        read_register(data)


def test_one_wrong_line_among_good_ones_changes_nothing(desk):
    taken = ZHAO.replace("赵六", "孙八").replace("E001", "E900").replace("000777", "000123")
    good = QIAN.replace("钱七", "周九")
    with pytest.raises(ConflictError, match="another person"):
        imported(desk, HEAD + good + taken)  # 000123 is zhang's recorder number
    assert who(desk, "周九") == []


DAY = date(2028, 2, 29)


@pytest.mark.parametrize(
    ("day", "certified", "why"),
    [
        (date(2023, 12, 31), False, "not-yet-valid"),
        (date(2024, 1, 1), True, ""),
        (DAY, True, ""),
        (DAY + timedelta(days=1), False, "expired"),
    ],
)
def test_a_certificate_counts_from_its_first_day_to_its_last(desk, day, certified, why):
    imported(desk, HEAD + ZHAO)
    (zhao,) = who(desk, "赵六")
    noon = datetime(day.year, day.month, day.day, 4, 0, tzinfo=UTC)
    with desk.office.catalogue.read() as session:
        found = register.judge_qualification(session, zhao, noon)
    assert (found.certified, found.why) == (certified, why)


def test_a_revoked_certificate_counts_no_more_that_very_day(desk):
    imported(desk, HEAD + ZHAO.replace("E001", "E500").replace("000777", "000555"))
    with desk.office.catalogue.write() as uow:
        register.end_certificate(uow, "E500", on=date(2026, 5, 1), why="revoked", actor="system")
    with desk.office.catalogue.read() as session:
        held = register.find_certificate(session, "E500")
        assert held is not None
        assert register.qualified_by([held], date(2026, 4, 30)).certified
        assert register.qualified_by([held], date(2026, 5, 1)).why == "revoked"
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        register.end_certificate(uow, "E500", on=date(2026, 6, 1), why="revoked", actor="system")


def test_a_recorder_is_registered_once_and_had_by_one_at_a_time(desk):
    imported(desk, HEAD + "吴十,执法人员,E600,,执法队,兴隆镇,,,000666,是\n")
    (zhao,) = who(desk, "吴十")
    now = datetime(2026, 3, 1, tzinfo=UTC)
    facts = {"kind": "recorder", "family": "f", "label": "l", "township": "t", "actor": "system"}
    with desk.office.catalogue.write() as uow:
        people.add_source(uow, serial="R77", **facts)
        register.assign_source(uow, "R77", zhao.id, since=now, actor="system")
        register.assign_source(
            uow, "R77", desk.persons["li"], since=now + timedelta(days=2), actor="system"
        )
    with pytest.raises(ConflictError), desk.office.catalogue.write() as uow:
        people.add_source(uow, serial="R77", **facts)
    with desk.office.catalogue.read() as session:
        days = [register.find_holder(session, "R77", now + timedelta(days=n)) for n in (-1, 1, 3)]
    assert days == [None, zhao.id, desk.persons["li"]]
