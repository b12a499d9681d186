// The keys that the reader knows by another way: fingerprints of a key letter, or files of keys.

import { WrongError, decodeBase64, decodeText, demand, toHex } from '../formats/bytes.js';
import { readPublicKey } from '../formats/public_key.js';

const PEM = /-----BEGIN PUBLIC KEY-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END PUBLIC KEY-----/;
const DER_START = '302a300506032b6570032100'; // SubjectPublicKeyInfo of Ed25519 (RFC 8410)
const FINGERPRINT = /(?<![0-9a-f])[0-9a-f](?:[\s:-]*[0-9a-f]){63}(?![0-9a-f])/g;
const MOST_BYTES = 1 << 20;

/** What the reader named: fingerprints, Ed25519 halves (of .pem files), and a log's key if whole. */
export class NamedKeys {
    fingerprints = new Set();
    halves = new Set();
    log = null;

    get isEmpty() {
        return !this.fingerprints.size && !this.halves.size;
    }

    knows(key) {
        return this.fingerprints.has(key.fingerprint) || this.halves.has(toHex(key.ed25519));
    }

    knowsHalfOnly(key) {
        return !this.fingerprints.has(key.fingerprint) && this.halves.has(toHex(key.ed25519));
    }
}

/**
 * Add what somebody typed or pasted: every run of 64 hex digits, in groups or not. A part of one
 * proves nothing and is refused; a letter's words around them do not matter.
 */
export function addTyped(named, typed) {
    const plain = typed.normalize('NFKC').toLowerCase();
    const fingerprints = plain.match(FINGERPRINT) ?? [];
    for (const fingerprint of fingerprints) named.fingerprints.add(fingerprint.replace(/[\s:-]/g, ''));
    const rest = plain.replace(FINGERPRINT, ' ');
    const partial = /[0-9a-f]{8}(?:[\s:-]*[0-9a-f]{8})+/.test(rest);
    demand(!partial, '有一个指纹不完整:应当是 64 位十六进制', 'a fingerprint is not whole: 64 hex digits');
    demand(fingerprints.length || !plain.trim(), '没有认出指纹:应当是 64 位十六进制', 'no fingerprint: 64 hex digits');
}

/** Add a file: `*.pem` (the Ed25519 half), `*.verify` (whole), or a text with fingerprints. */
export async function addFile(named, file) {
    demand(file.size <= MOST_BYTES, `${file.name}: 不是公钥文件`, `${file.name}: no key file`);
    const bytes = new Uint8Array(await file.arrayBuffer());
    const content = decodeText(bytes), pem = PEM.exec(content);
    if (pem) {
        const der = toHex(decodeBase64(pem[1].replace(/\s/g, '')));
        const isEd25519 = der.startsWith(DER_START) && der.length === DER_START.length + 64;
        demand(isEd25519, `${file.name}: 不是 Ed25519 公钥`, `${file.name}: no Ed25519 key`);
        named.halves.add(der.slice(DER_START.length));
    } else if (content.trimStart().startsWith('{')) {
        const key = readPublicKey(bytes);
        named.fingerprints.add(key.fingerprint);
        if (file.name === 'log.verify') named.log = key;
    } else {
        try {
            addTyped(named, content);
        } catch (error) {
            throw new WrongError(`${file.name}: ${error.zh ?? '无法读取'}`, `${file.name}: ${error.en ?? 'unreadable'}`);
        }
    }
}
