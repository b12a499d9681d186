"""Paper in Chinese: A4 pages as a PDF, line by line, for certificates and letters.

The same lines give the same bytes (under one version of fpdf2 and one font).
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from storage.errors import LiuhenError

TEXT, SMALL = 10.5, 7.5  # points
LINE, TIGHT = 6.5, 4.2  # millimetres
_FAMILY = "cjk"
_FONTS = (b"\0\1\0\0", b"ttcf", b"OTTO", b"true")  # how font files begin
_NEEDED_CHARACTERS = (
    "音像资料销毁证明公钥公告0123456789abcdef"  # a font without these is of no use here
)


class FontMissingError(LiuhenError):
    """The font of papers is not installed, or cannot be embedded."""

    code = "font-missing"


class _Sheet(FPDF):
    """A4 pages with the paper's name and the page's number at the foot."""

    foot = ""

    def footer(self) -> None:
        """Write the foot of one page."""
        self.set_y(-12)
        self.set_font(_FAMILY, size=SMALL)
        self.cell(0, TIGHT, self.foot, new_x=XPos.LMARGIN, new_y=YPos.TOP)
        self.cell(0, TIGHT, f"第 {self.page_no()} 页,共 {{nb}} 页", align="R")


@dataclass(slots=True)
class Paper:
    """Writes lines from top to bottom, over as many pages as it takes.

    A character that the font lacks is told by its number, never left out in silence.
    """

    sheet: _Sheet
    _widths: dict[tuple[float, str], float] = field(default_factory=dict)

    @classmethod
    def begin_document(cls, foot: str, at: datetime, font: Path, keywords: str = "") -> "Paper":
        """Begin a paper of that moment; `font` is a TrueType font or collection with Chinese.

        Raises: FontMissingError.
        """
        # Looked at before fpdf2 is given it: what is no font would fail somewhere inside.
        if not font.is_file() or not font.read_bytes().startswith(_FONTS):
            raise FontMissingError(font=str(font))
        sheet = _Sheet(format="A4")
        sheet.foot = foot
        # The library would take the present time, and no two prints would be the same bytes.
        sheet.set_creation_date(at)
        sheet.set_title(foot)
        if keywords:
            sheet.set_keywords(keywords)
        sheet.set_lang("zh-CN")
        sheet.set_margins(15, 15)
        sheet.set_auto_page_break(auto=True, margin=16)
        sheet.c_margin = 0
        sheet.set_line_width(0.1)
        sheet.add_font(_FAMILY, fname=font)
        added = sheet.fonts[_FAMILY]
        # A Latin font is a font: it would print a page of boxes without any error.
        if isinstance(added, TTFFont) and not {*map(ord, _NEEDED_CHARACTERS)} <= added.cmap.keys():
            added.close()  # `output` does so otherwise
            raise FontMissingError(font=str(font))
        sheet.add_page()
        return cls(sheet)

    def as_pdf(self) -> bytes:
        """Return the PDF."""
        return bytes(self.sheet.output())

    def write_title(self, text: str) -> None:
        """Write what the paper is, in large characters."""
        self.sheet.set_font(_FAMILY, size=20)
        self.sheet.cell(0, 14, text, align="C", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.sheet.ln(3)

    def write_heading(self, text: str) -> None:
        """Write a heading; it never stands alone at the end of a page."""
        self.ensure_room(5)
        self.sheet.ln(3)
        self.write_line(text, 12.0)

    def write_line(
        self, text: str, size: float = TEXT, height: float = LINE, indent: float = 0
    ) -> None:
        """Write a text of any length from the margin on, `indent` mm further in."""
        for piece in self.wrap_text(text, size, self.sheet.epw - indent):
            self.sheet.set_x(self.sheet.l_margin + indent)
            self.sheet.cell(0, height, piece, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def write_row(
        self, widths: Iterable[float], cells: Sequence[str], *, ruled: bool = False
    ) -> None:
        """Write one line of a table; `widths` are its columns' in mm."""
        self.sheet.set_font(_FAMILY, size=SMALL)
        for width, text in zip(widths, cells, strict=True):
            self.sheet.cell(
                width, TIGHT, self.replace_unprintable(text), border="T" if ruled else 0
            )
        self.sheet.ln(TIGHT)

    def ensure_room(self, lines: int) -> bool:
        """Begin a new page unless so many small lines fit; tell whether one was begun."""
        if not self.sheet.will_page_break(lines * TIGHT):
            return False
        self.sheet.add_page()
        return True

    def wrap_text(self, text: str, size: float, width: float) -> list[str]:
        """Return the text in lines no wider than `width` mm; Chinese breaks anywhere."""
        self.sheet.set_font(_FAMILY, size=size)
        lines, used = [""], 0.0
        for char in self.replace_unprintable(text):
            wide = self._measure_width(size, char)
            # A line takes at least one character: a wider one would leave an empty line before it.
            if char == "\n" or (used + wide > width and lines[-1]):
                lines.append("")
                used = 0.0
            if char != "\n":
                lines[-1] += char
                used += wide
        return lines

    def replace_unprintable(self, text: str) -> str:
        """Return the text with what cannot be printed told as 〔U+…〕."""
        cmap = _font_characters(self.sheet)
        return "".join(
            # Control and format characters (category C) could reorder a line for whoever reads it.
            char
            if char == "\n" or (ord(char) in cmap and unicodedata.category(char)[0] != "C")
            else f"〔U+{ord(char):04X}〕"
            for char in text
        )

    def _measure_width(self, size: float, char: str) -> float:
        # Asked of the font once for each character: a certificate of a thousand recordings has few
        # different ones.
        if (size, char) not in self._widths:
            self._widths[size, char] = self.sheet.get_string_width(char)
        return self._widths[size, char]


def _font_characters(sheet: FPDF) -> Mapping[int, Any]:
    """Return the characters that the font has, by their numbers."""
    font = sheet.fonts[_FAMILY]
    return font.cmap if isinstance(font, TTFFont) else {}
