// Level 2, points 1 to 3 and 7: the export, whole chains, nothing that hides, time that does not run back.

import { differenceOf, encodeText, member, toHex } from '../formats/bytes.js';
import { nameDigest } from '../formats/digests.js';
import { sameHead } from '../formats/log_entries.js';
import { CLOCK } from './case_log.js';
import { RowStates, listContinued, listNamed } from './row_states.js';

const UNCHAINED = encodeText('liuhen/unchained-entries/v1\n');

export async function checkChains(log, check) {
    const told = member(await log.bundle.files.readJson('data/case.json'), 'id');
    const { leaf, index, version } = log.export;
    const genuine = index === log.bundle.statement.export && version === 2 && leaf.act === 'bundle.export'
        && leaf.outcome === 'success' && leaf.subject === `case:${log.caseId}` && told === log.caseId;
    if (!genuine) {
        check.add('缺少本次导出的条目', 'the entry of this export is left out');
        return;
    }
    followChains(log, check);
    compareExport(log, check);
    findHidden(log, check);
    findRunningBack(log, check);
}

/** Number each chain from its first entry on; each entry names the one before it. */
function followChains(log, check) {
    const heads = new Map();
    for (const subject of log.subjects) {
        const first = (log.chains.get(subject) ?? []).filter((entry) => entry.version === 1).map((entry) => entry.hash);
        heads.set(subject, first.length ? { count: first.length, digest: nameDigest(UNCHAINED, ...first) } : { count: 0, digest: null });
    }
    for (const entry of log.entries) {
        if (![...entry.about].some((subject) => log.subjects.has(subject))) {
            check.add(`条目 ${entry.index}: 与本案无关`, `entry ${entry.index}: not about this case`);
        }
        for (const [subject, head] of [...entry.chains, ...entry.heads]) {
            const expected = heads.get(subject);
            if (expected && !sameHead(head, expected)) {
                check.add(
                    `条目 ${entry.index}: ${subject} 此前应有 ${head.count} 个条目,这里有 ${expected.count} 个,或者不是同一个`,
                    `entry ${entry.index}: ${subject} had ${head.count} entries, and here are ${expected.count}, or others`,
                );
            }
        }
        for (const subject of entry.chains.keys()) {
            if (!heads.has(subject)) continue;
            // What an entry says of itself, so that one gap is told once and not for all that follow.
            heads.set(subject, { count: entry.chains.get(subject).count + 1, digest: `sha-256:${toHex(entry.hash)}` });
        }
    }
}


/** The export names the subjects that belong to the case, and no others. */
function compareExport(log, check) {
    const named = new Set([...log.export.chains.keys(), ...log.export.heads.keys()]);
    for (const entry of [...log.before].reverse()) {
        if (entry.leaf.act !== 'bundle.heads' || entry.leaf.subject !== `case:${log.caseId}`) break;
        for (const subject of entry.heads.keys()) named.add(subject);
    }
    named.delete(`session:${log.export.details?.session}`);
    for (const subject of differenceOf(named, log.subjects)) {
        if (named.has(subject)) check.add(`${subject}: 导出点了名,却没有条目引向它`, `${subject}: named by the export, and no entry leads to it`);
        else check.add(`${subject}: 属于本案,导出却没有点名`, `${subject}: belongs to the case, and the export does not name it`);
    }
}

/** What has to be open is open; an open entry continues and names what its rows are about. */
function findHidden(log, check) {
    const states = new RowStates();
    const recordings = new Set(log.bundle.recordings.map((name) => `recording:${name}`));
    for (const entry of log.entries) {
        if (entry.details === null && !mayBeClosed(entry, log.subjects, recordings)) {
            check.add(`条目 ${entry.index}: 属于本案,内容却没有公开`, `entry ${entry.index}: about this case, and not opened`);
        }
        if (entry.details !== null && entry.version === 2) {
            for (const subject of listHidden(entry, states, check)) {
                check.add(`条目 ${entry.index}: 与 ${subject} 有关,却不在它的链上`, `entry ${entry.index}: about ${subject}, and not in its chain`);
            }
        }
        states.take(entry);
    }
}

function mayBeClosed(entry, subjects, recordings) {
    const about = [...entry.about];
    const owners = about.filter((subject) => subject.startsWith('case:') || subject.startsWith('action:'));
    if (owners.length) return owners.some((subject) => !subjects.has(subject));
    return about.some((subject) => subject.startsWith('recording:') && !recordings.has(subject));
}

function listHidden(entry, states, check) {
    const hidden = new Set();
    for (const { table, key, state } of entry.rows) {
        const before = states.find(table, key);
        if (state === null && before === null) {
            check.add(`条目 ${entry.index}: 删去了从未登记的 ${table} ${key}`, `entry ${entry.index}: removes ${table} ${key}, of which no entry tells`);
        }
        const continued = [...listContinued(table, state ?? {}), ...listContinued(table, before ?? {})];
        for (const subject of continued) if (!entry.chains.has(subject)) hidden.add(subject);
        for (const subject of listNamed(table, state ?? {})) {
            if (!entry.chains.has(subject) && !entry.heads.has(subject)) hidden.add(subject);
        }
    }
    return hidden;
}

function findRunningBack(log, check) {
    let last = '', bound = false;
    for (const { index, version, leaf } of log.entries) {
        bound ||= version === 2;
        const isClock = leaf.act === 'log.clock' && leaf.subject === CLOCK;
        if (bound && leaf.at < last && !isClock) check.add(`条目 ${index}: 时间倒退`, `entry ${index}: time runs back`);
        last = leaf.at;
    }
}
