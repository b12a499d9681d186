"""L2 of a bundle's acts: each lies in a session, as far as the acts themselves tell.

The chains of sessions stay with the office: they would tell of a person's other logins. But each
act names the head of its session's chain: how many entries it had, and the digest of the last one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from policies.identifiers import Subject
from storage.bundle.reading import BundleFiles, GivenEntry
from storage.bundle.report import Remark
from storage.custody.entries.chain import ChainHead

_PERSON = "person:"
_OPENED, _CLOSED = 1, 2  # how many entries a session's chain has then


@dataclass(frozen=True, slots=True)
class _Named:
    """A session as an act names it: whose it is, and where its chain stood."""

    actor: str
    head: ChainHead


def check_sessions(bundle: BundleFiles) -> Iterator[str]:
    """Yield the acts of persons that contradict each other, or name no session that was opened."""
    mentions: dict[str, _Named] = {}
    began: str | None = None  # when the first act that names a session was done
    acts = list(_list_acts(bundle))
    for act in acts:
        yield from _out_of_time(act, began)
        if (name := _session_name(act)) is not None:
            # The first act that names a session: from there on each has to.
            began = began or act.entry["at"]
            named = _read_session(act, Subject.of_session(name))
            yield from _not_open(act, named, mentions.get(name, named))
            mentions[name] = named
    naming = sum(_session_name(act) is not None for act in acts)
    yield Remark(
        f"{naming}/{len(acts)} 项人员操作写明登录会话;会话何时登记、何时结束,须在机构内核验"
        f" acts name their session; when it began and ended, the office's own audit tells"
    )


def _list_acts(bundle: BundleFiles) -> Iterator[GivenEntry]:
    for act in bundle.entries:
        entry = act.entry
        if entry["v"] != 1 and act.details is not None and entry["actor"].startswith(_PERSON):
            yield act


def _session_name(act: GivenEntry) -> str | None:
    return (act.details or {}).get("session")


def _asked_at(act: GivenEntry) -> str | None:
    return (act.details or {}).get("asked_at")


def _read_session(act: GivenEntry, session: str) -> _Named:
    """Return the actor and session head that an act names. Raises: KeyError, CustodyError."""
    # An act that opens or closes a session continues its chain; all others name its head.
    head = {**act.entry["chains"], **act.entry["heads"]}[session]
    return _Named(act.entry["actor"], ChainHead.from_json(head))


def _out_of_time(act: GivenEntry, began: str | None) -> Iterator[str]:
    """Yield problems of an act's request time; `began` is the time of the first act."""
    asked_at = _asked_at(act)
    if asked_at is not None and asked_at > act.entry["at"]:
        yield f"entry {act.index}: asked for after it was done"
    # What was asked for before sessions stood in the log belongs to none.
    older = began is None or (asked_at is not None and asked_at < began)
    if _session_name(act) is None and not older:
        yield f"entry {act.index}: an act of {act.entry['actor']} in no session"


def _not_open(act: GivenEntry, named: _Named, before: _Named) -> Iterator[str]:
    """Yield problems of an act's session; `before` is the session by an earlier act."""
    # What a job does later may find the session closed; what a person does himself may not.
    ended = named.head.count == _CLOSED and _asked_at(act) is not None
    if named.head.count != _OPENED and not ended:
        yield f"entry {act.index}: in a session that was not open"
    if named.actor != before.actor:
        yield f"entry {act.index}: in a session of {before.actor}"
    # One session has at most two heads, the later of them longer.
    if named.head != before.head and named.head.count <= before.head.count:
        yield f"entry {act.index}: in a session of another opening"
