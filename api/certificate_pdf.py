"""The destruction certificate (销毁证明) as a PDF in Chinese, for files and for paper.

Everything on it comes from the signed certificate, whose signatures are checked first; the PDF
itself proves nothing, and says by which digest and key the signed document is found. The same
certificate gives the same bytes (under one version of fpdf2 and one font). Times are the county's.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from policies.wording import day_and_clock
from storage.destruction import CERTIFICATE_DOMAIN
from storage.digest import Digest
from storage.errors import LiuhenError
from storage.signing import VerifyKey, signer_of, verify_document

FAMILY = "cjk"
TEXT, SMALL = 10.5, 7.5  # points
LINE, TIGHT = 6.5, 4.2  # millimetres
_FONTS = (b"\0\1\0\0", b"ttcf", b"OTTO", b"true")  # how font files begin
_ASKED = "音像资料销毁证明0123456789abcdef"  # a font without these is of no use here
_SEVERAL = "多个乡镇"
_COLUMNS = (
    ("序号", 12.0),
    ("录音录像编号", 58.0),
    ("大小(字节)", 26.0),
    ("保管期限至", 28.0),
    ("销毁时间", 28.0),
    ("核实已清除", 28.0),
)
_INDENT = _COLUMNS[0][1]


class FontMissingError(LiuhenError):
    """The font of the certificate is not installed, or cannot be embedded."""

    code = "font-missing"


def render(signed: bytes, trusted: Iterable[VerifyKey], font: Path) -> bytes:
    """Return the PDF of a signed certificate; `font` is a TrueType font or collection with Chinese.

    Raises: SignatureError (not signed by a trusted key), FontMissingError.
    """
    body = verify_document(signed, CERTIFICATE_DOMAIN, trusted)
    paper = _Paper(_sheet(body, font))
    _head(paper, body)
    _destroyed(paper, body["destroyed"])
    _kept(paper, body["kept"])
    _proof(paper, str(Digest.of(signed)), signer_of(signed))
    return bytes(paper.sheet.output())


class _Sheet(FPDF):
    """A4 pages with the certificate's number and the page's at the foot."""

    number = ""

    def footer(self) -> None:
        """Write the foot of one page."""
        self.set_y(-12)
        self.set_font(FAMILY, size=SMALL)
        self.cell(0, TIGHT, f"销毁证明 {self.number}", new_x=XPos.LMARGIN, new_y=YPos.TOP)
        self.cell(0, TIGHT, f"第 {self.page_no()} 页,共 {{nb}} 页", align="R")


@dataclass(slots=True)
class _Paper:
    """Writes lines from top to bottom, over as many pages as it takes.

    A character that the font lacks is told by its number, never left out in silence.
    """

    sheet: _Sheet
    _widths: dict[tuple[float, str], float] = field(default_factory=dict)

    def line(self, text: str, size: float = TEXT, height: float = LINE, indent: float = 0) -> None:
        """Write a text of any length from the margin on, `indent` mm further in."""
        for piece in self.wrapped(text, size, self.sheet.epw - indent):
            self.sheet.set_x(self.sheet.l_margin + indent)
            self.sheet.cell(0, height, piece, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def row(self, cells: Sequence[str], *, ruled: bool = False) -> None:
        """Write one line of the table."""
        self.sheet.set_font(FAMILY, size=SMALL)
        for (_title, width), text in zip(_COLUMNS, cells, strict=True):
            self.sheet.cell(width, TIGHT, self.known(text), border="T" if ruled else 0)
        self.sheet.ln(TIGHT)

    def room(self, lines: int) -> bool:
        """Begin a new page unless so many small lines fit; tell whether one was begun."""
        if not self.sheet.will_page_break(lines * TIGHT):
            return False
        self.sheet.add_page()
        return True

    def wrapped(self, text: str, size: float, width: float) -> list[str]:
        """Return the text in lines no wider than `width` mm; Chinese breaks anywhere."""
        self.sheet.set_font(FAMILY, size=size)
        lines, used = [""], 0.0
        for char in self.known(text):
            wide = self._width(size, char)
            if char == "\n" or (used + wide > width and lines[-1]):
                lines.append("")
                used = 0.0
            if char != "\n":
                lines[-1] += char
                used += wide
        return lines

    def known(self, text: str) -> str:
        """Return the text with what cannot be printed told as 〔U+…〕."""
        cmap = _cmap(self.sheet)
        return "".join(
            char
            if char == "\n" or (ord(char) in cmap and unicodedata.category(char)[0] != "C")
            else f"〔U+{ord(char):04X}〕"
            for char in text
        )

    def _width(self, size: float, char: str) -> float:
        if (size, char) not in self._widths:
            self._widths[size, char] = self.sheet.get_string_width(char)
        return self._widths[size, char]


def _sheet(body: dict[str, Any], font: Path) -> _Sheet:
    if not font.is_file() or not font.read_bytes().startswith(_FONTS):
        raise FontMissingError(font=str(font))
    sheet = _Sheet(format="A4")
    sheet.number = body["disposition"]
    sheet.set_creation_date(datetime.fromisoformat(body["certified_at"]))
    sheet.set_title(f"销毁证明 {body['disposition']}")
    sheet.set_lang("zh-CN")
    sheet.set_margins(15, 15)
    sheet.set_auto_page_break(auto=True, margin=16)
    sheet.c_margin = 0
    sheet.set_line_width(0.1)
    sheet.add_font(FAMILY, fname=font)
    added = sheet.fonts[FAMILY]
    if isinstance(added, TTFFont) and not {*map(ord, _ASKED)} <= added.cmap.keys():
        added.close()  # `output` does so otherwise
        raise FontMissingError(font=str(font))
    sheet.add_page()
    return sheet


def _cmap(sheet: FPDF) -> Mapping[int, Any]:
    """Return the characters that the font has, by their numbers."""
    font = sheet.fonts[FAMILY]
    return font.cmap if isinstance(font, TTFFont) else {}


def _head(paper: _Paper, body: dict[str, Any]) -> None:
    paper.sheet.set_font(FAMILY, size=20)
    paper.sheet.cell(0, 14, "音像资料销毁证明", align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    paper.sheet.ln(3)
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


def _destroyed(paper: _Paper, gone: Sequence[dict[str, Any]]) -> None:
    if not gone:
        return
    _heading(paper, "一、已销毁的录音录像")
    paper.line(
        "下列录音录像的数据密钥已销毁,密文、封存记录和衍生件已删除并核实清除,任何人无法恢复。",
        SMALL,
        TIGHT,
    )
    titles = [title for title, _width in _COLUMNS]
    paper.row(titles)
    for number, one in enumerate(gone, 1):
        rules = "、".join(one["rules"]) or "无"
        below = [f"SHA-256 {one['sha256']}", f"封存记录摘要 {one['record']}", f"保管规则 {rules}"]
        width = paper.sheet.epw - _INDENT
        lines = [piece for text in below for piece in paper.wrapped(text, SMALL, width)]
        if paper.room(len(lines) + 1):
            paper.row(titles)
        dates = (one["retained_until"], one["destroyed_at"], one["verified_at"])
        size = f"{one['size']:,}"
        paper.row([str(number), one["recording"], size, *map(_time, dates)], ruled=True)
        for text in lines:
            paper.line(text, SMALL, TIGHT, _INDENT)


def _kept(paper: _Paper, kept: Sequence[dict[str, Any]]) -> None:
    if not kept:
        return
    _heading(paper, "二、未销毁、继续保管的录音录像")
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


def _proof(paper: _Paper, digest: str, signer: str) -> None:
    _heading(paper, "核验")
    paper.line(
        "本件由系统按下列已签名的销毁证明生成,以已签名的原件为准。销毁和审批过程另见监管链日志。",
        SMALL,
        TIGHT,
    )
    paper.line(f"已签名原件摘要 {digest}", SMALL, TIGHT)
    paper.line(f"签名密钥编号 {signer}(Ed25519、ML-DSA-44),{CERTIFICATE_DOMAIN}", SMALL, TIGHT)


def _heading(paper: _Paper, text: str) -> None:
    paper.room(5)  # a heading never stands alone at the end of a page
    paper.sheet.ln(3)
    paper.line(text, 12.0)


def _time(told: str | None) -> str:
    return day_and_clock(datetime.fromisoformat(told)) if told else "无"
