"""The destruction certificate on paper: all of what was signed, nothing else, in Chinese."""

import hashlib
import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.office.printed.certificate_pdf import render_certificate
from api.office.printed.paper import FontMissingError
from api.office.settings.settings import Settings
from api.problems import describe_error
from policies.time.wording import day_and_clock
from storage.errors import SignatureError
from storage.signed.signing import SigningKey, sign_document
from storage.upkeep.destruction import CERTIFICATE_DOMAIN

KEY = SigningKey.from_seeds("centre", bytes(range(64)))
TRUSTED = (KEY.verify_key(),)
FONT = Settings().certificate_font
AT = datetime(2027, 3, 1, 1, 2, 3, tzinfo=UTC)


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def gone(number):
    return {
        "recording": f"019c0000-0000-7000-8000-{number:012x}",
        "sha256": digest(number),
        "size": 1_000_000_007 * (number + 1),
        "record": f"sha-256:{digest(-number - 1)}",
        "retained_until": (AT - timedelta(days=9)).isoformat(),
        "destroyed_at": (AT - timedelta(seconds=number + 60)).isoformat(),
        "verified_at": (AT - timedelta(seconds=number)).isoformat(),
        "rules": ["keep-ordinary"],
    }


def kept(number):
    why = {
        "keeper": "hold",
        "until": None,
        "zh": "冻结(行政复议),2027-02-01 09:00:00 起,由原机关解除前不得处置",
        "en": "held",
        "rule": "",
        "version": "",
        "subject": f"hold:{number}",
    }
    return {"recording": f"019c0000-0000-7000-9000-{number:012x}", "why": [why]}


def signed(items, left=1, key=KEY, **more):
    body = {
        "v": 1,
        "disposition": "019cffff-0000-7000-8000-000000000001",
        "township": "半壁山镇",
        "reason": "保管期限届满,经核对无关联案件",
        "proposed_by": "张三",
        "proposed_at": (AT - timedelta(days=8)).isoformat(),
        "approved_by": [
            {"name": "李四", "at": (AT - timedelta(days=7, hours=2)).isoformat()},
            {"name": "王五", "at": (AT - timedelta(days=7, hours=1)).isoformat()},
        ],
        "not_before": (AT - timedelta(hours=1)).isoformat(),
        "certified_at": AT.isoformat(),
        "destroyed": [gone(number) for number in range(items)],
        "kept": [kept(number) for number in range(left)],
    }
    return sign_document(key, CERTIFICATE_DOMAIN, body | more)


def text_of(pdf, folder):
    """Read the text back with a program that is not ours, as it stands on the pages."""
    path = folder / "certificate.pdf"
    path.write_bytes(pdf)
    command = ["pdftotext", "-layout", path, "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()


def leaves(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def test_everything_that_was_signed_stands_on_the_paper(tmp_path):
    data = signed(3, 2)
    text = text_of(render_certificate(data, TRUSTED, FONT), tmp_path)
    body = json.loads(data)["body"]
    for item in body["kept"]:  # told in Chinese alone
        for why in item["why"]:
            del why["keeper"], why["en"]
    told = [leaf for leaf in leaves(body) if isinstance(leaf, str) and leaf]
    for leaf in told:
        stamp = re.fullmatch(r"\d{4}-\d\d-\d\dT.*", leaf)
        shown = day_and_clock(datetime.fromisoformat(leaf)) if stamp else leaf
        assert shown in text, shown
    assert "销毁证明" in text
    assert f"{1_000_000_007 * 3:,}" in text
    assert "已销毁 3 份" in text
    assert "继续保管 2 份" in text
    assert f"sha-256:{hashlib.sha256(data).hexdigest()}" in text
    assert KEY.verify_key().kid in text
    assert "2027-03-01 09:02:03" in text  # the county's time, not UTC
    assert "第 1 页,共 1 页" in text


def test_a_certificate_of_a_thousand_goes_over_many_pages(tmp_path):
    text = text_of(render_certificate(signed(1_000, 0), TRUSTED, FONT), tmp_path)
    pages = text.split("\f")[:-1]
    assert len(pages) > 50
    for number, page in enumerate(pages, 1):
        assert f"第 {number} 页,共 {len(pages)} 页" in page
    for number in range(1_000):
        one = gone(number)
        (page,) = [page for page in pages if one["recording"] in page]
        assert one["sha256"] in page  # no entry is torn apart
        assert one["record"] in page
        assert "录音录像编号" in page


def test_the_same_certificate_gives_the_same_bytes():
    data = signed(40)
    assert render_certificate(data, TRUSTED, FONT) == render_certificate(data, TRUSTED, FONT)


@pytest.mark.parametrize("part", [b"sha256", b"proposed_by", b"reason", b"kid"])
def test_a_certificate_that_was_touched_is_not_printed(part):
    data = signed(2)
    place = data.index(b'"' + part + b'":"') + len(part) + 4
    other = b"0" if data[place : place + 1] != b"0" else b"1"
    with pytest.raises((SignatureError, UnicodeDecodeError, ValueError)):
        render_certificate(data[:place] + other + data[place + 1 :], TRUSTED, FONT)


def test_a_certificate_of_another_signer_or_kind_is_not_printed():
    stranger = SigningKey.from_seeds("centre", bytes(64))
    with pytest.raises(SignatureError):
        render_certificate(signed(1, key=stranger), TRUSTED, FONT)
    other = sign_document(KEY, "receipt/v1", json.loads(signed(1))["body"])
    with pytest.raises(SignatureError):
        render_certificate(other, TRUSTED, FONT)


def test_long_reasons_and_characters_that_no_font_has_are_told(tmp_path):
    reason = "保管期限届满。" * 60 + "\n第二行\t制表\u202e反向\U0001f600"
    text = text_of(
        render_certificate(signed(1, reason=reason, proposed_by="𠮷野"), TRUSTED, FONT), tmp_path
    )
    assert "".join(text.split()).count("保管期限届满。") == 60
    for code in ("U+0009", "U+202E", "U+1F600", "U+20BB7"):
        assert f"〔{code}〕" in text


def test_a_missing_font_says_what_to_install(tmp_path):
    with pytest.raises(FontMissingError) as refused:
        render_certificate(signed(1), TRUSTED, tmp_path / "none.ttf")
    assert "fonts-wqy-microhei" in describe_error(refused.value).next_zh
    latin = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    if latin.exists():
        with pytest.raises(FontMissingError):
            render_certificate(signed(1), TRUSTED, latin)
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    with pytest.raises(FontMissingError):
        render_certificate(signed(1), TRUSTED, broken)


def test_nothing_but_outlines_is_in_the_file(tmp_path):
    """No script, no form, no link, no file inside: what is printed is all there is."""
    pdf = render_certificate(signed(2), TRUSTED, FONT)
    for name in (b"/JavaScript", b"/AcroForm", b"/URI", b"/EmbeddedFile", b"/OpenAction /"):
        assert name not in pdf
    Path(tmp_path / "x.pdf").write_bytes(pdf)
    fonts = subprocess.run(
        ["pdffonts", tmp_path / "x.pdf"], check=True, capture_output=True
    ).stdout.decode()
    assert all(" yes yes " in line for line in fonts.splitlines()[2:])  # embedded, subset
