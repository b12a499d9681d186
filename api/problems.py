"""Errors, reasons and states become sentences, Chinese first: RFC 9457 problems.

Lower rooms raise codes and facts; only here do they become words. The sentences lie in
`api/texts/`; they may name facts as `{fact}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.texts.tables import load_pairs, load_rows, load_texts
from ingest.bays.bay import FileReport
from ingest.sources.profile_files import ProfileError
from policies.rules.rulebook import RuleError
from storage.errors import LiuhenError


class ApiError(LiuhenError):
    """A face's own refusal, by code."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(**facts)
        self.code = code


@dataclass(frozen=True, slots=True)
class Words:
    """Status, what happened, what to do next; zh then en."""

    status: int
    zh: str
    en: str
    next_zh: str
    next_en: str


TABLE = {
    code: Words(*row)
    for code, row in load_rows("problems", of=("status", "zh", "en", "next_zh", "next_en")).items()
}

PARTS = load_pairs("office", "parts")
ABSENT_PARTS = load_pairs("office", "missing")
REASONS = load_pairs("files", "reasons")
QUESTIONS = load_pairs("files", "questions")
BAYS = load_texts("bays", "bays")
SCREEN = load_pairs("bays", "screen", of=("zh", "next_zh"))
ALARMS = load_texts("stations", "alarms")
STANDINGS = load_texts("stations", "standings")
PROFILE_PROBLEMS = load_pairs("profiles")
JOB_STATES = load_texts("jobs", "job-states")
JOB_ERRORS = load_pairs("jobs", "job-errors", of=("zh", "next_zh"))

_NAMED = 5  # ignored files that a bay names on a screen
_JOB_FAULT_NEXT = "请查看工作进程日志,把作业编号告诉维护人员;原因消除后重试。"


def alarm_zh(alarm: str) -> str:
    """Return what is wrong with a station in Chinese; unknown words are shown as they are."""
    return ALARMS.get(alarm) or reason_zh(alarm)


def alarm_known(alarm: str) -> bool:
    """Tell whether an alarm is one of ours."""
    return alarm in ALARMS or reason_known(alarm)


def job_error_zh(error: str, kind: str) -> str:
    """Return why a job of this kind failed, in Chinese; our own faults by their name."""
    # A job's own wording first: the same code may mean something else to whoever asked over HTTP.
    if error in JOB_ERRORS:
        return JOB_ERRORS[error][0]
    if error in TABLE:
        return TABLE[error].zh.format_map(_Facts(kind=kind)).rstrip("。")
    return reason_zh(error) if reason_known(error) else f"程序内部出错({error})"


def job_next_zh(error: str) -> str:
    """Return what to do about it."""
    if error in JOB_ERRORS:
        return JOB_ERRORS[error][1]
    return TABLE[error].next_zh.format_map(_Facts({})) if error in TABLE else _JOB_FAULT_NEXT


def bay_zh(state: str) -> str:
    """Return what a bay's state is called on a screen."""
    return BAYS.get(state, state)


def describe_error(error: LiuhenError | RuleError) -> Words:
    """Return status and sentences of an error, its facts filled in."""
    # A code without texts is a defect of ours, and told as one: a bare code helps nobody.
    template = TABLE.get(error.code, TABLE["internal"])
    facts = _Facts(error.facts | _describe_parts(error.facts) | _suggest_name(error.facts))
    if isinstance(error, ProfileError):
        facts |= _describe_profile_problem(error.facts)
    return Words(
        template.status,
        template.zh.format_map(facts),
        template.en.format_map(facts),
        template.next_zh.format_map(facts),
        template.next_en.format_map(facts),
    )


def _describe_parts(facts: dict[str, Any]) -> dict[str, str]:
    """Return how the parts of an office are called in a sentence, in both languages."""
    return {
        f"{fact}_{language}": comma.join(
            table[part][index].format_map(_Facts(facts)) for part in facts[fact]
        )
        for fact, table in (("there", PARTS), ("missing", ABSENT_PARTS))
        if fact in facts
        for index, (language, comma) in enumerate((("zh", "、"), ("en", ", ")))
    }


def _describe_profile_problem(facts: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with a recorder profile, in both languages."""
    zh, en = PROFILE_PROBLEMS[facts["problem"]]
    return {
        "problem_zh": zh.format_map(_Facts(facts)),
        "problem_en": en.format_map(_Facts(facts)),
    }


def _suggest_name(facts: dict[str, Any]) -> dict[str, str]:
    """Return the name that may have been meant, in both languages; nothing where none is near."""
    near = "".join(facts.get("near", ())[:1])
    texts = {"near_zh": f",是否应为 {near}", "near_en": f"; did you mean {near}?"}
    return texts if near else {"near_zh": "", "near_en": "."}


def problem_body(error: LiuhenError | RuleError, instance: str = "") -> dict[str, Any]:
    """Return the problem+json body (RFC 9457) of an error."""
    wording = describe_error(error)
    body: dict[str, Any] = {
        "type": f"urn:liuhen:problem:{error.code}",
        "title": wording.en,
        "status": wording.status,
        "code": error.code,
        "detail": wording.zh,
        "detail_en": wording.en,
        "next": wording.next_zh,
        "next_en": wording.next_en,
    }
    if instance:
        body["instance"] = instance
    # Facts of server errors name files, hosts and keys.
    if wording.status < 500:  # noqa: PLR2004 - the inner workings are not the caller's business
        body["facts"] = error.facts
    return body


def reason_known(reason: str) -> bool:
    """Tell whether a reason is one of ours."""
    return reason in REASONS or reason in TABLE


def reason_zh(reason: str | None, facts: Mapping[str, Any] | None = None) -> str:
    """Return a reason in Chinese, with its facts; unknown words are shown as they are."""
    if not reason:
        return ""
    if reason in REASONS:
        return REASONS[reason][0]
    return TABLE[reason].zh.format_map(_Facts(facts or {})) if reason in TABLE else reason


def reason_en(reason: str | None, facts: Mapping[str, Any] | None = None) -> str:
    """Return a reason in English, with its facts; unknown words are shown as they are."""
    if not reason:
        return ""
    if reason in REASONS:
        return REASONS[reason][1]
    return TABLE[reason].en.format_map(_Facts(facts or {})) if reason in TABLE else reason


def result_zh(file_result: FileReport) -> str:
    """Return in Chinese why a file is not taken, or not yet."""
    return reason_zh(file_result.reason, file_result.facts) + _describe_room(
        file_result.facts, "需要", "剩余"
    )


def result_en(file_result: FileReport) -> str:
    """Return in English why a file is not taken, or not yet."""
    return reason_en(file_result.reason, file_result.facts) + _describe_room(
        file_result.facts, "needed", "free"
    )


def _describe_room(facts: Mapping[str, Any], needed: str, free: str) -> str:
    if not {"needed_mb", "free_mb"} <= facts.keys():
        return ""
    return f" ({needed} {facts['needed_mb']} MB, {free} {facts['free_mb']} MB)"


def bay_reason_zh(reason: str | None, untrusted_facts: Mapping[str, Any]) -> str:
    """Return what a bay says beside its state: why, which file first, how many; what it ignores.

    The facts are the journal's: what is not of the type that it should be is left out.
    """
    facts = untrusted_facts
    parts = [reason_zh(reason, facts) + _describe_room(facts, "需要", "剩余")] if reason else []
    first, count = facts.get("first"), facts.get("files")
    # What an older version or a damaged journal left must not break the screen at the dock.
    if reason and isinstance(first, str) and isinstance(count, int):
        parts.append(f"{first} 等 {count} 个文件" if count > 1 else first)
    ignored, names = facts.get("ignored"), facts.get("ignored_names")
    if isinstance(ignored, int) and isinstance(names, list) and names:
        names_text = "、".join(map(str, names[:_NAMED])) + ("…" if ignored > _NAMED else "")
        parts.append(f"另有 {ignored} 个系统文件或预览件不是证据,留在原处:{names_text}")
    return ";".join(parts)


class _Facts(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"
