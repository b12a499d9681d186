"""What a dishonest centre leaves out of a bundle, or says in it, with its real key."""

import json
from collections.abc import Callable
from typing import Any

from policies.rules.rulebook import load_rulebook
from storage.digest import Digest
from storage.record import RECEIPT_DOMAIN, RECORD_DOMAIN
from tests.attacks.attack import Attack, Means
from tests.attacks.dishonest_centre import LyingBundle


def _lie(
    asset: str,
    act: str,
    level: int,
    check: str,
    tell: Callable[[LyingBundle], None],
    *,
    held_before: bool = False,
) -> Attack:
    return Attack(
        asset=asset,
        act=act,
        means=Means.CENTRE_KEY,
        level=level,
        check=check,
        do=tell,
        held_before=held_before,
    )


def _sealed_anew(
    asset: str,
    act: str,
    tell: Callable[[LyingBundle], None],
    level: int = 2,
    check: str = "states",
) -> Attack:
    """Return an attack with the station's key, too; before, nothing compared record and log."""
    return Attack(asset=asset, act=act, means=Means.ALL_KEYS, level=level, check=check, do=tell)


def _recording(bundle: LyingBundle) -> str:
    return bundle.recordings()[0]


def _about(*parts: str) -> Callable[[dict[str, Any]], bool]:
    """Pick entries whose leaf or details hold all of these texts."""
    return lambda one: all(part in str(one) for part in parts)


def _leave_out_recording(bundle: LyingBundle) -> None:
    bundle.remove(f"recordings/{_recording(bundle)}")


def _leave_out_recording_with_entries(bundle: LyingBundle) -> None:
    name = _recording(bundle)
    bundle.without(lambda one: f"recording:{name}" in one["leaf"] and "export" not in one["leaf"])
    bundle.remove(f"recordings/{name}")


def _leave_out_all_recordings(bundle: LyingBundle) -> None:
    bundle.without(lambda one: '"recording:' in one["leaf"] and "export" not in one["leaf"])
    for name in bundle.recordings():
        bundle.remove(f"recordings/{name}")


def _leave_out_action(bundle: LyingBundle) -> None:
    action = bundle.action()
    bundle.without(lambda one: f"action:{action}" in one["leaf"] and "export" not in one["leaf"])
    bundle.remove(f"actions/{action}")


def _leave_out(*parts: str) -> Callable[[LyingBundle], None]:
    def tell(bundle: LyingBundle) -> None:
        bundle.without(_about(*parts))

    return tell


def _leave_out_export(bundle: LyingBundle) -> None:
    bundle.without(lambda one: "bundle.export" in one["leaf"])


def _close_entry(bundle: LyingBundle) -> None:
    every = bundle.entries()
    one = next(one for one in every if "action.close" in one["leaf"])
    del one["details"], one["salt"]
    bundle.put_entries(every)


def _say(path: str, **told: Any) -> Callable[[LyingBundle], None]:
    def tell(bundle: LyingBundle) -> None:
        bundle.change(path, lambda found: found.update(told))

    return tell


def _say_of_recording(**told: Any) -> Callable[[LyingBundle], None]:
    return lambda bundle: bundle.change(
        "evidence-list.json", lambda found: found["recordings"][0].update(told)
    )


def _say_of_action(**told: Any) -> Callable[[LyingBundle], None]:
    return lambda bundle: bundle.change(
        "evidence-list.json", lambda found: found["actions"][bundle.action()].update(told)
    )


def _judged_later(bundle: LyingBundle) -> None:
    _say_of_action(judged_at="2026-11-20T03:00:00+00:00")(bundle)


def _shorten_list(bundle: LyingBundle) -> None:
    bundle.change("evidence-list.json", lambda found: found["recordings"].pop())


def _page(bundle: LyingBundle) -> None:
    bundle.put("evidence-list.html", "<h1>证据清单</h1> 全部符合".encode())


def _guide(bundle: LyingBundle) -> None:
    bundle.put("VERIFY.md", b"```sh\necho OK\n```\n")


def _other_pem(bundle: LyingBundle) -> None:
    pem = (bundle.data / "keys" / "log.pem").read_bytes()
    bundle.put("keys/centre.pem", pem)


def _rules_loosened(bundle: LyingBundle) -> None:
    for path in (bundle.data / "rulebook").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace("severity: blocks", "severity: warns")
        bundle.put(str(path.relative_to(bundle.data)), text.encode())


def _rules_under_their_own_digest(bundle: LyingBundle) -> None:
    _rules_loosened(bundle)
    (folder,) = (bundle.data / "rulebook").iterdir()
    folder.rename(folder.with_name(load_rulebook(folder).digest))


def _rules_left_out(bundle: LyingBundle) -> None:
    bundle.remove(str(min((bundle.data / "rulebook").rglob("*.yaml")).relative_to(bundle.data)))


def _facts(change: Callable[[dict[str, Any]], None]) -> Callable[[LyingBundle], None]:
    return lambda bundle: bundle.change(f"actions/{bundle.action()}/facts.json", change)


def _findings(bundle: LyingBundle) -> None:
    bundle.change(f"actions/{bundle.action()}/findings.json", lambda found: found["findings"].pop())


def _swap_originals(bundle: LyingBundle) -> None:
    first, second = bundle.recordings()[:2]
    files = [next((bundle.data / f"recordings/{n}/original").iterdir()) for n in (first, second)]
    one, other = (path.read_bytes() for path in files)
    bundle.put(str(files[0].relative_to(bundle.data)), other)
    bundle.put(str(files[1].relative_to(bundle.data)), one)


def _doctored(bundle: LyingBundle) -> None:
    """Change a recording, seal it anew by its station's key, receipt it anew by the centre's."""
    at = f"recordings/{_recording(bundle)}"
    (original,) = (bundle.data / at / "original").iterdir()
    data = bytearray(original.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    bundle.put(str(original.relative_to(bundle.data)), bytes(data))
    record = bundle.json(f"{at}/record.json")["body"]
    record["digests"]["sha-256"] = Digest.compute(bytes(data)).hex
    signed = bundle.put_signed(f"{at}/record", RECORD_DOMAIN, record)
    receipt = bundle.json(f"{at}/receipt.json")["body"]
    receipt |= {"record": str(Digest.compute(signed)), "original": str(Digest.compute(bytes(data)))}
    bundle.put_signed(f"{at}/receipt", RECEIPT_DOMAIN, receipt)


def _moved_by_its_station(bundle: LyingBundle) -> None:
    _signed_anew(
        bundle,
        lambda record: record["clocks"].update(file_start="2026-11-20T00:00:00+00:00"),
    )


def _false_sm3(bundle: LyingBundle) -> None:
    _signed_anew(bundle, lambda record: record["digests"].update(sm3="0" * 64))


def _signed_anew(bundle: LyingBundle, change: Callable[[dict[str, Any]], None]) -> None:
    at = f"recordings/{_recording(bundle)}"
    record = bundle.json(f"{at}/record.json")["body"]
    change(record)
    signed = bundle.put_signed(f"{at}/record", RECORD_DOMAIN, record)
    receipt = bundle.json(f"{at}/receipt.json")["body"]
    bundle.put_signed(
        f"{at}/receipt", RECEIPT_DOMAIN, receipt | {"record": str(Digest.compute(signed))}
    )


def _swap_receipts(bundle: LyingBundle) -> None:
    first, second = bundle.recordings()[:2]
    for part in ("json", "message", "ed25519"):
        paths = [f"recordings/{name}/receipt.{part}" for name in (first, second)]
        one, other = ((bundle.data / path).read_bytes() for path in paths)
        bundle.put(paths[0], other)
        bundle.put(paths[1], one)


def _older_checkpoint(bundle: LyingBundle) -> None:
    receipt = json.loads(
        (bundle.data / f"recordings/{_recording(bundle)}/receipt.json").read_bytes()
    )
    note = receipt["body"]["proof"].split("\n\n", 1)[1]
    bundle.put("custody/checkpoint", note.encode())


ATTACKS = (
    _lie("recording", "left out, its entries kept", 2, "presence", _leave_out_recording),
    _lie("recording", "left out with its entries", 2, "chains", _leave_out_recording_with_entries),
    _lie("recordings", "all left out with their entries", 2, "chains", _leave_out_all_recordings),
    _lie("action", "left out with its entries", 2, "chains", _leave_out_action),
    _lie("entry", "refused closing left out", 2, "chains", _leave_out("refused"), held_before=True),
    _lie("entry", "a link left out", 2, "chains", _leave_out("exhibit.confirm"), held_before=True),
    _lie("entry", "a moment left out", 2, "chains", _leave_out("moment.mark"), held_before=True),
    _lie(
        "entry", "a document left out", 2, "chains", _leave_out("document.enter"), held_before=True
    ),
    _lie(
        "entry",
        "the opening of the case left out",
        2,
        "chains",
        _leave_out("case.open"),
        held_before=True,
    ),
    _lie(
        "entry",
        "an officer's registration left out",
        2,
        "chains",
        _leave_out("person.add"),
        held_before=True,
    ),
    _lie("entry", "the export's own left out", 2, "chains", _leave_out_export, held_before=True),
    _lie("entry", "the closing left unopened", 2, "chains", _close_entry, held_before=True),
    _lie("case.json", "other party", 2, "states", _say("case.json", party="钱某")),
    _lie("case.json", "other stage", 2, "states", _say("case.json", stage="filing")),
    _lie("case.json", "other title", 2, "states", _say("case.json", title="无")),
    _lie("case.json", "other number", 2, "states", _say("case.json", number="9号")),
    _lie(
        "case.json",
        "another case's id",
        2,
        "chains",
        _say("case.json", id="0" * 32),
        held_before=True,
    ),
    _lie("case.json", "a member that no entry has", 2, "states", _say("case.json", plea="guilty")),
    _lie("evidence list", "other officer", 2, "states", _say_of_action(officers=["王五"])),
    _lie("evidence list", "other place", 2, "states", _say_of_action(place="别处")),
    _lie("evidence list", "other status", 2, "states", _say_of_action(status="open")),
    _lie("evidence list", "an exhibit less", 2, "states", _say_of_action(exhibits=[])),
    _lie("evidence list", "other file name", 2, "states", _say_of_recording(name="别.MP4")),
    _lie(
        "evidence list",
        "moved in time",
        2,
        "states",
        _say_of_recording(start_at="2026-11-20T00:00:00+00:00"),
    ),
    _lie(
        "evidence list", "other recorder's officer", 2, "states", _say_of_recording(officer="王五")
    ),
    _lie(
        "evidence list",
        "made by somebody else",
        2,
        "states",
        _say("evidence-list.json", made_by="王五"),
    ),
    _lie("evidence list", "a shorter log", 2, "states", _say("evidence-list.json", entries=7)),
    _lie("evidence list", "a recording less", 2, "states", _shorten_list),
    _lie("evidence list", "another page", 3, "pages", _page),
    _lie("guide", "commands that only say OK", 1, "statement", _guide),
    _lie("key", "another key as centre.pem", 1, "statement", _other_pem),
    _lie("rulebook", "every block a warning", 2, "rulebook", _rules_loosened),
    _lie("rulebook", "under its own digest", 2, "rulebook", _rules_under_their_own_digest),
    _lie("rulebook", "a file left out", 2, "rulebook", _rules_left_out),
    _lie("evidence list", "judged at another time", 3, "findings", _judged_later),
    _lie(
        "facts",
        "the action shortened",
        3,
        "findings",
        _facts(lambda found: found.update(end="2026-11-20T01:00:09+00:00")),
        held_before=True,
    ),
    _lie(
        "facts",
        "footage less",
        3,
        "findings",
        _facts(lambda found: found["footage"].pop()),
        held_before=True,
    ),
    _lie(
        "facts",
        "an officer not certified",
        3,
        "findings",
        _facts(lambda found: found["officers"][0].update(certified=False)),
        held_before=True,
    ),
    _lie("findings", "one left out", 3, "findings", _findings, held_before=True),
    _lie("original", "two swapped", 1, "records", _swap_originals, held_before=True),
    _sealed_anew("original", "doctored, sealed and receipted anew", _doctored),
    _sealed_anew("record", "its file's time moved, signed anew", _moved_by_its_station),
    _sealed_anew("record", "another SM3, signed anew", _false_sm3, 1, "records"),
    _lie("receipt", "two swapped", 1, "receipts", _swap_receipts, held_before=True),
    _lie("checkpoint", "an older one", 1, "log", _older_checkpoint, held_before=True),
)

UNDETECTED = (
    """One bundle does not show entries left off the end, or a second history told to somebody else:
whoever has seen another head finds both (docs/spec/bundle.md section 5).""",
    """What was never logged, and a history written anew before anybody outside saw a head.""",
    """One bundle does not tell whether an officer was certified, who had a recorder, or which footage
was nearby: the facts of a closing are believed in these (docs/spec/bundle.md section 3).""",
)
