"""Presenters of catalogue rows, with names and labels; shared by the API and the console."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from api.http.paging import Page, page_of, read_cursor
from api.http.schemas import (
    ActionDetail,
    ActionOut,
    BayOut,
    CaseDetail,
    CaseOut,
    CoverageOut,
    EntryOut,
    ExhibitOut,
    LaterOut,
    PersonOut,
    QuestionOut,
    RecordingOut,
    SourceOut,
    SpanOut,
    VerdictOut,
)
from api.office.wiring import Office
from api.problems import QUESTIONS, bay_reason_zh, bay_zh, reason_zh
from ingest.bays.bay import Bay, BayState
from ingest.cameras.room_camera import CameraState
from policies.facts.facts import ActionFacts
from policies.facts.findings import found_later
from policies.facts.stages import ACTION_ZH, STAGE_ZH, ActionKind, Stage, next_stages
from policies.identifiers import PersonId, Subject, split_subject
from policies.requirements.footage.coverage import Coverage, compute_coverage
from policies.requirements.footage.covered import CAUSE_ZH
from policies.requirements.footage.premises import Premises
from policies.rules.rules import Rulebook
from policies.time.intervals import Span, clip_spans
from policies.time.wording import format_percent, interval_zh, length_zh
from storage.catalogue.cases import cases
from storage.catalogue.cases.judgements import Judgement, judgement_of
from storage.catalogue.log import custody_log
from storage.catalogue.log.tables import CustodyEventRow
from storage.catalogue.people import people
from storage.catalogue.recordings import recordings
from storage.catalogue.tables import ActionRow, CaseRow, ExhibitRow, PersonRow, RecordingRow
from storage.catalogue.unit_of_work import View
from storage.errors import NotFoundError

# What findings of earlier versions, which stand in the log as they were, do not have.
_UNSAID: dict[str, Any] = {
    "waivable_by": [],
    "subject": "",
    "waived": None,
    "waiver_refused": "",
    "pending_waivers": [],
}
_CONFIRMED = {"confirmed": True}

ACTS_ZH = {
    "session.open": "登录",
    "session.close": "登录结束",
    "session.use": "拒绝未登记的登录会话",
    "recording.accession": "入库",
    "recording.receipt": "签发回执",
    "recording.access": "调阅",
    "recording.play": "申请播放",
    "recording.copy": "申请复制",
    "recording.answer": "补充信息",
    "recording.retain": "延长保管",
    "exhibit.propose": "提出关联",
    "exhibit.confirm": "确认关联",
    "exhibit.reject": "否定关联",
    "exhibit.link": "人工关联",
    "submission.hand-in": "递交文件",
    "source.clear": "清除记录仪内原文件",
    "case.open": "立案建档",
    "case.move": "办案环节变更",
    "action.add": "登记执法活动",
    "action.end": "登记结束时间",
    "action.close": "办结执法活动",
    "exhibit.self-link": "按场景码自动关联",
    "recording.clock": "按时钟测量校正时间",
    "clock.read": "测量记录仪时钟",
    "scene-code.refuse": "场景码不可信",
    "case.features": "登记案件特征",
    "case.part": "登记承办、审核、审批人员",
    "case.review": "法制审核",
    "case.decide": "作出执法决定",
    "case.disclose": "公开执法决定",
    "moment.mark": "标记必要时刻",
    "moment.unmark": "撤销标记",
    "document.enter": "登记文书",
    "document.serve": "登记送达",
    "waiver.hand-in": "提交情况说明",
    "waiver.settle": "审批情况说明",
    "doubt.confirm": "确认存疑片段有故障",
    "doubt.dismiss": "排除存疑片段",
    "proceeding.register": "登记投诉、复议或者诉讼",
    "proceeding.answer": "答复",
    "proceeding.excuse": "承办人回避",
    "hold.place": "冻结",
    "hold.release.propose": "提出解除冻结",
    "hold.release": "解除冻结",
    "hold.release.reject": "驳回解除冻结",
    "hold.release.withdraw": "撤回解除冻结的提议",
    "hold.release.void": "解除冻结的提议失效",
    "class.give": "归入资料类别",
    "reclassification.propose": "提出重新归类",
    "reclassification.approve": "批准重新归类",
    "reclassification.refuse": "不批准重新归类",
    "reclassification.decide": "申请重新归类",
    "recording.lock": "延长存储保管锁",
    "object.sweep": "清理未入库的残留对象",
    "store.check": "存储巡检发现异常",
    "recording.propose-disposition": "列入处置",
    "recording.destroy-begin": "开始销毁",
    "recording.destroy": "销毁密钥",
    "recording.destroyed": "销毁完成并复核",
    "recording.keep": "处置时查明应当继续保管",
    "disposition.propose": "提出处置",
    "disposition.approve": "批准处置",
    "disposition.withdraw": "撤回处置",
    "disposition.stop": "因时钟不可信停止处置",
    "disposition.done": "处置完成,签发销毁证明",
    "keeping.see": "查看保管情况",
    "certificate.add": "登记执法证件",
    "certificate.end": "收回或者吊销执法证件",
    "source.assign": "分配设备",
    "training.add": "登记培训",
    "certificate.change": "变更执法证件信息",
    "person.change": "变更人员信息",
    "check.draw": "随机抽查",
    "check.enter": "登记抽查结果",
    "bundle.export": "导出证据包",
    "log.clock": "确认时钟,日志按现在的时间继续",
    "custody.alarm": "告警:记录与日志不一致",
    "custody.verify": "全面核验",
    "custody.audit": "自动核查数据库与日志",
}


def present_bays(office: Office) -> list[BayOut]:
    """Return every configured bay and room camera with what the station last saw there."""
    rows_by_name = {row.name: row for row in office.journal.list_bays()}
    cameras = [Bay(name, office.settings.home) for name in sorted(office.settings.cameras)]
    bay_entries = []
    for bay in [*office.list_bays(), *cameras]:
        row = rows_by_name.get(bay.name)
        state = _parse_state(row.state if row else "")
        bay_entries.append(
            BayOut(
                name=bay.name,
                state=state,
                state_zh=bay_zh(state),
                source=row.source if row else None,
                files_total=row.files_total if row else 0,
                files_done=row.files_done if row else 0,
                bytes_total=row.bytes_total if row else 0,
                bytes_done=row.bytes_done if row else 0,
                current=row.current if row else None,
                reason=row.reason if row else None,
                reason_zh=bay_reason_zh(row.reason, row.facts) if row else "",
                landing=bay.landing,
                changed=datetime.fromisoformat(row.changed) if row else None,
            )
        )
    return bay_entries


def _parse_state(word: str) -> BayState | CameraState:
    """Parse a state word of the journal; UNKNOWN for a word of another release."""
    matches = (candidate for candidate in (*BayState, *CameraState) if candidate == word)
    return next(matches, BayState.UNKNOWN)


def present_recording(session: View, row: RecordingRow) -> RecordingOut:
    """Return one recording for a screen."""
    return RecordingOut(
        id=row.id,
        name=row.name,
        source=row.source_serial,
        kind=row.kind,
        size=row.size,
        sha256=row.sha256,
        playable=row.playable,
        browser_playable=bool(row.media.get("browser_playable")),
        unplayable_reason=row.unplayable_reason,
        unplayable_zh=reason_zh(row.unplayable_reason),
        container=row.container,
        duration_s=row.duration_s,
        start_at=row.start_at,
        end_at=row.end_at,
        has_video=row.has_video,
        has_audio=row.has_audio,
        video_gaps=row.video_gaps,
        audio_gaps=row.audio_gaps,
        officer_no=row.officer_no,
        officer=people.get_person(session, row.officer_id).name if row.officer_id else None,
        township=row.township,
        station=row.station,
        marked=row.marked,
        questions=[QuestionOut(code=q, zh=QUESTIONS.get(q, (q, q))[0]) for q in row.questions],
        inspection=list(row.inspection),
        troubles=list(row.troubles or ()),
        clock_offset_s=row.clock_offset_s,
        clock_uncertainty_s=row.clock_uncertainty_s,
        retain_until=row.retain_until,
        accessioned_at=row.accessioned_at,
        receipted=row.receipt_text is not None,
        destroyed_at=row.destroyed_at,
    )


def present_person(row: PersonRow) -> PersonOut:
    """Return one person for a screen."""
    return PersonOut(
        id=row.id,
        name=row.name,
        certificate_no=row.certificate_no,
        kind=row.kind,
        township=row.township,
    )


def present_entry(session: View, row: CustodyEventRow) -> EntryOut:
    """Return one custody entry for a screen; rows' whole states stay in the log."""
    return EntryOut(
        index=row.index,
        at=row.at,
        act=row.act,
        act_zh=ACTS_ZH.get(row.act, row.act),
        event=row.event,
        outcome=row.outcome,
        actor=row.actor,
        actor_name=_present_actor(session, row.actor),
        # Whole rows are there for the audit and the replay, and nothing for people to read.
        details={name: detail for name, detail in row.details.items() if name != "rows"},
    )


def present_entries(
    session: View, subjects: Sequence[str], cursor: str | None, limit: int
) -> Page[EntryOut]:
    """Return a page of the custody entries upon these subjects, oldest first."""
    after = read_cursor("custody", cursor, int)
    rows = custody_log.LogReader(session).events_of(*subjects, after=after, limit=limit + 1)
    show = partial(present_entry, session)
    return page_of("custody", rows, limit, lambda row: (row.index,), show)


def present_custody(
    session: View, row: RecordingRow, cursor: str | None, limit: int
) -> Page[EntryOut]:
    """Return a recording's chain of custody, from when a person handed it in, if one did."""
    subject = Subject.of_recording(row.id)
    log = custody_log.LogReader(session)
    accessions = log.events_of(subject, act="recording.accession")
    # What was handed in has entries from before it was a recording, under its own subject.
    named = {
        accession_entry.details["submission"]
        for accession_entry in accessions
        if "submission" in accession_entry.details
    }
    handed_in = sorted(Subject.of_submission(name) for name in named)
    return present_entries(session, [subject, *handed_in], cursor, limit)


def present_case(row: CaseRow) -> CaseOut:
    """Return one case for a list."""
    stage = Stage(row.stage)
    order = list(Stage)
    return CaseOut(
        id=row.id,
        number=row.number,
        title=row.title,
        party=row.party,
        township=row.township,
        stage=stage,
        stage_zh=STAGE_ZH[stage],
        next_stages=sorted(
            next_stages(stage, Stage(row.returns_to) if row.returns_to else None), key=order.index
        ),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def case_detail(session: View, row: CaseRow) -> CaseDetail:
    """Return one case with its actions."""
    return CaseDetail(
        **present_case(row).model_dump(),
        actions=[
            present_action(session, action_row)
            for action_row in cases.list_actions(session, row.id)
        ],
    )


def present_action(session: View, row: ActionRow) -> ActionOut:
    """Return one action for a list."""
    kind, stage = ActionKind(row.kind), Stage(row.stage)
    return ActionOut(
        id=row.id,
        case=row.case_id,
        kind=kind,
        kind_zh=ACTION_ZH[kind],
        stage=stage,
        stage_zh=STAGE_ZH[stage],
        place=row.place,
        start_at=row.start_at,
        end_at=row.end_at,
        status=row.status,
        officers=[
            present_person(officer_row) for officer_row in cases.list_officers(session, row.id)
        ],
    )


def action_detail(session: View, row: ActionRow, rulebook: Rulebook, now: datetime) -> ActionDetail:
    """Return one action with exhibits, coverage and findings: as it was closed, or as of now."""
    judgement = judgement_of(session, row, rulebook, now)
    return ActionDetail(
        **present_action(session, row).model_dump(),
        exhibits=[
            present_exhibit(session, exhibit_row)
            for exhibit_row in cases.list_exhibits(session, row.id)
        ],
        coverage=present_coverage(ActionFacts.from_json(judgement.facts), rulebook),
        verdict=_present_verdict(judgement.verdict),
        judged_at=judgement.at,
        rulebook=judgement.rulebook,
        later=present_later_findings(judgement),
    )


def _present_verdict(verdict: Mapping[str, Any]) -> VerdictOut:
    """Return a verdict for a screen; what findings of earlier versions do not say is empty."""
    findings = [
        _UNSAID | rule_finding | {"basis": _CONFIRMED | rule_finding["basis"]}
        for rule_finding in verdict["findings"]
    ]
    return VerdictOut(allowed=verdict["allowed"], findings=findings)


def present_later_findings(judgement: Judgement) -> LaterOut | None:
    """Return what was found since the closing; None where nothing reads otherwise."""
    if judgement.later is None:
        return None
    new_findings = found_later(judgement.verdict, judgement.later["verdict"])
    return (
        LaterOut(at=judgement.now, findings=[dict(rule_finding) for rule_finding in new_findings])
        if new_findings
        else None
    )


def present_exhibit(session: View, row: ExhibitRow) -> ExhibitOut:
    """Return one exhibit with its recording."""
    return ExhibitOut(
        id=row.id,
        recording=present_recording(session, recordings.by_id(session, row.recording_id)),
        shown_from=row.shown_from,
        shown_to=row.shown_to,
        state=row.state,
        how=row.how,
    )


def present_coverage(facts: ActionFacts, rulebook: Rulebook) -> CoverageOut | None:
    """Return the ribbon of an action that has an end; by the rule's figures, if one applies."""
    rule = _choose_requirement(facts, rulebook)
    # An action that is still open has no share: nobody knows of how much.
    frame = rule.compute_frame(facts)
    if frame is None:
        return None
    action_coverage = compute_coverage(rule, facts)
    return CoverageOut(
        share=action_coverage.share,
        shown=format_percent(action_coverage.share),
        clock_measured=action_coverage.clock_measured,
        sources=[
            SourceOut(
                source=source,
                spans=[_present_span(span, frame) for span in clip_spans(good, frame)],
            )
            for source, good in action_coverage.per_source
        ],
        gaps=[
            _present_span(gap.span, frame, gap.cause.value, _gap_zh(gap.span, CAUSE_ZH[gap.cause]))
            for gap in action_coverage.gaps
        ],
    )


def _choose_requirement(facts: ActionFacts, rulebook: Rulebook) -> Coverage:
    """Return the coverage that a rule in force demands of this action, or a plain one."""
    major = rulebook.is_major(facts, facts.start)
    # By the day of the action, as it is judged: a rule that came later draws no ribbon for it.
    for rule in rulebook.in_force(facts.start):
        requirement = rule.requirement
        if rule.when.applies_to(facts, major=major) and isinstance(
            requirement, Coverage | Premises
        ):
            return requirement if isinstance(requirement, Coverage) else requirement.coverage
    # No rule demands footage: the ribbon still shows what there is, by plain figures.
    return Coverage()


def _gap_zh(span: Span, cause: str) -> str:
    return f"{interval_zh(span)}(缺 {length_zh(span.seconds)}):{cause}"


def _present_span(span: Span, frame: Span, cause: str | None = None, zh: str = "") -> SpanOut:
    # Never 0: `ActionFacts.span` is None for an action without length.
    whole = frame.seconds
    offset = (span.start - frame.start).total_seconds() / whole * 100
    return SpanOut(
        start=span.start,
        end=span.end,
        left=round(offset, 3),
        width=round(span.seconds / whole * 100, 3),
        cause=cause,
        zh=zh,
    )


def _present_actor(session: View, actor: str) -> str:
    kind, name = split_subject(actor)
    if kind == "person":
        try:
            return people.get_person(session, PersonId(name)).name
        except NotFoundError:
            return actor
    return "系统" if kind == "system" else actor
