// Level 2, points 10 and 11: keys were enrolled and in time; acts of persons lie in sessions.

import { demand, encodeText, member, text } from '../formats/bytes.js';
import { parseInstant } from '../formats/instants.js';
import { sameHead } from '../formats/log_entries.js';
import { readPublicKey } from '../formats/public_key.js';
import { signerOf } from '../formats/signed_document.js';
import { column } from './row_states.js';

const nameOf = (use, name, fingerprint) => JSON.stringify([use, use === 'station' ? name : null, fingerprint]);

export async function checkKeys(log, check) {
    const added = new Map();
    for (const { index, leaf, details } of log.entries) {
        if (leaf.act !== 'key.add' || details === null) continue;
        const fingerprint = text(member(details, 'fingerprint'), 'fingerprint');
        demand(leaf.subject === `key:${fingerprint.slice(0, 16)}`, `条目 ${index}: 是另一把公钥`, `entry ${index}: another key`);
        const name = nameOf(member(details, 'use'), member(details, 'name'), fingerprint);
        if (!added.has(name)) added.set(name, index);
    }
    for (const { use, name, fingerprint } of log.keys) {
        if (!added.has(nameOf(use, name, fingerprint))) {
            check.add(`公钥 ${use} ${fingerprint.slice(0, 16)}…: 没有条目登记它`, `key ${use} ${fingerprint.slice(0, 16)}…: no entry enrolled it`);
        }
    }
    for (const [name, record] of log.bundle.records) {
        try {
            await checkSigner(log, name, record, added, check);
        } catch (error) {
            check.addError(error, `${name}: `);
        }
    }
}

async function checkSigner(log, name, record, added, check) {
    const kid = signerOf(await log.bundle.files.read(`data/recordings/${name}/record.json`));
    const keys = log.bundle.keys.stations.filter((key) => key.kid === kid);
    demand(keys.length === 1, '签名的公钥不是恰好一把', 'not just one key of the signer');
    const [key] = keys;
    const entry = log.entries.find(({ leaf }) => leaf.act === 'recording.accession' && leaf.subject === `recording:${name}`);
    demand(entry, '缺少入库的条目', 'no entry of its accession');
    if (entry.version === 2) {
        const since = added.get(nameOf('station', key.name, key.fingerprint));
        const enrolled = since !== undefined && since < entry.index && (entry.heads.get(`key:${kid}`)?.count ?? 0) > 0;
        if (!enrolled) check.add(`录像 ${name}: 签名的公钥此前没有登记`, `recording ${name}: signed by a key that was not enrolled before`);
    }
    // What was accessioned before the end was sealed before it, whatever its station's clock said.
    const sealed = timeOf(member(record, 'sealed_at')), accessioned = timeOf(entry.leaf.at);
    for (const end of listEnds(log, key)) {
        if (Math.min(sealed, accessioned) >= timeOf(end)) {
            check.add(`录像 ${name}: 在公钥失效(${end})之后封存`, `recording ${name}: sealed after the end of its key, ${end}`);
        }
    }
}

function timeOf(value) {
    const instant = parseInstant(value);
    demand(instant !== null, '时间写法不对', 'not a time');
    return instant;
}

/** Return when a station's key ends, by the last state of its enrolment. */
function listEnds(log, key) {
    const own = log.states.list('enrolment').filter((state) => {
        const content = column(state, 'key_text');
        return content && readPublicKey(encodeText(content)).isSame(key);
    });
    return own.flatMap((state) => [column(state, 'revoked_at'), column(state, 'expires_at')]).filter((end) => end !== null);
}

/** The chains of sessions stay with the office; each act names the head of its own. */
export async function checkSessions(log, check) {
    const owners = new Map(), stood = new Map();
    let since = null, named = 0, acts = 0;
    for (const { index, version, leaf, details, chains, heads } of log.entries) {
        if (version !== 2 || details === null || !leaf.actor.startsWith('person:')) continue;
        acts += 1;
        const add = (zh, en) => check.add(`条目 ${index}: ${zh}`, `entry ${index}: ${en}`);
        const asked = details.asked_at ?? null;
        if (asked !== null && asked > leaf.at) add('先做后请求', 'asked for after it was done');
        if (!Object.hasOwn(details, 'session')) {
            if (since !== null && !(asked !== null && asked < since)) add('人员操作不在登录会话之内', 'an act of a person in no session');
            continue;
        }
        named += 1;
        since ??= leaf.at;
        const session = details.session, head = chains.get(`session:${session}`) ?? heads.get(`session:${session}`);
        if (!head) {
            add('没有写明登录会话的链头', 'names no head of its session');
            continue;
        }
        if (head.count !== 1 && !(asked !== null && head.count === 2)) add('登录会话当时没有打开', 'in a session that was not open');
        if (!owners.has(session)) owners.set(session, leaf.actor);
        if (owners.get(session) !== leaf.actor) add('用了别人的登录会话', 'in a session of somebody else');
        const last = stood.get(session) ?? head;
        if (!sameHead(head, last) && head.count <= last.count) add('登录会话前后不一', 'in a session of another opening');
        stood.set(session, head);
    }
    check.remark(
        `${named}/${acts} 项人员操作写明登录会话;会话何时登记、何时结束,须在机构内核验`,
        'acts name their session; when it began and ended, the office\'s own audit tells',
    );
}
