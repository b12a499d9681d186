// The log's signed heads, and proofs that an entry is under one (custody-log.md sections 4 and 5).

import { decodeBase64, decodeText, demand, encodeText, encodeUint64, joinBytes, sameBytes, toHex } from './bytes.js';
import { digestBytes } from './digests.js';

const NODE = Uint8Array.of(1);
const LEAF = Uint8Array.of(0);

export const hashLeaf = (entry) => digestBytes(LEAF, entry);
export const hashNode = (left, right) => digestBytes(NODE, left, right);

/** Return a head that the log signed twice, under its name or one that it had before. */
export function readHead(bytes, log) {
    const [content, signatures] = splitOnce(decodeText(bytes), '\n\n');
    const lines = /^([^\n]+)\n(0|[1-9][0-9]{0,15})\n([^\n]+)$/.exec(content);
    demand(lines && signatures !== undefined, '不是检查点', 'not a checkpoint');
    const [, origin, digits, rootText] = lines;
    const size = Number(digits), root = decodeBase64(rootText);
    demand(Number.isSafeInteger(size) && root.length === 32, '不是检查点', 'not a checkpoint');
    const former = log.former.find((one) => one.origin === origin);
    const named = origin === log.name || (former && size <= former.size);
    demand(named, '是另一份日志的检查点', 'a checkpoint of another log');
    const values = readSignatures(signatures, origin);
    const name = encodeText(origin), message = encodeText(`${content}\n`);
    demand(name.length < 256, '日志名称过长', 'a name too long');
    const classical = values.get(keyIdOf(name, 1, log.ed25519));
    const quantum = values.get(keyIdOf(name, 6, log.mlDsa));
    demand(classical && quantum && quantum.length > 8, '缺少日志的签名', 'a signature of the log is missing');
    log.verifyEd25519(classical, message);
    const length = Uint8Array.of(name.length);
    log.verifyMlDsa(quantum.subarray(8), joinBytes(
        encodeText('subtree/v1\n\0'), length, name, quantum.subarray(0, 8),
        length, name, new Uint8Array(8), encodeUint64(size), root,
    ));
    return { origin, size, root, message, signature: classical };
}

function readSignatures(content, origin) {
    const values = new Map();
    for (const line of content.replace(/\n$/, '').split('\n')) {
        const parts = line.split(' ');
        demand(parts.length === 3 && parts[0] === '—', '签名行不对', 'not a signature line');
        if (parts[1] !== origin) continue;
        const value = decodeBase64(parts[2]);
        values.set(toHex(value.subarray(0, 4)), value.subarray(4));
    }
    return values;
}

function keyIdOf(name, type, key) {
    return toHex(digestBytes(name, Uint8Array.of(0x0a, type), key).subarray(0, 4));
}

function splitOnce(content, separator) {
    const at = content.indexOf(separator);
    return at < 0 ? [content] : [content.slice(0, at), content.slice(at + separator.length)];
}

/** Return the head under which a tlog-proof shows an entry (RFC 9162 section 2.1.3.2). */
export function readProof(proof, entry, log) {
    const [path, note] = splitOnce(proof, '\n\n');
    demand(note !== undefined, '不是证明', 'not a proof');
    const head = readHead(encodeText(note), log);
    const [magic, ...lines] = path.split('\n');
    demand(magic === 'c2sp.org/tlog-proof@v1', '不是证明', 'not a proof');
    if (lines[0]?.startsWith('extra ')) lines.shift();
    const number = /^index (0|[1-9][0-9]{0,15})$/.exec(lines[0] ?? '');
    demand(number, '证明没有条目号', 'no index');
    let first = Number(number[1]), last = head.size - 1, hash = hashLeaf(entry);
    demand(first <= last, '条目号超出检查点', 'an index beyond the head');
    const halve = () => {
        first = Math.floor(first / 2);
        last = Math.floor(last / 2);
    };
    for (const line of lines.slice(1)) {
        const step = decodeBase64(line);
        demand(last > 0, '证明路径过长', 'a path too long');
        if (first % 2 === 1 || first === last) {
            hash = hashNode(step, hash);
            while (first > 0 && first % 2 === 0) halve();
        } else hash = hashNode(hash, step);
        halve();
    }
    demand(last === 0 && sameBytes(hash, head.root), '条目不在检查点之下', 'the entry is not under its checkpoint');
    return head;
}
