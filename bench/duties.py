"""What is due, over 1,500 and over 20,000 open cases, on SQLite and on PostgreSQL.

A page must cost no more the more cases there are. Beside it stands what it took to judge every
case at each request, as it was before duties were stored. Rows are made past the log, straight
into the tables of the migrations; of every case one action and one document, and a complaint for
every tenth.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import insert
from sqlalchemy.orm import Session

from api.office.reports import duty_list
from api.office.system import clock, entropy
from api.office.wiring import Office
from bench.result import Result, unmeasured, within
from policies.duties import EARLIEST, Asking, derive_duties, in_order
from policies.facts.stages import ActionKind, Stage
from policies.facts.terms import DocumentKind, ProceedingKind
from policies.rules.rulebook import load_rulebook
from storage.catalogue.cases import case_file, cases
from storage.catalogue.cases.tables import DocumentRow, ProceedingRow
from storage.catalogue.holds.proceedings import list_proceedings
from storage.catalogue.oversight.duties import township_days
from storage.catalogue.oversight.tables import DutyBasisRow
from storage.catalogue.people import people
from storage.catalogue.reading.rule_facts import case_facts_of, proceeding_facts
from storage.catalogue.tables import ActionOfficerRow, ActionRow, CaseRow, PersonRow
from storage.catalogue.unit_of_work import Catalogue
from tests.servers import postgres
from tests.servers.database import BY_BYTES

SIZES = (1_500, 20_000)
LIMIT_MS = 200.0
GROWTH = 2.0  # how much more a page may cost with thirteen times as many cases
TOWNSHIPS = 20
_PAGE = 50
_RUNS = 15
AT = datetime(2026, 6, 1, 4, tzinfo=UTC)


def measure(folder: Path) -> Iterator[Result]:
    """Yield each question at both sizes: against the limit, and the larger over the smaller."""
    yield from _of("SQLite", lambda size: f"sqlite:///{folder}/duties-{size}.sqlite")
    if postgres.binaries() is None:
        yield unmeasured("duties, PostgreSQL", "no PostgreSQL here: install postgresql")
        return
    server = postgres.Postgres(folder / "postgres-duties")
    try:
        server.found()
        yield from _of("PostgreSQL", lambda _size: server.create("template0", BY_BYTES))
    finally:
        server.stop()


def _of(database: str, made: Callable[[int], str]) -> Iterator[Result]:
    found = []
    for size in SIZES:
        url = made(size)
        catalogue = Catalogue(url, clock, entropy)
        catalogue.migrate_tables(new=True)
        _fill(catalogue, size)
        # All that the list asks of an office.
        office = cast(
            "Office",
            SimpleNamespace(catalogue=catalogue, rulebook=load_rulebook(), clock=lambda: AT),
        )
        found.append(_timed(office))
        catalogue.close()
    small, large = found
    few, many = SIZES
    for what, ms in large.items():
        note = f"{many:,} cases: {ms:.1f} ms; {few:,}: {small[what]:.1f} ms"
        name = f"{database}: {what}"
        if what not in _JUDGED:
            yield Result(name, f"{ms:.0f} ms", "", ms, None, note)
            continue
        yield within(name, ms, LIMIT_MS, "ms", note)
        grown = ms / small[what]
        yield Result(f"  {many:,} over {few:,}", f"{grown:.2f} x", "", grown, GROWTH, at_most=True)


FIRST, NEXT, TOWN, CHANGED, COUNTED = (
    "first page",
    "page from the middle",
    "a township's page",
    "first page after a change",
    "how many are overdue",
)
_JUDGED = (FIRST, NEXT, TOWN, CHANGED)


def _timed(office: Office) -> dict[str, float]:
    """Return milliseconds of each question. Raises: RuntimeError when an answer is not right."""
    catalogue = office.catalogue
    times: dict[str, float] = {}
    took = time.perf_counter()
    wanted = _anew(office)
    times["every case judged, as before"] = (time.perf_counter() - took) * 1e3
    took = time.perf_counter()
    first = duty_list.read_duty_page(office, at=AT, limit=_PAGE)
    duty_list.store_judgements(office, first.judgements)
    times["judged and stored for the first time"] = (time.perf_counter() - took) * 1e3
    took = time.perf_counter()
    listed = list(duty_list.iterate_duties(office, AT))
    times["the whole list, as a calendar has it"] = (time.perf_counter() - took) * 1e3
    if listed != [one for one in wanted if one.done_at is None] or len(listed) < _PAGE:
        raise RuntimeError(len(listed), len(wanted))
    half = duty_list.rank_duty(listed[len(listed) // 2])
    towns = iter(range(10**9))
    with catalogue.read() as session:
        case = cases.list_cases(session)[0].id

    def changed() -> None:
        with catalogue.write() as uow:
            case_file.enter_document(
                uow, case, DocumentKind.SITE_RECORD, number="1", at=AT, actor="system"
            )

    def page(**only: Any) -> None:
        duty_list.store_judgements(
            office, duty_list.read_duty_page(office, at=AT, limit=_PAGE, **only).judgements
        )

    times[FIRST] = _median(page)
    times[NEXT] = _median(lambda: page(after=half))
    times[TOWN] = _median(lambda: page(township=_township(next(towns) % TOWNSHIPS)))
    times[CHANGED] = _median(page, before=changed)
    times[COUNTED] = _median(lambda: duty_list.count_overdue(office, AT))
    return times


def _anew(office: Office) -> list[Any]:
    """Judge everything there is, and put it in order."""
    asking, judged = Asking(office.rulebook), list[Any]()
    with office.catalogue.read() as session:
        for row in cases.list_cases(session):
            facts = case_facts_of(session, row.id, AT)
            judged += [facts, *facts.actions]
        judged += [proceeding_facts(row, AT) for row in list_proceedings(session)]
        judged += township_days(session, people.list_townships(session), AT)
    return list(
        in_order(
            one
            for facts in judged
            for one in derive_duties(asking.find_clocked_rules(facts), facts, AT)
        )
    )


def _median(act: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    act()
    found = []
    for _ in range(_RUNS):
        before()
        began = time.perf_counter()
        act()
        found.append((time.perf_counter() - began) * 1e3)
    return statistics.median(found)


def _township(number: int) -> str:
    return f"T{number}"


def _id(kind: int, number: int) -> str:
    return f"00000000-000{kind}-7000-8000-{number:012}"


def _fill(catalogue: Catalogue, size: int) -> None:
    officers = [_person(number) for number in range(5 * TOWNSHIPS)]
    kinds = (ActionKind.SEIZURE, ActionKind.INSPECTION, ActionKind.INTERVIEW)
    rows: dict[type[Any], list[dict[str, Any]]] = {PersonRow: officers}
    rows |= {one: [] for one in (CaseRow, ActionRow, ActionOfficerRow, DocumentRow, ProceedingRow)}
    for number in range(size):
        opened, town = AT - timedelta(hours=number % 4000), _township(number % TOWNSHIPS)
        plain = {"id": _id(1, number), "township": town, "number": f"案{number}"}
        rows[CaseRow].append(
            plain
            | {
                "title": "占道经营",
                "party": "孙某",
                "stage": Stage.INVESTIGATION.value,
                "opened_at": opened,
                "filed_at": opened,
                "features": [],
            }
        )
        rows[ActionRow].append(
            {
                "id": _id(2, number),
                "case_id": plain["id"],
                "kind": kinds[number % 3].value,
                "stage": Stage.INVESTIGATION.value,
                "place": "街口",
                "start_at": opened,
                "end_at": opened + timedelta(minutes=20),
                "status": "open",
            }
        )
        rows[ActionOfficerRow].append(
            {"action_id": _id(2, number), "person_id": officers[number % len(officers)]["id"]}
        )
        rows[DocumentRow].append(
            {
                "id": _id(3, number),
                "case_id": plain["id"],
                "kind": DocumentKind.FILING_FORM.value,
                "number": "1",
                "at": opened,
                "entered_by": "system",
            }
        )
        if number % 10 == 0:
            rows[ProceedingRow].append(
                plain
                | {
                    "id": _id(4, number),
                    "kind": ProceedingKind.COMPLAINT.value,
                    "about": "粗暴",
                    "brought_by": "孙某",
                    "summary": False,
                    "place": "",
                    "received_at": opened,
                }
            )
    subjects = [f"case:{one['id']}" for one in rows[CaseRow]]
    subjects += [f"proceeding:{one['id']}" for one in rows[ProceedingRow]]
    subjects += [f"township:{_township(number)}" for number in range(TOWNSHIPS)]
    basis = {"version": 0, "standard": "", "first": EARLIEST, "until": EARLIEST}
    rows[DutyBasisRow] = [{"subject": one} | basis for one in subjects]
    with Session(catalogue._engine) as session, session.begin():  # noqa: SLF001 - past the log
        for table, values in rows.items():
            session.execute(insert(table), values)


def _person(number: int) -> dict[str, Any]:
    return {
        "id": _id(5, number),
        "name": f"甲{number}",
        "kind": "officer",
        "unit": "队",
        "township": _township(number % TOWNSHIPS),
        "full_time": True,
    }
