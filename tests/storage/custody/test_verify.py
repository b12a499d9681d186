"""An entry, its proof and its checkpoint, as a stranger checks them."""

import json

import pytest

from storage.custody.checkpoint import log_keys
from storage.custody.entries.chain import EMPTY
from storage.custody.entries.event import Event, Outcome, PremisType, details_digest, parse_leaf
from storage.custody.merkle import tree
from storage.custody.merkle.proof import Proof
from storage.custody.verify import verify_details, verify_entry
from storage.errors import CustodyError, LiuhenError, SignatureError
from storage.signed.signing import SigningKey

SALT = bytes(16)
DETAILS = {"name": "张三.mp4", "size": 12}


@pytest.fixture
def event(now):
    return Event(
        act="recording.accession",
        event=PremisType.ACCESSION,
        at=now,
        actor="station:s1",
        subject="recording:0190-aa",
        details=DETAILS,
        chains={"recording:0190-aa": EMPTY},
    )


@pytest.fixture
def proved(log, signer, event, now):
    for number in range(5):
        log.add(b"entry %d" % number)
    log.add(event.encode_leaf(SALT))
    log.add(b"later")
    with signer.hold() as held:
        checkpoint = held.sign(7, log.root(), [], now)
    path = tuple(tree.inclusion_proof(5, 7, log.node))
    return event.encode_leaf(SALT).decode(), Proof(5, path, checkpoint).encode()


def test_an_entry_is_proved_and_its_details_open_it(proved, signer):
    verified = verify_entry(*proved, signer.keys)
    assert (verified.index, verified.head.size) == (5, 7)
    assert verified.entry["act"] == "recording.accession"
    verify_details(verified.entry, DETAILS, SALT)


def test_changed_details_do_not_open_the_entry(proved, signer):
    verified = verify_entry(*proved, signer.keys)
    with pytest.raises(CustodyError):
        verify_details(verified.entry, {**DETAILS, "size": 13}, SALT)
    with pytest.raises(CustodyError):
        verify_details(verified.entry, DETAILS, bytes([1] * 16))


def test_every_changed_character_of_a_proof_is_refused(proved, signer):
    leaf, proof = proved
    for position, character in enumerate(proof):
        other = "B" if character == "A" else "A"
        with pytest.raises(LiuhenError):
            verify_entry(leaf, proof[:position] + other + proof[position + 1 :], signer.keys)


def test_every_changed_character_of_an_entry_is_refused(proved, signer):
    leaf, proof = proved
    for position, character in enumerate(leaf):
        other = "0" if character != "0" else "1"
        with pytest.raises(LiuhenError):
            verify_entry(leaf[:position] + other + leaf[position + 1 :], proof, signer.keys)


def test_a_log_that_another_key_signed_is_refused(proved, signer):
    stranger = SigningKey.from_seeds("log", bytes(64)).verify_key()
    with pytest.raises(SignatureError):
        verify_entry(*proved, log_keys(stranger, signer.origin))


def test_extra_data_is_skipped(proved, signer):
    leaf, proof = proved
    header, rest = proof.split("\n", 1)
    assert verify_entry(leaf, f"{header}\nextra QQ==\n{rest}", signer.keys).index == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v2\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n\n",
        "c2sp.org/tlog-proof@v1\nindex x\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + "A" * 43 + "=\n" * 65 + "\n\n",
    ],
)
def test_a_malformed_proof_is_refused(text):
    with pytest.raises(CustodyError):
        Proof.parse(text)


def test_a_leaf_holds_ids_and_a_digest_and_no_words(event):
    leaf = json.loads(event.encode_leaf(SALT))
    assert "张三" not in event.encode_leaf(SALT).decode()
    assert leaf["details"] == details_digest(DETAILS, SALT)
    assert leaf["at"] == "2026-11-23T02:00:00.000000Z"
    assert parse_leaf(event.encode_leaf(SALT)) == leaf


def test_a_name_is_not_an_opaque_id(now):
    for actor in ("张三", "officer Zhang", "person:张三", "person:", "person:" + "a" * 65):
        with pytest.raises(CustodyError):
            Event("a.b", PremisType.CREATION, now, actor, "system")
        with pytest.raises(CustodyError):
            Event("a.b", PremisType.CREATION, now, "system", actor)


def test_a_naive_time_is_refused(now):
    with pytest.raises(CustodyError):
        Event("a.b", PremisType.CREATION, now.replace(tzinfo=None), "system", "system")


def test_a_refused_act_is_an_entry_too(event):
    refused = Event(
        event.act, event.event, event.at, event.actor, event.subject, Outcome.REFUSED
    ).encode_leaf(SALT)
    assert json.loads(refused)["outcome"] == "refused"


def test_a_short_salt_is_refused(event):
    with pytest.raises(CustodyError):
        event.encode_leaf(b"short")


@pytest.mark.parametrize("leaf", ["[]", "{}", '{"v":2}', "null", "1"])
def test_json_that_is_no_entry_is_refused(leaf):
    with pytest.raises(CustodyError):
        parse_leaf(leaf.encode())
