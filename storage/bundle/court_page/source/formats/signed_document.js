// Signed documents: one body under both signatures of one key (sealed-object.md section 5).

import { decodeBase64, demand, encodeText, hasExactly, joinBytes, list, member } from './bytes.js';
import { encodeCanonical, parseExact } from './canonical_json.js';

const ALGORITHMS = ['Ed25519', 'ML-DSA-44'];

/** Return the body of a document that carries both signatures of one of the keys. */
export function readSigned(bytes, domain, keys) {
    const signed = parseExact(bytes);
    demand(hasExactly(signed, ['body', 'signatures']), '签名文件的成员不对', 'members beside body and signatures');
    const signatures = list(signed.signatures, 'signatures');
    const wellFormed = signatures.length === 2 && signatures.every((signature, at) =>
        hasExactly(signature, ['alg', 'kid', 'sig']) && signature.alg === ALGORITHMS[at]);
    demand(wellFormed && signatures[0].kid === signatures[1].kid, '签名的算法或数目不对', 'other signatures');
    const key = keys.find((candidate) => candidate.kid === signatures[0].kid);
    demand(key, '签名所用的公钥在此不被采信', 'signed by a key that is not trusted here');
    const message = messageOf(domain, signed.body);
    key.verifyEd25519(decodeBase64(signatures[0].sig), message);
    key.verifyMlDsa(decodeBase64(signatures[1].sig), message);
    return signed.body;
}

/** Return the exact bytes that are signed: the domain keeps documents of two kinds apart. */
export function messageOf(domain, body) {
    return joinBytes(encodeText(`liuhen/${domain}\n`), encodeCanonical(body));
}

/** Return message and raw Ed25519 signature of a document, as `*.message` and `*.ed25519` hold them. */
export function detachSignature(bytes, domain) {
    const signed = parseExact(bytes);
    const signature = member(list(member(signed, 'signatures'), 'signatures')[0], 'sig');
    return [messageOf(domain, member(signed, 'body')), decodeBase64(signature)];
}

/** Return the id of the key that a document names as its signer, unverified. */
export function signerOf(bytes) {
    return member(list(member(parseExact(bytes), 'signatures'), 'signatures')[0], 'kid');
}
