"""Read an officer register from a CSV file, as offices keep it: hostile until parsed and bounded.

Headings in Chinese or English; UTF-8 with or without a mark, or GB 18030. Every mistake is told
with its line and column, all at once; what is read says nothing yet about what it changes
(`storage/catalogue/people/register_import.py`).
"""

import csv
import io
from dataclasses import dataclass
from datetime import date

from api.problems import ApiError
from storage.catalogue.people.register_import import RegisterLine

MAX_BYTES = 1 << 20
MAX_LINES = 5000
MAX_CELL = 200
COLUMNS = {
    "姓名": "name",
    "人员类别": "kind",
    "执法证号": "certificate",
    "执法类别": "category",
    "所属单位": "unit",
    "乡镇": "township",
    "有效期起": "valid_from",
    "有效期止": "valid_to",
    "记录仪警号": "recorder_no",
    "专职": "full_time",
}
NEEDED = ("name", "kind", "unit", "township")
KINDS = {
    "执法人员": "officer",
    "officer": "officer",
    "辅助人员": "auxiliary",
    "auxiliary": "auxiliary",
}
_YES = {"是": True, "yes": True, "1": True, "否": False, "no": False, "0": False, "": None}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in one cell."""

    line: int
    column: str
    zh: str
    en: str


def read_register(untrusted_data: bytes) -> list[RegisterLine]:
    """Return the listed officers. Raises: ApiError(register) naming every mistake's line."""
    text = _decode_text(untrusted_data)
    # strict: a quote that is never closed would swallow all lines behind it into one cell.
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        # Spreadsheets leave empty lines at the end; the numbers told are those of the file.
        lines = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _build_refusal([Mistake(rows.line_num, "", "不是有效的 CSV", str(error))]) from error
    if not lines or len(lines) > MAX_LINES:
        raise _build_refusal([Mistake(1, "", f"应有 1 至 {MAX_LINES} 行", "no lines, or too many")])
    names = _read_headings(lines[0][1])
    mistakes: list[Mistake] = []
    # All lines are read before anything is refused: an office mends a list once, not line by line.
    entries = [_read_row(number, names, row, mistakes) for number, row in lines[1:]]
    mistakes += _find_duplicates([entry for entry in entries if entry is not None])
    if mistakes:
        raise _build_refusal(mistakes)
    return [entry for entry in entries if entry is not None]


def _decode_text(untrusted_bytes: bytes) -> str:
    if len(untrusted_bytes) > MAX_BYTES:
        raise _build_refusal([Mistake(0, "", "文件超过 1 MiB", "the file is larger than 1 MiB")])
    # UTF-8 first: GB 18030 decodes almost any bytes, so it would accept mojibake.
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = untrusted_bytes.decode(encoding)
        except UnicodeDecodeError:
            continue
        # UTF-16 that happens to decode has them; a text never does.
        if "\0" not in text:
            return text
    raise _build_refusal(
        [Mistake(0, "", "不是 UTF-8 或者 GB 18030 文本", "neither UTF-8 nor GB 18030")]
    )


def _read_headings(row: list[str]) -> list[str]:
    names = [COLUMNS.get(cell.strip(), cell.strip()) for cell in row]
    known_columns = set(COLUMNS.values())
    unknown = [cell for cell in names if cell not in known_columns]
    missing_columns = [name for name in NEEDED if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    for group, zh, en in (
        (unknown, "不认识的列", "unknown column"),
        (missing_columns, "缺少列", "column missing"),
        (twice, "重复的列", "column twice"),
    ):
        if group:
            excerpt = "、".join(cell[:40] for cell in group)
            raise _build_refusal([Mistake(1, excerpt, zh, en)])
    return names


def _read_row(
    number: int, names: list[str], row: list[str], mistakes: list[Mistake]
) -> RegisterLine | None:
    before = len(mistakes)
    # A line may be short: cells that are missing are empty, those needed are told of below.
    cells = {name: cell.strip() for name, cell in zip(names, row, strict=False)}
    mistakes += _find_malformed_cells(number, names, row, cells)
    kind = KINDS.get(cells.get("kind", ""))
    if kind is None and cells.get("kind"):
        mistakes.append(Mistake(number, "kind", "应为执法人员或者辅助人员", "officer or auxiliary"))
    certificate = cells.get("certificate") or None
    if kind == "auxiliary" and certificate:
        zh = "辅助人员不得领取执法证件(指导意见第二条)"
        mistakes.append(Mistake(number, "certificate", zh, "auxiliaries get no certificate"))
    since = _parse_day(number, "valid_from", cells, mistakes)
    until = _parse_day(number, "valid_to", cells, mistakes)
    if since and until and until < since:
        mistakes.append(Mistake(number, "valid_to", "早于有效期起", "before valid_from"))
    full = cells.get("full_time", "")
    if full not in _YES:
        mistakes.append(Mistake(number, "full_time", "应为是或者否", "yes or no"))
    # Mistakes of this line alone: others do not take it out of the search for duplicates.
    if len(mistakes) > before or kind is None:
        return None
    return RegisterLine(
        line=number,
        name=cells["name"],
        kind=kind,
        unit=cells["unit"],
        township=cells["township"],
        certificate=certificate,
        category=cells.get("category") or "综合行政执法",
        valid_from=since,
        valid_to=until,
        recorder_no=cells.get("recorder_no") or None,
        full_time=_YES[full],
    )


def _find_malformed_cells(
    number: int, names: list[str], row: list[str], cells: dict[str, str]
) -> list[Mistake]:
    """Return what is wrong with the cells as such."""
    mistakes = []
    if len(row) > len(names):
        mistakes.append(Mistake(number, "", "列数过多", "more cells than columns"))
    mistakes += [
        Mistake(number, name, "内容过长或者像公式", "too long, or a formula")
        for name, cell in cells.items()
        # CSV injection: `=cmd|…` would run in the spreadsheet of whoever exports this again.
        if len(cell) > MAX_CELL or cell.startswith(_FORMULA)
    ]
    mistakes += [
        Mistake(number, name, "不能为空", "must not be empty")
        for name in NEEDED
        if not cells.get(name)
    ]
    return mistakes


def _parse_day(
    number: int, name: str, cells: dict[str, str], mistakes: list[Mistake]
) -> date | None:
    text = cells.get(name, "").replace("/", "-")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        mistakes.append(Mistake(number, name, "不是有效日期(年-月-日)", "not a date (YYYY-MM-DD)"))
        return None


def _find_duplicates(entries: list[RegisterLine]) -> list[Mistake]:
    first_lines: dict[tuple[str, str], int] = {}
    mistakes = []
    for entry in entries:
        for name, identifier in (
            ("certificate", entry.certificate),
            ("recorder_no", entry.recorder_no),
        ):
            if (
                identifier is not None
                and first_lines.setdefault((name, identifier), entry.line) != entry.line
            ):
                first = first_lines[name, identifier]
                zh, en = f"与第 {first} 行重复", f"the same as on line {first}"
                mistakes.append(Mistake(entry.line, name, zh, en))
    return mistakes


def _build_refusal(mistakes: list[Mistake]) -> ApiError:
    lines = [
        f"第 {mistake.line} 行 {mistake.column}:{mistake.zh} {mistake.en}"
        # Bounded: five thousand wrong lines are no sentence.
        for mistake in mistakes[:50]
    ]
    return ApiError(
        "register",
        problem="; ".join(lines),
        mistakes=[
            [mistake.line, mistake.column, mistake.zh, mistake.en] for mistake in mistakes[:200]
        ],
    )
