"""Verify a bundle offline: no database, no network, nothing of ours but this code and the rules.

What is believed: the public keys in the bundle, as far as the reader knows them by another way
(`keys.py`); where he does not, the verdict says so and is no more than that all of it agrees.
From there on everything is derived: every byte by the manifests and the centre's signature on
them; every original by its station's signed record; every custody entry by its proof, the log's
completeness by recomputing the signed root over all leaves; the facts by the states that the log
holds and the records; the findings by running the rules again.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from policies.facts.facts import ActionFacts
from policies.rules.rulebook import RuleError, read_rulebook
from storage.bundle.bag import (
    MANIFEST,
    bag_info,
    digest_of,
    find_problems,
    payload_size,
    read_against,
)
from storage.bundle.checks import (
    chain_check,
    key_check,
    log_check,
    session_check,
    state_check,
    verdict_check,
)
from storage.bundle.checks.facts_check import against_log, against_records
from storage.bundle.checks.states import States
from storage.bundle.court_page.build import PAGE_PATH, page_digest
from storage.bundle.evidence_list import JudgedAction, evidence_list
from storage.bundle.keys import Anchors, Keys
from storage.bundle.reading import BundleFiles
from storage.bundle.report import ANCHORS, Check, Remark, Report
from storage.bundle.write import (
    BUNDLE_DOMAIN,
    BUNDLE_VERSION,
    GUIDE,
    about_bag,
    detach_signature,
    encode_pem,
)
from storage.custody.checkpoint import plain_signature
from storage.digest import Algorithm
from storage.errors import LiuhenError
from storage.record import RECEIPT_DOMAIN, RECORD_DOMAIN, Receipt
from storage.signed import canonical
from storage.signed.fingerprint import read_fingerprint
from storage.signed.signing import VerifyKey, signer_of, verify_document

# What bundles of version 1 do not hold.
_SINCE_2 = ("chains", "sessions", "keys", "rulebook", "pages")
_PLAIN = ("checkpoint.message", "checkpoint.ed25519")
# What hostile bundles make our readers raise; everything else is a defect of ours.
_WRONG_VALUES = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
_BAD = (LiuhenError, RuleError, OSError, RecursionError, *_WRONG_VALUES)


def verify(root: Path, anchors: Anchors | Path | None = None, beside: Iterable[str] = ()) -> Report:
    """Check a bundle folder; never raises for what the bundle holds.

    `anchors` are the keys that the reader knows: a folder of them that he names, or what `keys.py`
    makes of fingerprints or of his own office. `beside` is what was found wrong, or remarked, with
    the archive that the folder came in.
    Raises: KeyRingError, OSError, ValueError, KeyError for a folder that holds no such keys.
    """
    if isinstance(anchors, Path):
        anchors = Anchors.of_folder(anchors)
    report = Report()
    bag = _PlannedCheck(
        1,
        "bag",
        "文件完整无改动",
        "every file is as listed",
        lambda: (*find_problems(root), *beside),
    )
    # Goes on also when files differ: what else is wrong, and with which key, tells a reader more.
    report.checks.append(bag.run())
    try:
        keys = Keys.load(root / "data" / "keys")
    except _BAD as error:
        report.checks.append(
            Check(1, ANCHORS, "公钥可用", "public keys", (_describe_error(error),))
        )
        return report
    bundle = _Bundle(root, keys)
    report.keys = keys.describe_signers()
    # Without the reader's own anchors a forged bundle with forged keys verifies as well.
    report.keys_known = anchors is not None and not bundle.find_unknown_keys(anchors)
    wrong = tuple(anchors.find_contradictions(keys)) if anchors is not None else ()
    note = _describe_anchors(anchors, keys_known=report.keys_known)
    report.checks.append(Check(1, ANCHORS, "公钥", "whose keys these are", wrong, note))
    report.checks += [check.run() for check in bundle.list_checks()]
    return report


def _describe_anchors(anchors: Anchors | None, *, keys_known: bool) -> str:
    if anchors is None:
        return "只见于证据包本身 known from the bundle alone"
    if anchors.named:
        return (
            "您指定的公钥 keys that you named"
            if keys_known
            else "不全是您指定的 not all as you named"
        )
    return "本单位的公钥 your office's" if keys_known else "不是本单位的公钥 not your office's"


@dataclass(frozen=True, slots=True)
class _PlannedCheck:
    """One check to be made, and how it is told."""

    level: int
    name: str
    zh: str
    en: str
    problems: Callable[[], Iterable[str]]

    def run(self) -> Check:
        """Run the check; a reader's error on a hostile bundle counts as a problem."""
        findings: list[str] = []
        try:
            for problem in self.problems():
                findings.append(problem)  # noqa: PERF402 - what came before an error is kept
        except _BAD as error:
            findings.append(_describe_error(error))
        # A remark is a limit of the check, and must not fail a bundle.
        wrong = tuple(finding for finding in findings if not isinstance(finding, Remark))
        note = "; ".join(finding for finding in findings if isinstance(finding, Remark))
        return Check(self.level, self.name, self.zh, self.en, wrong, note)


class _Bundle:
    """One bundle being checked."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self._files = BundleFiles(root, keys)
        self._keys = keys

    def list_checks(self) -> list[_PlannedCheck]:
        """Return the checks that this bundle's version calls for, in order."""
        return [
            _PlannedCheck(level, name, zh, en, partial(find_problems_in, self))
            for level, name, zh, en, find_problems_in in _CHECKS
            # A bundle of before has none of the files that these look at.
            if not self._is_version_1() or name not in _SINCE_2
        ]

    def find_unknown_keys(self, anchors: Anchors) -> list[str]:
        """Return the keys that this rests on and that the reader does not know.

        Stations' keys are told of by entries of the log; a bundle of version 1 has none of these.
        """
        names = anchors.find_unknown_keys(self._keys)
        if self._is_version_1():
            # Only of stations that signed something here: other keys in the folder bear nothing.
            folders = self._files.list_recordings()
            try:
                signers = {signer_of((folder / "record.json").read_bytes()) for folder in folders}
            except _BAD:
                # A record that cannot be read is signed by nobody whom the reader knows.
                return [*names, "station"]
            names += [
                key.name
                for key in self._keys.stations
                if key.kid in signers and key.fingerprint not in anchors.fingerprints
            ]
        return names

    def _is_version_1(self) -> bool:
        try:
            return self._files.version == 1
        except _BAD:
            # The present version asks for more: an unreadable statement gets no check spared.
            return False

    def check_statement(self) -> Iterator[str]:
        files = self._files
        # By the centre's key of this bundle; whose key that is, is asked apart (`keys.py`).
        body = verify_document(
            (files.root / "bundle.json").read_bytes(), BUNDLE_DOMAIN, [self._keys.centre]
        )
        if body["v"] not in {1, BUNDLE_VERSION}:
            yield f"bundle.json: version {body['v']} is not known to this edition"
        if body["manifest"]["sha-256"] != digest_of(files.root / MANIFEST):
            yield f"{MANIFEST}: not the one that was signed"
        # Binds the log's head to this manifest: parts of two bundles cannot be mixed.
        if body["checkpoint"]["sha-256"] != digest_of(files.data / "custody" / "checkpoint"):
            yield "custody/checkpoint: not the one that was signed"
        if body["case"] != files.read_case()["id"]:
            yield "case.json: another case"
        metadata = about_bag(files.read_case(), body["made_at"], body["software"])
        # Nobody signs it: it must be what the signed statement and the case make, letter for
        # letter.
        if (files.root / "bag-info.txt").read_bytes() != bag_info(
            metadata, *payload_size(files.root)
        ):
            yield "bag-info.txt: not what statement and case make"
        if body["v"] != 1:
            yield from _compare_detached(files.root, "bundle", BUNDLE_DOMAIN)
            yield from self._check_copies()

    def _check_copies(self) -> Iterator[str]:
        """Yield the copies for other tools that differ from their originals."""
        custody = self._files.data / "custody"
        checkpoint = (custody / "checkpoint").read_text(encoding="utf-8")
        copies = dict(zip(_PLAIN, plain_signature(checkpoint, self._keys.log), strict=True))
        for name, copy in copies.items():
            if (custody / name).read_bytes() != copy:
                yield f"custody/{name}: not of this checkpoint"
        for path in sorted((self._files.data / "keys").glob("*.verify")):
            key = VerifyKey.from_json(json.loads(path.read_bytes()))
            if path.with_suffix(".pem").read_bytes() != encode_pem(key):
                yield f"keys/{path.stem}.pem: not the key beside it"
        # A changed guide could lead the reader to commands that prove nothing.
        if (self._files.data / "VERIFY.md").read_bytes() != GUIDE.read_bytes():
            yield "VERIFY.md: not the guide of this edition"
        page = self._files.root / PAGE_PATH
        # No failure: a later edition brings another page, and no page vouches for its own bundle.
        if page.exists() and digest_of(page) != page_digest():
            yield Remark(
                "verify.html: 不是本版的核验页,不要打开 not this edition's page, do not use"
            )

    def check_records(self) -> Iterator[str]:
        for folder in self._files.list_recordings():
            try:
                yield from self._check_record(folder)
            except _BAD as error:
                yield f"{folder.name}: {_describe_error(error)}"

    def _check_record(self, folder: Path) -> Iterator[str]:
        record = self._files.read_record(folder.name)
        # A genuine record in another recording's folder.
        if record.recording != folder.name:
            yield f"{folder.name}: the record is of {record.recording}"
        if digest_of(folder / "envelope.json") != record.envelope_digest.hex:
            yield f"{folder.name}: envelope changed"
        if (folder / "payload").exists():
            if digest_of(folder / "payload") != record.payload_digest.hex:
                yield f"{folder.name}: payload changed"
        else:
            # Exactly one: a second file would be an original that nobody sealed.
            (original,) = (folder / "original").iterdir()
            same = original.stat().st_size == record.size
            stated = read_against(original, record.digests)
            if not same or Algorithm.SHA256 in stated.differing():
                yield f"{folder.name}: original changed ({original.name})"
            elif differing := stated.differing():
                yield f"{folder.name}: the original has another digest by {', '.join(differing)}"
            # A limit of this machine, such as an OpenSSL without SM3, and no fault of the bundle.
            if unknown := ", ".join(stated.unknown):
                yield Remark(f"{folder.name}: 本机不能计算 not worked out here: {unknown}")
        yield from _compare_detached(folder, "record", RECORD_DOMAIN)

    def check_receipts(self) -> Iterator[str]:
        for folder in self._files.list_recordings():
            try:
                content = (folder / "receipt.json").read_bytes()
                receipt = Receipt.verify(content, self._keys.centre, self._keys.log)
                record = self._files.read_record(folder.name)
                sealed = (folder / "record.json").read_bytes()
            except _BAD as error:
                yield f"{folder.name}: {_describe_error(error)}"
                continue
            # A valid receipt of another recording must not vouch for this one.
            if not receipt.covers(sealed, record.original, record.size):
                yield f"{folder.name}: the receipt is for another record"
            yield from _compare_detached(folder, "receipt", RECEIPT_DOMAIN)

    def check_log(self) -> Iterator[str]:
        if self._files.version == 1:
            yield from log_check.whole_log(self._files)
            yield from log_check.own_proofs(self._files)
        else:
            yield from log_check.shared_proof(self._files)

    def check_origins(self) -> Iterator[str]:
        yield from log_check.check_origins(self._files)

    def check_chains(self) -> Iterator[str]:
        yield from chain_check.check_chains(self._files)

    def check_sessions(self) -> Iterator[str]:
        yield from session_check.check_sessions(self._files)

    def check_keys(self) -> Iterator[str]:
        yield from key_check.check_keys(self._files, self._gather_states())

    def check_presence(self) -> Iterator[str]:
        yield from state_check.check_presence(self._files, self._gather_states())
        if self._is_version_1():
            yield Remark("第 1 版证据包没有监管链,整条略去的不能发现 version 1 has no chains")

    def check_states(self) -> Iterator[str]:
        states = self._gather_states()
        yield from state_check.case_as_logged(self._files, states)
        yield from state_check.records_as_logged(self._files, states)
        if self._files.version != 1:
            yield from state_check.list_as_logged(self._files, states)

    def check_rulebooks(self) -> Iterator[str]:
        yield from verdict_check.check_rulebooks(self._files)

    def check_facts(self) -> Iterator[str]:
        if not self._is_version_1():
            yield from verdict_check.check_facts(self._files)
            return
        states = self._gather_states().last
        records = {
            recording.name: self._files.read_record(recording.name)
            for recording in self._files.list_recordings()
        }
        for folder in self._files.list_actions():
            facts = ActionFacts.from_json(
                self._files.read_json(f"actions/{folder.name}/facts.json")
            )
            yield from against_log(folder.name, facts, states)
            yield from against_records(facts, records, states)

    def check_findings(self) -> Iterator[str]:
        if not self._is_version_1():
            yield from verdict_check.check_findings(self._files)
            return
        rulebook = read_rulebook(self._files.data / "rulebook")
        for folder in self._files.list_actions():
            facts = ActionFacts.from_json(
                self._files.read_json(f"actions/{folder.name}/facts.json")
            )
            verdict = self._files.read_json(f"actions/{folder.name}/findings.json")
            # Findings are computed again from the bundled facts; the writer's are never trusted.
            if canonical.encode(rulebook.judge_facts(facts).to_json()) != canonical.encode(verdict):
                yield f"{folder.name}: the rules find something else"

    def check_pages(self) -> Iterator[str]:
        files = self._files
        actions = {folder.name: self._read_action(folder) for folder in files.list_actions()}
        page = evidence_list(files.read_case(), files.read_json("evidence-list.json"), actions)
        # People read the page, not the JSON: it must be exactly what the JSON makes.
        if (files.data / "evidence-list.html").read_bytes() != page.encode():
            yield "evidence-list.html: not what the case and its findings make"

    def _read_action(self, folder: Path) -> JudgedAction:
        at = f"actions/{folder.name}"
        later = (
            self._files.read_json(f"{at}/later.json") if (folder / "later.json").exists() else None
        )
        return JudgedAction(
            self._files.read_json(f"{at}/facts.json"),
            self._files.read_json(f"{at}/findings.json"),
            later,
        )

    def _gather_states(self) -> States:
        return States.from_entries(self._files.entries)


# Level, name, how it is told in Chinese and English, and what looks for problems.
_CHECKS: tuple[tuple[int, str, str, str, Callable[[_Bundle], Iterator[str]]], ...] = (
    (1, "statement", "中心签名的清单", "the centre signed this manifest", _Bundle.check_statement),
    (1, "records", "封存记录与原件一致", "stations sealed these originals", _Bundle.check_records),
    (1, "receipts", "入库回执有效", "receipts hold", _Bundle.check_receipts),
    (1, "log", "日志条目属于已签名的根", "entries lead to the signed head", _Bundle.check_log),
    (1, "origins", "日志更名有据", "the log's origins are its own", _Bundle.check_origins),
    (2, "chains", "监管链齐全、没有断开", "chains are whole", _Bundle.check_chains),
    (2, "sessions", "人员操作在登录会话之内", "acts lie in sessions", _Bundle.check_sessions),
    (2, "keys", "密钥登记在案、在有效期内", "keys are enrolled and in time", _Bundle.check_keys),
    (2, "presence", "应有的都在", "what belongs to the case is there", _Bundle.check_presence),
    (2, "states", "所述与日志一致", "what is told is as logged", _Bundle.check_states),
    (2, "rulebook", "规则库是记录在案的", "the rules are those logged", _Bundle.check_rulebooks),
    (2, "facts", "事实与日志、记录一致", "facts agree with log and records", _Bundle.check_facts),
    (3, "findings", "规则重新计算结论一致", "rules find the same again", _Bundle.check_findings),
    (3, "pages", "证据清单重新生成一致", "the page is made again alike", _Bundle.check_pages),
)


def _compare_detached(folder: Path, name: str, domain: str) -> Iterator[str]:
    """Yield copies for other tools that do not say what the document says."""
    message, signature = detach_signature((folder / f"{name}.json").read_bytes(), domain)
    if (folder / f"{name}.message").read_bytes() != message:
        yield f"{folder.name}: {name}.message changed"
    if (folder / f"{name}.ed25519").read_bytes() != signature:
        yield f"{folder.name}: {name}.ed25519 changed"


def _describe_error(error: BaseException) -> str:
    return str(error)[:300] or type(error).__name__


def main(arguments: Sequence[str]) -> int:
    """Verify a bundle folder under the keys that the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m storage.bundle.verify")
    parser.add_argument("bundle", type=Path, help="证据包的文件夹 the bundle's folder")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--keys", type=Path, help="另行取得的公钥目录 a folder of public keys")
    group.add_argument(
        "--fingerprint",
        type=read_fingerprint,
        action="append",
        help="公钥公告上的指纹,可重复 a fingerprint of the key letter; may be given several times",
    )
    options = parser.parse_args(arguments)
    try:
        named = Anchors.of_fingerprints(options.fingerprint) if options.fingerprint else None
        anchors = Anchors.of_folder(options.keys) if options.keys is not None else named
    except _BAD as error:
        parser.error(_describe_error(error))
    report = verify(options.bundle, anchors)
    sys.stdout.write("\n".join(report.format_lines()) + "\n")
    return report.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
