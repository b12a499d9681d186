"""The page is made of its sources and nothing else; its copy in a bundle proves nothing."""

import hashlib
import re

import pytest

from storage.bundle.court_page import build
from storage.bundle.report import Verdict
from storage.bundle.verify import verify
from tests.attacks.dishonest_centre import LyingBundle
from tests.third_party.test_verify_bundle import refused

FOLDER = build._FOLDER


def test_the_same_sources_give_the_same_page():
    first = build.build_page()
    build.build_page.cache_clear()
    assert build.build_page() == first
    assert build.page_digest() == hashlib.sha256(first).hexdigest()


def test_vendored_files_are_those_that_were_published():
    lines = (FOLDER / "vendor" / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    listed = {path: digest for digest, path in (line.split("  ") for line in lines)}
    files = [path for path in (FOLDER / "vendor").rglob("*") if path.is_file()]
    present = {path.relative_to(FOLDER / "vendor").as_posix(): path for path in files}
    assert set(listed) == set(present) - {"SHA256SUMS", "README.md"}
    for path, digest in listed.items():
        assert hashlib.sha256(present[path].read_bytes()).hexdigest() == digest, path


def test_each_source_is_in_the_page_once_and_each_licence():
    page = build.build_page().decode()
    sources = [path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")]
    assert sorted(re.findall(r"^// ((?:source|vendor)/\S+\.js)$", page, re.MULTILINE)) == sorted(
        sources
    )
    assert page.count("Permission is hereby granted, free of charge") == 3


def test_nothing_of_a_bundle_can_reach_markup_or_code():
    for path in (FOLDER / "source").rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", text
        ), path
        assert not re.search(
            r"\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|localStorage|import\(", text
        ), path


@pytest.mark.parametrize(
    "text",
    [
        "export default 1;\n",
        "export * from './x.js';\n",
        "export let a = 1;\n",
        "import './x.js';\n",
    ],
)
def test_module_code_of_other_forms_is_refused(text, tmp_path, monkeypatch):
    (tmp_path / "vendor").symlink_to(FOLDER / "vendor")
    (tmp_path / "main.js").write_text(text, encoding="utf-8")
    monkeypatch.setattr(build, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"main\.js"):
        build.link_modules("main.js")


def test_modules_in_a_circle_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.js").write_text("import { b } from './b.js';\nexport const a = 1;\n")
    (tmp_path / "b.js").write_text("import { a } from './a.js';\nexport const b = 1;\n")
    monkeypatch.setattr(build, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match="circle"):
        build.link_modules("a.js")


def test_a_bundle_holds_the_copy_and_one_of_before_verifies_without_it(seizure_bundle, tmp_path):
    copy = seizure_bundle.folder / build.PAGE_PATH
    assert copy.read_bytes() == build.build_page()
    lying = LyingBundle(seizure_bundle, tmp_path / "copy")
    lying.remove("verify.html")
    assert verify(lying.sign(), seizure_bundle.keys).verdict is Verdict.VERIFIED
    assert refused(lying.root, seizure_bundle.keys)[0] == set()


def test_a_page_of_another_edition_is_told_of_and_is_no_failure(seizure_bundle, tmp_path):
    """A lying page vouches for nothing: no reader opens it."""
    lying = LyingBundle(seizure_bundle, tmp_path / "copy")
    lying.put("verify.html", "<h1>核验通过</h1>".encode())
    report = verify(lying.sign(), seizure_bundle.keys)
    assert report.verdict is Verdict.VERIFIED
    assert any("不是本版的核验页" in check.note for check in report.checks)
    levels, printed = refused(lying.root, seizure_bundle.keys)
    assert levels == set()
    assert "verify.html: a convenience copy" in printed
