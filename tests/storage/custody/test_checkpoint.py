"""Notes and checkpoints: the specification's examples, and everything that must be refused."""

import pytest

from storage.custody.checkpoint import (
    Checkpoint,
    log_keys,
    open_checkpoint,
    sign_checkpoint,
    untrusted_checkpoint,
)
from storage.custody.note import NoteKey, SignatureType, parse_note, verify_ed25519
from storage.errors import SignatureError

ORIGIN = "liuhen.test/log"
HEAD = Checkpoint(ORIGIN, 20852163, bytes(range(32)))

# The example of C2SP signed-note, and its key as Go's sumdb/note documents it.
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


@pytest.fixture
def keys(key):
    return log_keys(key.verify_key(), ORIGIN)


@pytest.fixture
def signed(key, now):
    return sign_checkpoint(HEAD, key, now)


def test_a_note_by_another_implementation_verifies():
    text = verify_ed25519(parse_note(PETER_NOTE), NoteKey.parse(PETER_VKEY))
    assert text.startswith("If you think cryptography")


def test_a_vkey_reads_back(keys):
    for key in keys:
        assert NoteKey.parse(key.vkey) == key


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000+AQ==",
        PETER_VKEY.replace("c74f20a3", "c74f20a4"),
        PETER_VKEY.replace("+AR", "+Af"),
        PETER_VKEY.replace("PeterNeumann", "Peter Neumann"),
        PETER_VKEY + "!",
    ],
)
def test_a_malformed_vkey_is_refused(vkey):
    with pytest.raises(SignatureError):
        NoteKey.parse(vkey)


def test_a_signed_head_opens(signed, keys):
    assert open_checkpoint(signed, keys) == HEAD
    assert untrusted_checkpoint(signed) == HEAD


def test_lines_by_strangers_are_ignored(signed, keys):
    assert open_checkpoint(signed + "— witness.example AAAAAAAA\n", keys) == HEAD


def test_every_changed_character_is_refused(signed, keys):
    for position, character in enumerate(signed):
        other = "B" if character == "A" else "A"
        with pytest.raises(SignatureError):
            open_checkpoint(signed[:position] + other + signed[position + 1 :], keys)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_stripped_signature_is_refused(signed, keys, kept):
    note = parse_note(signed)
    stripped = type(note)(note.untrusted_text, (note.signatures[kept],)).encode()
    with pytest.raises(SignatureError):
        open_checkpoint(stripped, keys)


def test_a_checkpoint_of_another_log_is_refused(key, now):
    signed = sign_checkpoint(HEAD, key, now)
    with pytest.raises(SignatureError):
        open_checkpoint(signed, log_keys(key.verify_key(), "another.test/log"))


def test_no_key_verifies_nothing(signed):
    with pytest.raises(SignatureError):
        open_checkpoint(signed, ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        f"{ORIGIN}\n01\n{HEAD.text.split()[2]}\n",
        f"{ORIGIN}\n-1\n{HEAD.text.split()[2]}\n",
        f"{ORIGIN}\n{1 << 63}\n{HEAD.text.split()[2]}\n",
        f"{ORIGIN}\n1\nAAAA\n",
        f"\n1\n{HEAD.text.split()[2]}\n",
        HEAD.text + "extension\n",
    ],
)
def test_a_malformed_head_is_refused(text):
    with pytest.raises(SignatureError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "note",
    ["", "text", "text\n\n", "text\n\n— name\n", "text\n\n— name A\n", "a\x00\n\n— n AAAAAAAA\n"],
)
def test_a_malformed_note_is_refused(note):
    with pytest.raises(SignatureError):
        parse_note(note)


def test_the_quantum_signature_covers_the_name(keys):
    message = HEAD.cosigned_message(ORIGIN, 0)
    assert message.startswith(b"subtree/v1\n\0\x0f" + ORIGIN.encode())
    assert keys[1].type is SignatureType.ML_DSA_44
