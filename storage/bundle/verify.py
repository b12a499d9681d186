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
from pathlib import Path

from policies.facts.facts import ActionFacts
from policies.rules.rulebook import RuleError, load
from storage.bundle.bag import (
    MANIFEST,
    bag_info,
    digest_of,
    payload_size,
    problems,
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
from storage.bundle.evidence_list import Judged, evidence_list
from storage.bundle.keys import Anchors, Keys
from storage.bundle.reading import BundleFiles
from storage.bundle.report import ANCHORS, Check, Remark, Report
from storage.bundle.write import BUNDLE_DOMAIN, BUNDLE_VERSION, GUIDE, about_bag, detached, pem
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
    bag = _Asked(
        1, "bag", "文件完整无改动", "every file is as listed", lambda: (*problems(root), *beside)
    )
    report.checks.append(bag.made())
    try:
        keys = Keys.load(root / "data" / "keys")
    except _BAD as error:
        report.checks.append(Check(1, ANCHORS, "公钥可用", "public keys", (_told(error),)))
        return report
    bundle = _Bundle(root, keys)
    report.keys = keys.told()
    report.keys_known = anchors is not None and not bundle.unknown(anchors)
    wrong = tuple(anchors.contradicts(keys)) if anchors is not None else ()
    note = _whose(anchors, known=report.keys_known)
    report.checks.append(Check(1, ANCHORS, "公钥", "whose keys these are", wrong, note))
    report.checks += [asked.made() for asked in bundle.checks()]
    return report


def _whose(anchors: Anchors | None, *, known: bool) -> str:
    if anchors is None:
        return "只见于证据包本身 known from the bundle alone"
    if anchors.named:
        return (
            "您指定的公钥 keys that you named" if known else "不全是您指定的 not all as you named"
        )
    return "本单位的公钥 your office's" if known else "不是本单位的公钥 not your office's"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One check to be made, and how it is told."""

    level: int
    name: str
    zh: str
    en: str
    problems: Callable[[], Iterable[str]]

    def made(self) -> Check:
        """Return what it found; what a hostile bundle makes a reader raise is found, too."""
        found: list[str] = []
        try:
            for problem in self.problems():
                found.append(problem)  # noqa: PERF402 - what came before an error is kept
        except _BAD as error:
            found.append(_told(error))
        wrong = tuple(one for one in found if not isinstance(one, Remark))
        note = "; ".join(one for one in found if isinstance(one, Remark))
        return Check(self.level, self.name, self.zh, self.en, wrong, note)


class _Bundle:
    """One bundle being checked."""

    def __init__(self, root: Path, keys: Keys) -> None:
        self._files = BundleFiles(root, keys)
        self._keys = keys

    def checks(self) -> list[_Asked]:
        """Return the checks that this bundle's version calls for, in order."""
        found = [
            _Asked(
                1, "statement", "中心签名的清单", "the centre signed this manifest", self.statement
            ),
            _Asked(
                1, "records", "封存记录与原件一致", "stations sealed these originals", self.records
            ),
            _Asked(1, "receipts", "入库回执有效", "receipts hold", self.receipts),
            _Asked(1, "log", "日志条目属于已签名的根", "entries lead to the signed head", self.log),
            _Asked(1, "origins", "日志更名有据", "the log's origins are its own", self.origins),
            _Asked(2, "chains", "监管链齐全、没有断开", "chains are whole", self.chains),
            _Asked(2, "sessions", "人员操作在登录会话之内", "acts lie in sessions", self.sessions),
            _Asked(
                2, "keys", "密钥登记在案、在有效期内", "keys are enrolled and in time", self.keys
            ),
            _Asked(2, "presence", "应有的都在", "what belongs to the case is there", self.presence),
            _Asked(2, "states", "所述与日志一致", "what is told is as logged", self.states),
            _Asked(
                2, "rulebook", "规则库是记录在案的", "the rules are those logged", self.rulebook
            ),
            _Asked(
                2, "facts", "事实与日志、记录一致", "facts agree with log and records", self.facts
            ),
            _Asked(
                3, "findings", "规则重新计算结论一致", "rules find the same again", self.findings
            ),
            _Asked(3, "pages", "证据清单重新生成一致", "the page is made again alike", self.pages),
        ]
        return [one for one in found if not self._old() or one.name not in _SINCE_2]

    def unknown(self, anchors: Anchors) -> list[str]:
        """Return the keys that this rests on and that the reader does not know.

        Stations' keys are told of by entries of the log; a bundle of version 1 has none of these.
        """
        found = anchors.unknown(self._keys)
        if self._old():
            folders = self._files.recordings()
            try:
                signers = {signer_of((one / "record.json").read_bytes()) for one in folders}
            except _BAD:
                return [*found, "station"]
            found += [
                key.name
                for key in self._keys.stations
                if key.kid in signers and key.fingerprint not in anchors.fingerprints
            ]
        return found

    def _old(self) -> bool:
        try:
            return self._files.version == 1
        except _BAD:
            return False

    def statement(self) -> Iterator[str]:
        files = self._files
        body = verify_document(
            (files.root / "bundle.json").read_bytes(), BUNDLE_DOMAIN, [self._keys.centre]
        )
        if body["v"] not in {1, BUNDLE_VERSION}:
            yield f"bundle.json: version {body['v']} is not known to this edition"
        if body["manifest"]["sha-256"] != digest_of(files.root / MANIFEST):
            yield f"{MANIFEST}: not the one that was signed"
        if body["checkpoint"]["sha-256"] != digest_of(files.data / "custody" / "checkpoint"):
            yield "custody/checkpoint: not the one that was signed"
        if body["case"] != files.case()["id"]:
            yield "case.json: another case"
        info = about_bag(files.case(), body["made_at"], body["software"])
        if (files.root / "bag-info.txt").read_bytes() != bag_info(info, *payload_size(files.root)):
            yield "bag-info.txt: not what statement and case make"
        if body["v"] != 1:
            yield from _detached(files.root, "bundle", BUNDLE_DOMAIN)
            yield from self._beside()

    def _beside(self) -> Iterator[str]:
        """Yield which copies for other tools are not what they are copies of."""
        custody = self._files.data / "custody"
        checkpoint = (custody / "checkpoint").read_text(encoding="utf-8")
        copies = dict(zip(_PLAIN, plain_signature(checkpoint, self._keys.log), strict=True))
        for name, copy in copies.items():
            if (custody / name).read_bytes() != copy:
                yield f"custody/{name}: not of this checkpoint"
        for path in sorted((self._files.data / "keys").glob("*.verify")):
            key = VerifyKey.from_json(json.loads(path.read_bytes()))
            if path.with_suffix(".pem").read_bytes() != pem(key):
                yield f"keys/{path.stem}.pem: not the key beside it"
        if (self._files.data / "VERIFY.md").read_bytes() != GUIDE.read_bytes():
            yield "VERIFY.md: not the guide of this edition"

    def records(self) -> Iterator[str]:
        for folder in self._files.recordings():
            try:
                yield from self._record(folder)
            except _BAD as error:
                yield f"{folder.name}: {_told(error)}"

    def _record(self, folder: Path) -> Iterator[str]:
        record = self._files.record(folder.name)
        if record.recording != folder.name:
            yield f"{folder.name}: the record is of {record.recording}"
        if digest_of(folder / "envelope.json") != record.envelope_digest.hex:
            yield f"{folder.name}: envelope changed"
        if (folder / "payload").exists():
            if digest_of(folder / "payload") != record.payload_digest.hex:
                yield f"{folder.name}: payload changed"
        else:
            (original,) = (folder / "original").iterdir()
            same = original.stat().st_size == record.size
            stated = read_against(original, record.digests)
            if not same or Algorithm.SHA256 in stated.differing():
                yield f"{folder.name}: original changed ({original.name})"
            elif differing := stated.differing():
                yield f"{folder.name}: the original has another digest by {', '.join(differing)}"
            if unknown := ", ".join(stated.unknown):
                yield Remark(f"{folder.name}: 本机不能计算 not worked out here: {unknown}")
        yield from _detached(folder, "record", RECORD_DOMAIN)

    def receipts(self) -> Iterator[str]:
        for folder in self._files.recordings():
            try:
                data = (folder / "receipt.json").read_bytes()
                receipt = Receipt.verify(data, self._keys.centre, self._keys.log)
                record = self._files.record(folder.name)
                sealed = (folder / "record.json").read_bytes()
            except _BAD as error:
                yield f"{folder.name}: {_told(error)}"
                continue
            if not receipt.covers(sealed, record.original, record.size):
                yield f"{folder.name}: the receipt is for another record"
            yield from _detached(folder, "receipt", RECEIPT_DOMAIN)

    def log(self) -> Iterator[str]:
        if self._files.version == 1:
            yield from log_check.whole_log(self._files)
            yield from log_check.own_proofs(self._files)
        else:
            yield from log_check.shared_proof(self._files)

    def origins(self) -> Iterator[str]:
        yield from log_check.origins(self._files)

    def chains(self) -> Iterator[str]:
        yield from chain_check.chains(self._files)

    def sessions(self) -> Iterator[str]:
        yield from session_check.sessions(self._files)

    def keys(self) -> Iterator[str]:
        yield from key_check.keys(self._files, self._states())

    def presence(self) -> Iterator[str]:
        yield from state_check.presence(self._files, self._states())
        if self._old():
            yield Remark("第 1 版证据包没有监管链,整条略去的不能发现 version 1 has no chains")

    def states(self) -> Iterator[str]:
        states = self._states()
        yield from state_check.case_as_logged(self._files, states)
        yield from state_check.records_as_logged(self._files, states)
        if self._files.version != 1:
            yield from state_check.list_as_logged(self._files, states)

    def rulebook(self) -> Iterator[str]:
        yield from verdict_check.rulebooks(self._files)

    def facts(self) -> Iterator[str]:
        if not self._old():
            yield from verdict_check.facts(self._files)
            return
        states = self._states().last
        records = {one.name: self._files.record(one.name) for one in self._files.recordings()}
        for folder in self._files.actions():
            facts = ActionFacts.from_json(self._files.json(f"actions/{folder.name}/facts.json"))
            yield from against_log(folder.name, facts, states)
            yield from against_records(facts, records, states)

    def findings(self) -> Iterator[str]:
        if not self._old():
            yield from verdict_check.findings(self._files)
            return
        rulebook = load(self._files.data / "rulebook")
        for folder in self._files.actions():
            facts = ActionFacts.from_json(self._files.json(f"actions/{folder.name}/facts.json"))
            told = self._files.json(f"actions/{folder.name}/findings.json")
            if canonical.encode(rulebook.evaluate(facts).to_json()) != canonical.encode(told):
                yield f"{folder.name}: the rules find something else"

    def pages(self) -> Iterator[str]:
        files = self._files
        judged = {folder.name: self._judged(folder) for folder in files.actions()}
        page = evidence_list(files.case(), files.json("evidence-list.json"), judged)
        if (files.data / "evidence-list.html").read_bytes() != page.encode():
            yield "evidence-list.html: not what the case and its findings make"

    def _judged(self, folder: Path) -> Judged:
        at = f"actions/{folder.name}"
        later = self._files.json(f"{at}/later.json") if (folder / "later.json").exists() else None
        return Judged(
            self._files.json(f"{at}/facts.json"), self._files.json(f"{at}/findings.json"), later
        )

    def _states(self) -> States:
        return States.of(self._files.entries)


def _detached(folder: Path, name: str, domain: str) -> Iterator[str]:
    """Yield copies for other tools that do not say what the document says."""
    message, signature = detached((folder / f"{name}.json").read_bytes(), domain)
    if (folder / f"{name}.message").read_bytes() != message:
        yield f"{folder.name}: {name}.message changed"
    if (folder / f"{name}.ed25519").read_bytes() != signature:
        yield f"{folder.name}: {name}.ed25519 changed"


def _told(error: BaseException) -> str:
    return str(error)[:300] or type(error).__name__


def main(arguments: Sequence[str]) -> int:
    """Verify a bundle folder under the keys that the arguments name; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m storage.bundle.verify")
    parser.add_argument("bundle", type=Path, help="证据包的文件夹 the bundle's folder")
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--keys", type=Path, help="另行取得的公钥目录 a folder of public keys")
    known.add_argument(
        "--fingerprint",
        type=read_fingerprint,
        action="append",
        help="公钥公告上的指纹,可重复 a fingerprint of the key letter; may be given several times",
    )
    given = parser.parse_args(arguments)
    try:
        named = Anchors.of_fingerprints(given.fingerprint) if given.fingerprint else None
        anchors = Anchors.of_folder(given.keys) if given.keys is not None else named
    except _BAD as error:
        parser.error(_told(error))
    report = verify(given.bundle, anchors)
    sys.stdout.write("\n".join(report.lines()) + "\n")
    return report.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
