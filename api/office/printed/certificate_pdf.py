"""The destruction certificate (销毁证明) as a PDF in Chinese, for files and for paper.

Everything on it comes from the signed certificate, whose signatures are checked first; the PDF
itself proves nothing, and says by which digest and key the signed document is found. The same
certificate gives the same bytes (under one version of fpdf2 and one font). Times are the county's.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from api.office.printed.paper import SMALL, TIGHT, Paper
from policies.time.wording import day_and_clock
from storage.digest import Digest
from storage.signed.signing import VerifyKey, signer_of, verify_document
from storage.upkeep.destruction import CERTIFICATE_DOMAIN

_SEVERAL_TOWNSHIPS = "多个乡镇"
_COLUMNS = (
    ("序号", 12.0),
    ("录音录像编号", 58.0),
    ("大小(字节)", 26.0),
    ("保管期限至", 28.0),
    ("销毁时间", 28.0),
    ("核实已清除", 28.0),
)
_WIDTHS = [width for _title, width in _COLUMNS]
_INDENT = _WIDTHS[0]


def render_certificate(signed: bytes, trusted: Iterable[VerifyKey], font: Path) -> bytes:
    """Return the PDF of a signed certificate; `font` is a TrueType font or collection with Chinese.

    Raises: SignatureError (not signed by a trusted key), FontMissingError.
    """
    # Verified first: the printed page must never carry text that the centre did not sign.
    body = verify_document(signed, CERTIFICATE_DOMAIN, trusted)
    # The document's own time, not the printing's: the same certificate prints the same bytes.
    at = datetime.fromisoformat(body["certified_at"])
    paper = Paper.begin_document(f"销毁证明 {body['disposition']}", at, font)
    _write_summary(paper, body)
    _write_destroyed(paper, body["destroyed"])
    _write_retained(paper, body["kept"])
    _write_proof(paper, str(Digest.compute(signed)), signer_of(signed))
    return paper.as_pdf()


def _write_summary(paper: Paper, body: dict[str, Any]) -> None:
    paper.write_title("音像资料销毁证明")
    destroyed_rows, retained_rows = body["destroyed"], body["kept"]
    size = sum(row["size"] for row in destroyed_rows)
    lines = [
        ("编号", body["disposition"]),
        ("乡镇", body["township"] or _SEVERAL_TOWNSHIPS),
        ("销毁事由", body["reason"]),
        ("提出人", f"{body['proposed_by']}({_format_time(body['proposed_at'])} 提出)"),
        *(
            (f"审批人{number}", f"{approval['name']}({_format_time(approval['at'])} 批准)")
            for number, approval in enumerate(body["approved_by"], 1)
        ),
        ("冷静期满", _format_time(body["not_before"])),
        ("出具时间", _format_time(body["certified_at"])),
        (
            "结果",
            f"已销毁 {len(destroyed_rows)} 份,共 {size:,} 字节;继续保管 {len(retained_rows)} 份",
        ),
    ]
    for name, text in lines:
        paper.write_line(f"{name}:{text}")
    paper.write_line("以上及以下时间均为北京时间。", SMALL, TIGHT)


def _write_destroyed(paper: Paper, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    paper.write_heading("一、已销毁的录音录像")
    paper.write_line(
        "下列录音录像的数据密钥已销毁,密文、封存记录和衍生件已删除并核实清除,任何人无法恢复。",
        SMALL,
        TIGHT,
    )
    titles = [title for title, _width in _COLUMNS]
    paper.write_row(_WIDTHS, titles)
    for number, row in enumerate(rows, 1):
        rules = "、".join(row["rules"]) or "无"
        below = [f"SHA-256 {row['sha256']}", f"封存记录摘要 {row['record']}", f"保管规则 {rules}"]
        width = paper.sheet.epw - _INDENT
        lines = [piece for text in below for piece in paper.wrap_text(text, SMALL, width)]
        # A recording's lines stay together, and a new page begins with the heads of the columns.
        if paper.ensure_room(len(lines) + 1):
            paper.write_row(_WIDTHS, titles)
        dates = (row["retained_until"], row["destroyed_at"], row["verified_at"])
        size = f"{row['size']:,}"
        paper.write_row(
            _WIDTHS, [str(number), row["recording"], size, *map(_format_time, dates)], ruled=True
        )
        for text in lines:
            paper.write_line(text, SMALL, TIGHT, _INDENT)


def _write_retained(paper: Paper, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    paper.write_heading("二、未销毁、继续保管的录音录像")
    for number, row in enumerate(rows, 1):
        paper.ensure_room(2)
        paper.write_line(f"{number}. {row['recording']}", SMALL, TIGHT)
        for text in _format_reasons(row["why"]):
            paper.write_line(text, SMALL, TIGHT, _INDENT)


def _format_reasons(why: Sequence[dict[str, Any]]) -> Iterator[str]:
    for reason in why:
        rule = f"(规则 {reason['rule']})" if reason["rule"] else ""
        about = f"({reason['subject']})" if reason["subject"] else ""
        yield f"{reason['zh']}{rule}{about}"


def _write_proof(paper: Paper, digest: str, signer: str) -> None:
    paper.write_heading("核验")
    paper.write_line(
        "本件由系统按下列已签名的销毁证明生成,以已签名的原件为准。销毁和审批过程另见监管链日志。",
        SMALL,
        TIGHT,
    )
    paper.write_line(f"已签名原件摘要 {digest}", SMALL, TIGHT)
    paper.write_line(
        f"签名密钥编号 {signer}(Ed25519、ML-DSA-44),{CERTIFICATE_DOMAIN}", SMALL, TIGHT
    )


def _format_time(timestamp: str | None) -> str:
    return day_and_clock(datetime.fromisoformat(timestamp)) if timestamp else "无"
