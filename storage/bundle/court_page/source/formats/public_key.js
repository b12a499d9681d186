// Public keys as `*.verify` files have them: Ed25519 and ML-DSA-44, always both.

import { ed25519 } from '@noble/curves/ed25519.js';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { decodeBase64, demand, list, member, sameBytes, text } from './bytes.js';
import { parseJson } from './canonical_json.js';
import { digestHex } from './digests.js';

const FALSE_SIGNATURE = ['签名不真实', 'a signature is false'];

/** A public key pair; `former` are the origins that a log gave up, each with its last head. */
export class PublicKey {
    constructor(name, ed25519Key, mlDsaKey, former) {
        demand(ed25519Key.length === 32 && mlDsaKey.length === 1312, '公钥长度不对', 'a key of another length');
        this.name = name;
        this.ed25519 = ed25519Key;
        this.mlDsa = mlDsaKey;
        this.former = former;
        this.fingerprint = digestHex(ed25519Key, mlDsaKey);
        this.kid = this.fingerprint.slice(0, 16);
    }

    isSamePair(other) {
        return sameBytes(this.ed25519, other.ed25519) && sameBytes(this.mlDsa, other.mlDsa);
    }

    /** Tell whether two keys are one in every member, as a log's entry has to tell of it. */
    isSame(other) {
        return this.name === other.name && this.isSamePair(other) && this.#formerText() === other.#formerText();
    }

    /** Throw unless Ed25519 signed the message: RFC 8032, without the laxness of ZIP 215. */
    verifyEd25519(signature, message) {
        let genuine = false;
        try {
            genuine = ed25519.verify(signature, message, this.ed25519, { zip215: false });
        } catch { /* a signature of another length, or a key that is no point */ }
        demand(genuine, ...FALSE_SIGNATURE);
    }

    /** Throw unless ML-DSA-44 signed the message: FIPS 204, pure, with the empty context. */
    verifyMlDsa(signature, message) {
        let genuine = false;
        try {
            genuine = ml_dsa44.verify(signature, message, this.mlDsa);
        } catch { /* a signature of another length */ }
        demand(genuine, ...FALSE_SIGNATURE);
    }

    #formerText() {
        return JSON.stringify(this.former.map(({ origin, size, root }) => [origin, size, root]));
    }
}

/** Read the text of a `*.verify` file. */
export function readPublicKey(bytes) {
    const content = parseJson(bytes);
    const former = Object.hasOwn(content, 'former') ? list(content.former, 'former').map(readFormer) : [];
    const key = new PublicKey(
        text(member(content, 'name'), 'name'),
        decodeBase64(member(content, 'Ed25519')),
        decodeBase64(member(content, 'ML-DSA-44')),
        former,
    );
    demand(key.kid === member(content, 'kid'), 'kid 是另一把公钥的', 'kid is of another key');
    return key;
}

function readFormer(content) {
    const size = member(content, 'size');
    demand(Number.isSafeInteger(size) && size >= 0, 'former 的 size 不对', 'former: size');
    return {
        origin: text(member(content, 'origin'), 'origin'),
        size,
        root: text(member(content, 'root'), 'root'),
    };
}

/** Return a fingerprint in groups of eight, as the key letter prints it. */
export const groupFingerprint = (fingerprint) => fingerprint.match(/.{8}/g).join(' ');
