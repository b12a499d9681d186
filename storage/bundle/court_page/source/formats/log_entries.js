// Entries of the custody log, as `entries.jsonl` gives them (custody-log.md section 1).

import { decodeBase64, demand, encodeText, hasExactly, list, member, text } from './bytes.js';
import { encodeCanonical, parseExact } from './canonical_json.js';
import { hashLeaf } from './checkpoint.js';
import { nameDigest } from './digests.js';

const SUBJECT = /^[a-z][a-z-]{0,30}:[A-Za-z0-9._-]{1,64}$/;
const DIGEST = /^sha-256:[0-9a-f]{64}$/;
const MEMBERS = ['v', 'act', 'event', 'outcome', 'at', 'actor', 'subject', 'details'];
const OUTCOMES = new Set(['success', 'refused', 'failure']);
const LONGEST = 65535;

/** Return the lines of a file, without their ends, as bytes. */
export function splitLines(bytes) {
    const lines = [];
    let start = 0;
    while (start < bytes.length) {
        const end = bytes.indexOf(0x0a, start);
        lines.push(bytes.subarray(start, end < 0 ? bytes.length : end));
        start = end < 0 ? bytes.length : end + 1;
    }
    return lines;
}

/** Read the entries, in the order of their numbers; each of the form that entries have. */
export function readEntries(bytes) {
    const entries = [];
    for (const line of splitLines(bytes)) {
        const entry = readEntry(parseExact(line));
        const last = entries.at(-1);
        demand(!last || last.index < entry.index, '条目次序不对', 'entries out of order');
        demand(!last || last.version <= entry.version, '第 2 版之后又有第 1 版的条目', 'an entry of version 1 after one of 2');
        entries.push(entry);
    }
    demand(entries.length, '没有条目', 'no entries');
    return entries;
}

function readEntry(line) {
    const closed = hasExactly(line, ['index', 'leaf']);
    demand(closed || hasExactly(line, ['index', 'leaf', 'details', 'salt']), '条目行的成员不对', 'members of a line');
    demand(Number.isSafeInteger(line.index) && line.index >= 0, '条目号不对', 'not a number of an entry');
    const bytes = encodeText(text(line.leaf, 'leaf')), leaf = parseExact(bytes);
    const where = `条目 ${line.index}`, whereEn = `entry ${line.index}`;
    const version = member(leaf, 'v');
    demand(version === 1 || version === 2, `${where}: 版本不对`, `${whereEn}: another version`);
    const members = version === 2 ? [...MEMBERS, 'chains', 'heads'] : MEMBERS;
    demand(hasExactly(leaf, members), `${where}: 成员不对`, `${whereEn}: members`);
    demand(MEMBERS.slice(1).every((name) => typeof leaf[name] === 'string'), `${where}: 成员不对`, `${whereEn}: members`);
    demand(bytes.length <= LONGEST && DIGEST.test(leaf.details), `${where}: 不是条目`, `${whereEn}: not an entry`);
    demand(OUTCOMES.has(leaf.outcome), `${where}: 结果不对`, `${whereEn}: another outcome`);
    const chains = readHeads(version === 2 ? leaf.chains : {}, where, whereEn);
    const heads = readHeads(version === 2 ? leaf.heads : {}, where, whereEn);
    demand(version === 1 || chains.has(leaf.subject), `${where}: 不在自己的链上`, `${whereEn}: outside its own chain`);
    demand(![...chains.keys()].some((subject) => heads.has(subject)), `${where}: 同一条链既接续又提及`, `${whereEn}: a chain both continued and named`);
    const details = closed ? null : line.details;
    return {
        index: line.index, bytes, leaf, version, chains, heads, details,
        hash: hashLeaf(bytes),
        salt: closed ? null : decodeBase64(line.salt),
        rows: details === null ? [] : readRows(details),
        about: new Set([leaf.subject, ...chains.keys()]),
    };
}

function readHeads(content, where, whereEn) {
    demand(content !== null && typeof content === 'object' && !Array.isArray(content), `${where}: 链头不对`, `${whereEn}: not heads`);
    const heads = new Map();
    for (const [subject, head] of Object.entries(content)) {
        demand(SUBJECT.test(subject), `${where}: 对象名不对`, `${whereEn}: not a subject`);
        demand(Array.isArray(head) && head.length === 2, `${where}: 链头不对`, `${whereEn}: not a head`);
        const [count, digest] = head;
        const valid = count === 0 ? digest === null
            : Number.isSafeInteger(count) && count > 0 && typeof digest === 'string' && DIGEST.test(digest);
        demand(valid, `${where}: 链头不对`, `${whereEn}: not a head`);
        heads.set(subject, { count, digest });
    }
    return heads;
}

function readRows(details) {
    demand(details !== null && typeof details === 'object' && !Array.isArray(details), '内容不是对象', 'details are no object');
    if (!Object.hasOwn(details, 'rows')) return [];
    return list(details.rows, 'rows').map((row) => {
        const state = member(row, 'state');
        demand(state === null || (typeof state === 'object' && !Array.isArray(state)), '行的状态不对', 'not a state');
        return { table: text(member(row, 'table'), 'table'), key: text(member(row, 'key'), 'key'), state };
    });
}

/** Throw unless the entry's details open its digest. */
export function checkDetails(entry) {
    const opened = nameDigest(entry.salt, encodeCanonical(entry.details));
    demand(entry.leaf.details === opened, `条目 ${entry.index}: 内容与散列不符`, `entry ${entry.index}: other details`);
}

export const sameHead = (first, second) => first.count === second.count && first.digest === second.digest;
