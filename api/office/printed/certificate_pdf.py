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

_SEVERAL = "多个乡镇"
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


def render(signed: bytes, trusted: Iterable[VerifyKey], font: Path) -> bytes:
    """Return the PDF of a signed certificate; `font` is a TrueType font or collection with Chinese.

    Raises: SignatureError (not signed by a trusted key), FontMissingError.
    """
    body = verify_document(signed, CERTIFICATE_DOMAIN, trusted)
    at = datetime.fromisoformat(body["certified_at"])
    paper = Paper.begin(f"销毁证明 {body['disposition']}", at, font)
    _head(paper, body)
    _destroyed(paper, body["destroyed"])
    _kept(paper, body["kept"])
    _proof(paper, str(Digest.of(signed)), signer_of(signed))
    return paper.output()


def _head(paper: Paper, body: dict[str, Any]) -> None:
    paper.title("音像资料销毁证明")
    gone, kept = body["destroyed"], body["kept"]
    size = sum(one["size"] for one in gone)
    told = [
        ("编号", body["disposition"]),
        ("乡镇", body["township"] or _SEVERAL),
        ("销毁事由", body["reason"]),
        ("提出人", f"{body['proposed_by']}({_time(body['proposed_at'])} 提出)"),
        *(
            (f"审批人{number}", f"{one['name']}({_time(one['at'])} 批准)")
            for number, one in enumerate(body["approved_by"], 1)
        ),
        ("冷静期满", _time(body["not_before"])),
        ("出具时间", _time(body["certified_at"])),
        ("结果", f"已销毁 {len(gone)} 份,共 {size:,} 字节;继续保管 {len(kept)} 份"),
    ]
    for name, text in told:
        paper.line(f"{name}:{text}")
    paper.line("以上及以下时间均为北京时间。", SMALL, TIGHT)


def _destroyed(paper: Paper, gone: Sequence[dict[str, Any]]) -> None:
    if not gone:
        return
    paper.heading("一、已销毁的录音录像")
    paper.line(
        "下列录音录像的数据密钥已销毁,密文、封存记录和衍生件已删除并核实清除,任何人无法恢复。",
        SMALL,
        TIGHT,
    )
    titles = [title for title, _width in _COLUMNS]
    paper.row(_WIDTHS, titles)
    for number, one in enumerate(gone, 1):
        rules = "、".join(one["rules"]) or "无"
        below = [f"SHA-256 {one['sha256']}", f"封存记录摘要 {one['record']}", f"保管规则 {rules}"]
        width = paper.sheet.epw - _INDENT
        lines = [piece for text in below for piece in paper.wrapped(text, SMALL, width)]
        if paper.room(len(lines) + 1):
            paper.row(_WIDTHS, titles)
        dates = (one["retained_until"], one["destroyed_at"], one["verified_at"])
        size = f"{one['size']:,}"
        paper.row(_WIDTHS, [str(number), one["recording"], size, *map(_time, dates)], ruled=True)
        for text in lines:
            paper.line(text, SMALL, TIGHT, _INDENT)


def _kept(paper: Paper, kept: Sequence[dict[str, Any]]) -> None:
    if not kept:
        return
    paper.heading("二、未销毁、继续保管的录音录像")
    for number, one in enumerate(kept, 1):
        paper.room(2)
        paper.line(f"{number}. {one['recording']}", SMALL, TIGHT)
        for text in _reasons(one["why"]):
            paper.line(text, SMALL, TIGHT, _INDENT)


def _reasons(why: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in why:
        rule = f"(规则 {one['rule']})" if one["rule"] else ""
        about = f"({one['subject']})" if one["subject"] else ""
        yield f"{one['zh']}{rule}{about}"


def _proof(paper: Paper, digest: str, signer: str) -> None:
    paper.heading("核验")
    paper.line(
        "本件由系统按下列已签名的销毁证明生成,以已签名的原件为准。销毁和审批过程另见监管链日志。",
        SMALL,
        TIGHT,
    )
    paper.line(f"已签名原件摘要 {digest}", SMALL, TIGHT)
    paper.line(f"签名密钥编号 {signer}(Ed25519、ML-DSA-44),{CERTIFICATE_DOMAIN}", SMALL, TIGHT)


def _time(told: str | None) -> str:
    return day_and_clock(datetime.fromisoformat(told)) if told else "无"
