"""The court's page in a real Chromium: opened from a file, given bundles, read by what it shows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from storage.bundle.court_page.build import build_page
from storage.bundle.keys import Keys

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 40_000
_READ = """() => ({
  verdict: document.getElementById('verdict').dataset.verdict,
  text: document.getElementById('result').innerText,
  checks: [...document.querySelectorAll('#checks [data-check]')].map(line => ({
    level: Number(line.dataset.level), name: line.dataset.check, state: line.dataset.state,
    problems: [...line.querySelectorAll('.problem')].map(one => one.innerText),
    remarks: [...line.querySelectorAll('.remark')].map(one => one.innerText),
  })),
})"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the page shows of one bundle."""

    verdict: str
    text: str
    failed: frozenset[tuple[int, str]]
    problems: str
    remarks: str


class CourtPage:
    """The page, open in one tab; every bundle that it is given is verified in the same one."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self.file = page, file
        self.requests: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-ready=true]")

    def name_keys(self, keys: Path | None) -> None:
        """Type the fingerprints of centre and log of a folder of keys; None: forget them."""
        prints = "" if keys is None else "\n".join(fingerprints(keys))
        self.type_keys(prints)

    def type_keys(self, typed: str) -> None:
        """Type something into the field for fingerprints, and wait until it is taken."""
        self.page.fill("#fingerprints", typed)
        self.wait_for_keys()

    def wait_for_keys(self) -> None:
        """Wait until what was named last is judged by."""
        self.page.wait_for_selector("#key-state[data-state=idle]")

    def verify(self, bundle: Path, patience_ms: int = PATIENCE_MS) -> Outcome:
        """Choose a bundle's folder or zip and wait for the verdict."""
        self.page.set_input_files("#folder" if bundle.is_dir() else "#zip", str(bundle))
        idle = "#progress[data-state=idle]"
        self.page.wait_for_selector(idle, state="attached", timeout=patience_ms)
        return self.read()

    def read(self) -> Outcome:
        """Return what the page shows now."""
        content = self.page.evaluate(_READ)
        failed = [check for check in content["checks"] if check["state"] == "failed"]
        return Outcome(
            content["verdict"],
            content["text"],
            frozenset((check["level"], check["name"]) for check in failed),
            "\n".join(problem for check in failed for problem in check["problems"]),
            "\n".join(remark for check in content["checks"] for remark in check["remarks"]),
        )


def fingerprints(keys: Path) -> list[str]:
    """Return the fingerprints of centre and log, as the key letter shows them."""
    shown = {one["use"]: one["shown"] for one in Keys.load(keys).describe_signers()}
    return [shown["centre"], shown["log"]]


def write_page(folder: Path) -> Path:
    """Write the trusted page as a file."""
    file = folder / "verify.html"
    file.write_bytes(build_page())
    return file


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """A Chromium for a module of tests."""
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def open_court_page(folder: Path) -> Iterator[CourtPage]:
    """The page in a tab of its own; at the end it must have thrown nothing and asked for nothing."""
    with open_chromium() as browser:
        context = browser.new_context(locale="zh-CN")
        court = CourtPage(context.new_page(), write_page(folder))
        yield court
        context.close()
    assert court.faults == []
    outside = [
        url for url in court.requests if not url.startswith(("blob:null/", court.file.as_uri()))
    ]
    assert outside == []
