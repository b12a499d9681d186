"""What is due: every duty with a clock, of cases, actions, proceedings and townships, as one list.

Which rules are in force is the rulebook's to say, how a duty stands `policies/duties.py`'s. What
was judged is stored (`storage/catalogue/oversight/duties.py`); whatever is stale there is judged
for the answer, which waits for nobody, and stored when the answer is out.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.office.wiring import Office
from policies.duties import Duty, DutyState, Place, rank_duty
from storage.catalogue.log import refused_time
from storage.catalogue.oversight import duties
from storage.catalogue.oversight.duties import BATCH, DutyJudgement
from storage.catalogue.unit_of_work import View
from storage.custody.entries.subjects import CLOCK
from storage.errors import (
    CatalogueBusyError,
    CatalogueUnavailableError,
    LogClockError,
    StorageFullError,
)

LOG = logging.getLogger("liuhen.duties")
_DOUBT = (
    "数据库与监管链日志不一致,或者自动核查发现问题:保护现场,查明原因,再全面核验",
    "rows differ from the log, or a check failed: find out why, then verify everything",
)
_CLOCK = (
    "服务器时钟早于监管链日志的最后一条,不能写入:核对标准时间,校准时钟",
    "the clock is behind the log, and nothing is written: compare it with a true one",
)


@dataclass(frozen=True, slots=True)
class DutyPage:
    """Some duties as they stood `at`, the most pressing first; `last` is None on the last page.

    `judged` is what had to be judged for it: `keep` stores that.
    """

    duties: tuple[Duty, ...]
    at: datetime
    last: Place | None
    judgements: tuple[DutyJudgement, ...]


def read_duty_page(
    office: Office,
    *,
    at: datetime,
    limit: int,
    township: str | None = None,
    after: Place | None = None,
    include_done: bool = False,
) -> DutyPage:
    """Return a page of what is due in a township (None: in all) at a moment; an alarm comes first.

    All pages of one list are asked for with one `at`, the first page's: the order moves with time.
    """
    standard = duties.standard_of(office.rulebook)
    # In its own transactions: after a change of rules thousands are stale, too many to judge within
    # one answer.
    _catch_up(office, standard, at)
    with office.catalogue.read() as session:
        # Judged and listed in one transaction: what is stale there is known to be all.
        judgements = tuple(_judge_stale(office, session, standard, at))
        rows = duties.list_duties(
            session,
            standard,
            at,
            township=township,
            after=after,
            limit=limit + 1,
            include_done=include_done,
            judgements=judgements,
        )
        # On the first page alone: pages that follow go on behind a place, and an alarm has none.
        alarms = list(_list_alarms(office, session, at)) if after is None else []
    last = rank_duty(rows[limit - 1]) if len(rows) > limit else None
    return DutyPage((*alarms, *rows[:limit]), at, last, judgements)


def _list_alarms(office: Office, session: View, at: datetime) -> Iterator[Duty]:
    """Yield immediate duties: to investigate an integrity doubt or a wrong clock."""
    if (doubt := refused_time.find_doubt(session)) is not None:
        yield _build_alarm(office, doubt.subject, refused_time.doubt_code(doubt), doubt.at, _DOUBT)
    # By today's clock, not by the list's moment: a wrong clock is wrong now.
    if refused_time.log_ahead(session, office.clock()) is not None:
        yield _build_alarm(office, CLOCK, LogClockError.code, at, _CLOCK)


def _build_alarm(
    office: Office, subject: str, code: str, at: datetime, texts: tuple[str, str]
) -> Duty:
    what_zh, what_en = texts
    return Duty(
        subject=subject,
        township=office.settings.township,
        person=None,
        what_zh=what_zh,
        what_en=what_en,
        rule=code,
        due_at=at,
        done_at=None,
        state=DutyState.OVERDUE,
    )


def iterate_duties(
    office: Office, at: datetime, *, township: str | None = None, include_done: bool = False
) -> Iterator[Duty]:
    """Yield every duty of a township (None: of all), the most pressing first."""
    after: Place | None = None
    while True:
        duty_page = read_duty_page(
            office, at=at, limit=BATCH, township=township, after=after, include_done=include_done
        )
        # Here nobody waits for an answer, so at once: the next page then finds less that is stale.
        store_judgements(office, duty_page.judgements)
        yield from duty_page.duties
        if duty_page.last is None:
            return
        after = duty_page.last


def count_overdue(office: Office, at: datetime) -> int:
    """Return how many duties are overdue in all townships."""
    standard = duties.standard_of(office.rulebook)
    with office.catalogue.read() as session:
        return duties.count_overdue(
            session, standard, at, _judge_stale(office, session, standard, at)
        )


def store_judgements(office: Office, judgements: Sequence[DutyJudgement]) -> bool:
    """Store judgements; False if the database refused, and they are judged again later."""
    if not judgements:
        return True
    try:
        with office.catalogue.write() as uow:
            duties.store_judgements(uow, duties.standard_of(office.rulebook), judgements)
    # Nothing is lost: what is not stored stays stale, and is judged at the next asking.
    except (CatalogueBusyError, CatalogueUnavailableError, StorageFullError) as error:
        LOG.warning("duties were judged and not stored: %s", error.code)
        return False
    return True


def judge_all(office: Office, at: datetime) -> list[str]:
    """Judge everything anew, whatever is stored, and store it; return what was stored wrongly.

    That is what a change past the units of work leaves behind, and nothing else should.
    """
    standard, wrong, after = duties.standard_of(office.rulebook), list[str](), ""
    while True:
        with office.catalogue.read() as session:
            names = duties.list_subjects(session, after=after)
            # Stale judgements may differ lawfully; only a fresh one that differs was tampered with.
            unsure = set(
                duties.list_stale_subjects(session, standard, at, after=after, limit=len(names) + 1)
            )
            before = duties.list_stored_duties(session, names)
            judgements = duties.judge_duties(session, office.rulebook, names, at)
        if not names:
            return wrong
        wrong += [
            judgement.subject
            for judgement in judgements
            if judgement.subject not in unsure
            and set(before[judgement.subject]) != set(judgement.duties)
        ]
        # Stored whether it was wrong or not: that is what mends it.
        store_judgements(office, judgements)
        after = names[-1]


def _catch_up(office: Office, standard: str, at: datetime) -> None:
    """Judge and store, part by part, as long as more is stale than one answer should judge.

    So it is after a change of rules or of the software, and on the first asking of all.
    """
    after = ""
    while True:
        with office.catalogue.read() as session:
            names = duties.list_stale_subjects(session, standard, at, after=after)
            # The rest is judged with the answer itself, and stored behind it.
            if len(names) < BATCH:
                return
            judgements = duties.judge_duties(session, office.rulebook, names, at)
        # A database that takes nothing now would be asked again and again: the answer is given all
        # the same.
        if not store_judgements(office, judgements):
            return
        after = names[-1]


def _judge_stale(
    office: Office, session: View, standard: str, at: datetime
) -> Iterator[DutyJudgement]:
    after = ""
    while names := duties.list_stale_subjects(session, standard, at, after=after):
        yield from duties.judge_duties(session, office.rulebook, names, at)
        # By names, not by counting: what was judged here is not stored yet, and would come up
        # again.
        after = names[-1]
