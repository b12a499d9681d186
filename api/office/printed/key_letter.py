"""The key letter (公钥公告) as a PDF: what an office publishes, so that others can tell its keys.

It says whose keys they are, what each is for, since when and until when, and its whole fingerprint;
the custody log's origin and key as public tools take it; and the SHA-256 of the court's page
(`storage/bundle/court_page/`). It proves nothing by itself: what makes it worth something is the
way by which it came, signed and sealed on paper.
"""

from datetime import datetime
from pathlib import Path

from api.office.evidence.key_list import ShownKey, log_vkey, shown_keys
from api.office.printed.paper import SMALL, TIGHT, FontMissingError, Paper
from api.office.wiring import Office
from policies.time.wording import day_and_clock
from storage.bundle.court_page.build import page_digest
from storage.digest import Digest
from storage.durable import replace_file
from storage.signed import canonical
from storage.signed.fingerprint import format_fingerprint

FILE = "公钥公告.pdf"
_INDENT = 8.0


def key_letter(office: Office) -> bytes:
    """Return the letter of today. Raises: FontMissingError."""
    keys, settings = _list_published_keys(office), office.settings
    font, stamp = settings.certificate_font, _compute_stamp(office, keys)
    at = office.clock()
    paper = Paper.begin_document(f"公钥公告 {settings.county}{settings.township}", at, font, stamp)
    paper.write_title("公钥公告")
    paper.write_line(f"单位:{settings.county}{settings.township}")
    paper.write_line(f"出具时间:{_format_time(at)}(北京时间,下同)")
    paper.write_line(
        "下列公钥用于核验本单位录音录像的封存记录、入库回执、证据包和监管链日志。收到证据包的人应当逐字核对指纹;"
        "本公告以单位盖章的纸质件为准。"
    )
    paper.write_heading("一、公钥指纹(SHA-256,64 位十六进制)")
    for number, key in enumerate(keys, 1):
        _write_key(paper, number, key)
    paper.write_heading("二、监管链日志")
    paper.write_line(f"名称 origin:{office.ring.get_verify_key('log').name}")
    paper.write_line("公钥(C2SP signed-note,供通用工具核验)vkey:")
    paper.write_line(log_vkey(office), SMALL, TIGHT, _INDENT)
    paper.write_heading("三、核验页")
    paper.write_line(
        "证据包可以用浏览器打开的核验页 verify.html 核验。请从本单位网站或者软件发布页取得,"
        "它的 SHA-256 应当是:"
    )
    paper.write_line(format_fingerprint(page_digest()), indent=_INDENT)
    paper.write_line("证据包里附带的那一份只图方便,不可采信。", SMALL, TIGHT)
    paper.write_heading("四、核对办法")
    for text in (
        "liuhen verify 证据包 --fingerprint 中心指纹 --fingerprint 日志指纹",
        "不用本系统的软件:证据包内 VERIFY.md 第 1 步列出每把公钥的指纹。",
        "签名公钥的指纹是 Ed25519 公钥与 ML-DSA-44 公钥相接之后的 SHA-256;",
        "封存公钥的指纹是公钥字节的 SHA-256。",
    ):
        paper.write_line(text, SMALL, TIGHT)
    paper.write_heading("盖章、签名、日期")
    return paper.as_pdf()


def keep_letter(office: Office) -> Path | None:
    """Write the letter into the home if keys or page changed; None without a usable font."""
    path = office.settings.home / FILE
    stamp = _compute_stamp(office, _list_published_keys(office)).encode()
    # The stamp stands in the PDF among its keywords: what it was made of is read without parsing
    # it.
    if not path.is_file() or stamp not in path.read_bytes():
        try:
            replace_file(path, key_letter(office))
        # No office fails to open, or to publish, for want of a font.
        except FontMissingError:
            return None
    return path


def _list_published_keys(office: Office) -> list[ShownKey]:
    # A key that no entry enrolled is somebody's who put a file there: publishing it would vouch for
    # it.
    return [key for key in shown_keys(office) if key.since is not None]


def _compute_stamp(office: Office, keys: list[ShownKey]) -> str:
    """Return the stamp that identifies a letter's keys and page."""
    settings = office.settings
    facts = [settings.county, settings.township, log_vkey(office), page_digest()]
    parts = [*facts, *(key.to_json() for key in keys)]
    return f"liuhen-keys-{Digest.compute(canonical.encode(parts)).hex}"


def _write_key(paper: Paper, number: int, key: ShownKey) -> None:
    paper.ensure_room(6)
    until = f"至 {_format_time(key.until)}" if key.until is not None else "起"
    name = "" if key.name == key.use else f" {key.name}"
    paper.write_line(f"{number}. {key.use_zh} {key.use}{name}")
    paper.write_line(key.grouped_fingerprint, indent=_INDENT)
    paper.write_line(f"有效期 {_format_time(key.since)} {until}", SMALL, TIGHT, _INDENT)


def _format_time(at: datetime | None) -> str:
    return day_and_clock(at) if at is not None else "无"
