"""The page's digests, signatures and canonical JSON, beside OpenSSL's, hashlib's and our own."""

import base64
import hashlib
import json
import random

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from storage.bundle.court_page.build import link_modules
from storage.record import RECEIPT_DOMAIN, RECORD_DOMAIN
from storage.signed import canonical
from tests.court_page import open_chromium
from tests.docs.test_paths import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
VECTORS = ROOT / "docs/spec/vectors/valid"
CHANCE = random.Random("court")
ORDER = 2**252 + 27742317777372353535851937790883648493  # of Ed25519's group (RFC 8032 5.1)
# Points of small order, and encodings that RFC 8032 5.1.3 forbids: y not below p, x zero with a sign.
WEAK = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("0100000000000000000000000000000000000000000000000000000000000080"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


@pytest.fixture(scope="module")
def script():
    """Call a function of the page's modules; bytes go in and out as base64."""
    with open_chromium() as browser:
        page = browser.new_page()

        def call(module, expression, argument):
            linked = link_modules(f"source/formats/{module}.js").replace("'use strict';\n", "", 1)
            page.evaluate(f"() => {{ window.module = {linked} }}")
            return page.evaluate(
                f"async argument => {{ const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));"
                f" const out = data => btoa(String.fromCharCode(...data)); {expression} }}",
                argument,
            )

        yield call


def b64(data):
    return base64.b64encode(data).decode()


def test_digests_of_any_length_are_hashlibs(script):
    texts = [
        CHANCE.randbytes(size) for size in (*range(0, 200, 7), 55, 56, 63, 64, 65, 119, 120, 70_001)
    ]
    found = script(
        "digests",
        """return Promise.all(argument.map(async one => {
          const data = bytes(one), cut = data.length / 3 | 0;
          async function* blocks() { yield data.subarray(0, cut); yield data.subarray(cut); }
          return module.digestStream(blocks(), ['sha-256', 'sm3'], () => {});
        }))""",
        [b64(one) for one in texts],
    )
    assert [one["sha-256"] for one in found] == [hashlib.sha256(one).hexdigest() for one in texts]
    if "sm3" in hashlib.algorithms_available:
        assert [one["sm3"] for one in found] == [
            hashlib.new("sm3", one).hexdigest() for one in texts
        ]
    # GB/T 32905-2016 appendix A.1
    (abc,) = script(
        "digests",
        "return [(await module.digestStream([bytes(argument)], ['sm3'], () => {})).sm3]",
        b64(b"abc"),
    )
    assert abc == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"


def verified(script, method, cases):
    """Ask the page of (key, signature, message) cases; its other key is one that does not matter."""
    own = {"verifyEd25519": 0, "verifyMlDsa": 1}[method]
    return script(
        "public_key",
        f"""return argument.map(([key, signature, message]) => {{
          try {{
            const pair = [new Uint8Array(32), new Uint8Array(1312)];
            pair[{own}] = bytes(key);
            new module.PublicKey('x', ...pair, []).{method}(bytes(signature), bytes(message));
            return true;
          }} catch {{ return false; }}
        }})""",
        [[b64(part) for part in case] for case in cases],
    )


def openssl_takes(load, key, signature, message):
    try:
        load(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def mutations(key, signature, message):
    """Yield the case itself, and what differs from it in one place."""
    yield key, signature, message
    for place in CHANCE.sample(range(len(signature)), min(24, len(signature))):
        changed = bytearray(signature)
        changed[place] ^= 1 << CHANCE.randrange(8)
        yield key, bytes(changed), message
    for place in CHANCE.sample(range(len(key)), 6):
        changed = bytearray(key)
        changed[place] ^= 1 << CHANCE.randrange(8)
        yield bytes(changed), signature, message
    for other in (
        b"",
        signature[:-1],
        signature + b"\0",
        bytes(len(signature)),
        b"\xff" * len(signature),
    ):
        yield key, other, message
    yield key, signature, message + b"\0"


def test_ed25519_is_openssls_on_every_mutation_and_edge(script):
    cases = []
    for _ in range(6):
        private = ed25519.Ed25519PrivateKey.from_private_bytes(CHANCE.randbytes(32))
        message = CHANCE.randbytes(CHANCE.randrange(200))
        key, signature = private.public_key().public_bytes_raw(), private.sign(message)
        cases += mutations(key, signature, message)
        # Malleability: S + L is the same number of the group, and RFC 8032 5.1.7 forbids it.
        scalar = int.from_bytes(signature[32:], "little") + ORDER
        cases.append((key, signature[:32] + scalar.to_bytes(32, "little"), message))
    for weak in WEAK[2:]:
        cases += [(key, weak + bytes(32), message), (key, weak + signature[32:], message)]
    took = [openssl_takes(ed25519.Ed25519PublicKey.from_public_bytes, *case) for case in cases]
    assert verified(script, "verifyEd25519", cases) == took
    assert sum(took) == 6


def test_a_key_of_small_order_signs_nothing(script):
    """Under such a key OpenSSL takes one signature for many messages; the page takes none."""
    cases = [(key, one + bytes(32), b"anything") for key in WEAK for one in WEAK]
    assert not any(verified(script, "verifyEd25519", cases))


def test_ml_dsa_44_is_openssls_on_every_mutation(script):
    cases = []
    for _ in range(4):
        private = mldsa.MLDSA44PrivateKey.from_seed_bytes(CHANCE.randbytes(32))
        message = CHANCE.randbytes(CHANCE.randrange(200))
        key = private.public_key().public_bytes_raw()
        cases += mutations(key, private.sign(message), message)
        cases.append((key, private.sign(message, context=b"another"), message))
        # The hint's last bytes: counts that run back, and places that are not in order.
        signature = private.sign(message)
        for tail in (b"\xff", b"\0", signature[-2:-1]):
            cases.append((key, signature[:-1] + tail, message))
        cases.append(
            (
                key,
                signature[:-84] + signature[-83:-82] + signature[-84:-83] + signature[-82:],
                message,
            )
        )
    took = [openssl_takes(mldsa.MLDSA44PublicKey.from_public_bytes, *case) for case in cases]
    assert verified(script, "verifyMlDsa", cases) == took
    assert sum(took) >= 4


@pytest.mark.parametrize(
    ("name", "signer", "domain"),
    [("record", "station", RECORD_DOMAIN), ("receipt", "centre", RECEIPT_DOMAIN)],
)
def test_our_own_vectors_are_read(name, signer, domain, script, tmp_path):
    raw = (VECTORS / f"{name}.json").read_bytes()
    key = json.loads((VECTORS / f"{signer}.verify").read_bytes())
    pair = [key["Ed25519"], key["ML-DSA-44"]]
    source = """
      const [raw, domain, [first, second]] = argument;
      const sized = text => bytes(text);
      const key = { kid: KID, verifyEd25519: () => {}, verifyMlDsa: () => {} };
      return module.readSigned(sized(raw), domain, [key]);
    """.replace("KID", json.dumps(key["kid"]))
    assert script("signed_document", source, [b64(raw), domain, pair]) == json.loads(raw)["body"]
    message = base64.b64decode(
        script(
            "signed_document",
            "return out(module.detachSignature(bytes(argument[0]), argument[1])[0])",
            [b64(raw), domain],
        )
    )
    signatures = {one["alg"]: base64.b64decode(one["sig"]) for one in json.loads(raw)["signatures"]}
    for method, algorithm in (("verifyEd25519", "Ed25519"), ("verifyMlDsa", "ML-DSA-44")):
        case = (base64.b64decode(key[algorithm]), signatures[algorithm], message)
        assert verified(script, method, [case, (*case[:2], message + b" ")]) == [True, False]


def random_json(depth=0):
    kinds = ["text", "whole", "part", "word"] + ["list", "object"] * (depth < 4)
    kind = CHANCE.choice(kinds)
    if kind == "text":
        return "".join(
            CHANCE.choice('ab"\\/\b\n\r\t\x01\x7fé中\u2028😀\ufeff')
            for _ in range(CHANCE.randrange(8))
        )
    if kind == "whole":
        return CHANCE.randrange(-(2**53) + 1, 2**53)
    if kind == "part":
        return CHANCE.choice(
            [0.1, -0.0, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, CHANCE.uniform(-1e6, 1e6)]
        )
    if kind == "word":
        return CHANCE.choice([None, True, False])
    if kind == "list":
        return [random_json(depth + 1) for _ in range(CHANCE.randrange(4))]
    return {
        "".join(CHANCE.choice("a中😀\ufb33_") for _ in range(3)): random_json(depth + 1)
        for _ in range(CHANCE.randrange(4))
    }


def test_canonical_json_is_ours(script):
    values = [random_json() for _ in range(400)]
    encoded = [b64(canonical.encode(value)) for value in values]
    again = script(
        "canonical_json",
        "return argument.map(one => out(module.encodeCanonical(module.parseExact(bytes(one)))))",
        encoded,
    )
    assert again == encoded


def test_json_of_another_spelling_is_refused(script):
    spellings = [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b"1.0",
        b"1e2",
        b"-0",
        b'"\\u0041"',
        b'"\\/"',
        b" 1",
        b"1\n",
        b'{"a":9007199254740993}',
        b"\xef\xbb\xbf1",
        b'"\xff"',
        b'"\\ud800"',
        b"NaN",
        b"",
        b"[" * 100 + b"]" * 100,
    ]
    taken = script(
        "canonical_json",
        "return argument.filter(one => { try { module.parseExact(bytes(one)); return true } catch { return false } })",
        [b64(one) for one in spellings],
    )
    assert taken == []
