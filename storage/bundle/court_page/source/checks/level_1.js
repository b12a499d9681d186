// Level 1: signatures, digests and proofs (bundle.md section 2). What it proves is left in `bundle`.

import { decodeBase64, demand, encodeText, hasExactly, member, sameBytes, text } from '../formats/bytes.js';
import { encodeCanonical, parseExact } from '../formats/canonical_json.js';
import { readHead, readProof } from '../formats/checkpoint.js';
import { digestHex, isKnownAlgorithm, nameDigest } from '../formats/digests.js';
import { checkDetails, readEntries } from '../formats/log_entries.js';
import { PartialTree } from '../formats/merkle_tree.js';
import { readPublicKey } from '../formats/public_key.js';
import { detachSignature, readSigned } from '../formats/signed_document.js';
import { checkBagInfo } from './bag_check.js';

// SHA-256 of VERIFY.md (bundle.md section 1): another guide could lead to commands that prove nothing.
const GUIDES = new Set(['f9607bc009d01cca1601102f2dc6c9843b17d1ca4beab6ffe304c690b88de10b']);
const STATEMENT = ['v', 'case', 'export', 'manifest', 'checkpoint', 'made_at', 'made_by', 'software'];
const DER_START = Uint8Array.of(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00);
const DOCUMENTS = ['record', 'receipt'].flatMap((name) => ['json', 'message', 'ed25519'].map((end) => `${name}.${end}`));
const PAGE = 'data/verify.html';
const CHANGE_ORIGIN = 'log.change-origin', ORIGIN = 'system:log-origin';

/** Read the keys that lie in the bundle; what they are worth is another question. */
export async function readKeys(files) {
    const stations = [], recipients = [];
    for (const name of [...files.listNames('data/keys')].sort()) {
        const path = `data/keys/${name}`;
        if (name.endsWith('.pub')) {
            const seal = await files.readJson(path);
            recipients.push({ use: text(member(seal, 'use'), 'use'), fingerprint: digestHex(decodeBase64(member(seal, 'public'))) });
        } else if (name.startsWith('station-') && name.endsWith('.verify')) {
            stations.push(readPublicKey(await files.read(path)));
        }
    }
    const centre = readPublicKey(await files.read('data/keys/centre.verify'));
    const log = readPublicKey(await files.read('data/keys/log.verify'));
    return { centre, log, stations, recipients };
}

export async function checkStatement(bundle, check) {
    const { files, keys } = bundle;
    const body = readSigned(await files.read('bundle.json'), 'bundle/v1', [keys.centre]);
    if (member(body, 'v') === 1) {
        check.add('第 1 版证据包:本页不能核验,请用 liuhen verify', 'a bundle of version 1: liuhen verify has to be asked');
        return;
    }
    demand(body.v === 2 && hasExactly(body, STATEMENT), '清单的版本或成员不对', 'version or members of the statement');
    bundle.statement = body;
    if (!isDigestOf(body.manifest, await files.digest('manifest-sha256.txt'))) {
        check.add('manifest-sha256.txt: 不是签名的那一份', 'manifest-sha256.txt: not the one that was signed');
    }
    // Binds the log's head to this manifest: parts of two bundles cannot be mixed.
    if (!isDigestOf(body.checkpoint, digestHex(await files.read('data/custody/checkpoint')))) {
        check.add('custody/checkpoint: 不是签名的那一份', 'custody/checkpoint: not the one that was signed');
    }
    if (member(await files.readJson('data/case.json'), 'id') !== body.case) check.add('case.json: 是另一个案件', 'case.json: another case');
    if (!GUIDES.has(digestHex(await files.read('data/VERIFY.md')))) {
        check.add('VERIFY.md: 不是本版的核验指南', 'VERIFY.md: not the guide of this edition');
    }
    if (files.has(PAGE)) {
        const digest = await files.digest(PAGE);
        check.remark(`附带的核验页只是便利副本,未打开,不要用它核验;SHA-256 ${digest}`, 'verify.html: a convenience copy, not opened');
    }
    await checkBagInfo(files, body, check);
    await compareDetached(files, 'bundle', 'bundle/v1', check);
    await checkPems(files, check);
}

const isDigestOf = (named, hex) => hasExactly(named, ['sha-256']) && named['sha-256'] === hex;

async function compareDetached(files, path, domain, check) {
    const [message, signature] = detachSignature(await files.read(`${path}.json`), domain);
    for (const [end, expected] of [['message', message], ['ed25519', signature]]) {
        if (!sameBytes(await files.read(`${path}.${end}`), expected)) {
            check.add(`${path}.${end}: 与原件不符`, `${path}.${end}: not of the document beside it`);
        }
    }
}

async function checkPems(files, check) {
    for (const name of files.listNames('data/keys')) {
        if (!name.endsWith('.verify')) continue;
        const pem = `data/keys/${name.replace(/verify$/, 'pem')}`;
        const key = readPublicKey(await files.read(`data/keys/${name}`));
        const der = btoa(String.fromCharCode(...DER_START, ...key.ed25519));
        const expected = `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`;
        if (!sameBytes(await files.read(pem), encodeText(expected))) {
            check.add(`${pem}: 不是同名的公钥`, `${pem}: not the key beside it`);
        }
    }
}

export async function checkRecords(bundle, check) {
    for (const name of bundle.recordings) {
        try {
            await checkRecord(bundle, name, check);
        } catch (error) {
            check.addError(error, `${name}: `);
        }
    }
}

async function checkRecord(bundle, name, check) {
    const { files, keys } = bundle, folder = `data/recordings/${name}`;
    const bytes = await files.read(`${folder}/record.json`);
    const station = member(member(parseExact(bytes), 'body'), 'station');
    const record = readSigned(bytes, 'sealed-record/v1', keys.stations.filter((key) => key.name === station));
    demand(member(record, 'recording') === name, '是另一份录像的封存记录', 'the record is of another recording');
    bundle.records.set(name, record);
    await compareDetached(files, `${folder}/record`, 'sealed-record/v1', check);
    const envelope = await files.read(`${folder}/envelope.json`);
    demand(isDigestOf(member(record, 'envelope'), digestHex(envelope)), '信封有改动', 'envelope changed');
    const about = parseExact(envelope);
    demand(member(about, 'recording') === name && member(about, 'station') === station, '是另一份录像的信封', 'envelope of another');
    await checkFootage(bundle, name, record, check);
}

async function checkFootage(bundle, name, record, check) {
    const { files } = bundle, folder = `data/recordings/${name}`;
    const parts = [...files.listNames(folder)].filter((part) => part !== 'envelope.json' && !DOCUMENTS.includes(part));
    demand(parts.length === 1 && ['original', 'payload'].includes(parts[0]), '原件不是恰好一份', 'not just one original');
    let path = `${folder}/payload`, size, digest;
    if (parts[0] === 'payload') {
        ({ size } = record.payload);
        digest = member(record.payload, 'sha-256');
    } else {
        const originals = [...files.listNames(`${folder}/original`)];
        demand(originals.length === 1, '原件不是恰好一份', 'not just one original');
        path = `${folder}/original/${originals[0]}`;
        size = member(record, 'size');
        digest = member(member(record, 'digests'), 'sha-256');
    }
    const whole = files.sizeOf(path) === size && await files.digest(path) === digest;
    demand(whole, `${path.split('/').pop()} 不是封存的那一份`, 'not the original (or payload) that was sealed');
    if (parts[0] === 'original') {
        for (const [algorithm, stated] of Object.entries(record.digests)) {
            if (!isKnownAlgorithm(algorithm)) check.remark(`${name}: 本页不能计算 ${algorithm}`, 'not worked out here');
            else demand(await files.digest(path, algorithm) === stated, `原件的 ${algorithm} 不符`, `the original has another ${algorithm}`);
        }
    }
    bundle.footage.set(name, { path, sealed: parts[0] === 'payload' });
}

export async function checkReceipts(bundle, check) {
    for (const name of bundle.recordings) {
        try {
            await checkReceipt(bundle, name, check);
        } catch (error) {
            check.addError(error, `${name}: `);
        }
    }
}

async function checkReceipt(bundle, name, check) {
    const { files, keys } = bundle, folder = `data/recordings/${name}`;
    const receipt = readSigned(await files.read(`${folder}/receipt.json`), 'receipt/v1', [keys.centre]);
    await compareDetached(files, `${folder}/receipt`, 'receipt/v1', check);
    const leaf = encodeText(text(member(receipt, 'leaf'), 'leaf'));
    const head = readProof(text(member(receipt, 'proof'), 'proof'), leaf, keys.log);
    bundle.receiptHeads.push(head);
    demand(member(parseExact(leaf), 'subject') === `recording:${name}`, '回执的条目是另一份录像的', 'leaf of another recording');
    const record = bundle.records.get(name);
    demand(record, '没有可比对的封存记录', 'no record to compare with');
    const expected = {
        v: 1, recording: name, station: record.station,
        record: nameDigest(await files.read(`${folder}/record.json`)),
        original: `sha-256:${record.digests['sha-256']}`,
        size: record.size,
    };
    for (const [part, value] of Object.entries(expected)) {
        demand(member(receipt, part) === value, `回执是另一份封存记录的(${part})`, `the receipt is for another record (${part})`);
    }
}

export async function checkLog(bundle, check) {
    const { files, keys } = bundle;
    const head = readHead(await files.read('data/custody/checkpoint'), keys.log);
    demand(head.origin === keys.log.name, '检查点用的是日志以前的名称', 'a head under an earlier origin');
    for (const [end, expected] of [['message', head.message], ['ed25519', head.signature]]) {
        if (!sameBytes(await files.read(`data/custody/checkpoint.${end}`), expected)) {
            check.add(`custody/checkpoint.${end}: 与检查点不符`, `custody/checkpoint.${end}: not of this checkpoint`);
        }
    }
    const entries = readEntries(await files.read('data/custody/entries.jsonl'));
    const earlier = [...bundle.receiptHeads, ...keys.log.former.map((one) => ({ size: one.size, root: decodeBase64(one.root) }))];
    demand(earlier.every((one) => one.size <= head.size), '有比最新检查点更新的检查点', 'a head beyond the newest');
    demand(entries.at(-1).index < head.size, '有条目超出检查点', 'an entry beyond the newest head');
    const tree = new PartialTree(entries, await files.read('data/custody/nodes.jsonl'), earlier.map((one) => one.size));
    for (const { size, root } of [head, ...earlier]) {
        const leads = sameBytes(tree.computeRoot(size), root);
        demand(leads, `条目推不出已签名的根(${size} 条时)`, `the entries do not lead to the signed root of ${size}`);
    }
    for (const entry of entries) {
        if (entry.details !== null) checkDetails(entry);
    }
    Object.assign(bundle, { head, entries, proven: true });
}

/** Every origin that the log gave up before this head, as its own entry says (custody-log.md section 6). */
export async function checkOrigins(bundle) {
    const { log } = bundle.keys;
    demand(bundle.proven, '条目未经证明,没有进行', 'not done: no entry is proven');
    const changes = bundle.entries.filter((entry) => entry.leaf.act === CHANGE_ORIGIN);
    demand(changes.length === log.former.length, '日志更名的条目与公钥所列不符', 'changes of origin that the key does not name');
    const names = [...log.former.slice(1).map((one) => one.origin), log.name];
    changes.forEach((entry, at) => {
        const { origin, size, root } = log.former[at];
        const expected = encodeCanonical({ v: 1, before: { origin, size, root }, origin: names[at] });
        const genuine = entry.leaf.subject === ORIGIN && entry.index === size && entry.details !== null
            && sameBytes(encodeCanonical(entry.details), expected);
        demand(genuine, `条目 ${entry.index}: 日志更名不符`, `entry ${entry.index}: another change of origin`);
    });
}

/** Return the problems of keys that are not those that the reader named; set whether they are known. */
export function checkNamedKeys(bundle, named, report, check) {
    const { centre, log } = bundle.keys;
    const unknown = [['中心', 'centre', centre], ['日志', 'log', log]].filter(([, , key]) => !named.knows(key));
    if (!unknown.some(([, use]) => use === 'log') && named.log && !isOneLog(named.log, log)) unknown.push(['日志', 'log', log]);
    report.keysKnown = !named.isEmpty && !unknown.length;
    if (named.isEmpty) {
        check.remark('公钥只见于证据包本身', 'known from the bundle alone');
        return;
    }
    // Who names one of the two keys only has said nothing of the other.
    if (unknown.length === 1 && !named.log) {
        check.remark(`只认出一把:${unknown[0][0]}的公钥您没有指定`, `${unknown[0][1]}: a key that you did not name`);
        return;
    }
    for (const [zh, use] of unknown) check.add(`${zh}: 不是您指定的公钥`, `${use}: not a key that you named`);
    if (unknown.length) return;
    check.remark('是您指定的公钥', 'keys that you named');
    if ([centre, log].some((key) => named.knowsHalfOnly(key))) {
        check.remark('.pem 文件只含 Ed25519 一半,ML-DSA-44 一半未经核对', 'a .pem file holds the Ed25519 half alone');
    }
}

/** Tell whether two keys are of one log: the origins of one begin with the other's. */
function isOneLog(named, own) {
    const first = [...named.former.map((one) => one.origin), named.name];
    const second = [...own.former.map((one) => one.origin), own.name];
    const length = Math.min(first.length, second.length);
    const formers = Math.min(named.former.length, own.former.length);
    return named.isSamePair(own) && first.slice(0, length).every((name, at) => name === second[at])
        && JSON.stringify(named.former.slice(0, formers)) === JSON.stringify(own.former.slice(0, formers));
}

