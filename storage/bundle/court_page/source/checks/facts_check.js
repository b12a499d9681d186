// Level 2, points 8 and 9: the rules are those logged, and facts are what entries before them had logged.

import { compareCodePoints, differenceOf, encodeText, list, member, sameSet } from '../formats/bytes.js';
import { digestHex } from '../formats/digests.js';
import { sameList, sameValue } from '../formats/instants.js';
import { column } from './row_states.js';

const FOOTAGE = {
    source: 'source_serial', start: 'start_at', end: 'end_at', uncertainty_s: 'clock_uncertainty_s',
    has_video: 'has_video', has_audio: 'has_audio', missing_video: 'video_gaps', missing_audio: 'audio_gaps',
    officer: 'officer_id', kind: 'kind', sequence: 'sequence', docked_at: 'docked_at', accessioned_at: 'accessioned_at',
};
const BY_STATION = ['kind', 'has_video', 'has_audio', 'missing_video', 'missing_audio'];
const LISTS = [
    ['moments', 'moment', ['kind', 'at', 'note']],
    ['documents', 'document', ['id', 'kind', 'at', 'served_at', 'manner']],
];

export async function checkRulebooks(log, check) {
    const { files } = log.bundle, loads = new Map(), used = new Set();
    for (const { index, leaf, details } of log.entries) {
        if (details === null) continue;
        if (leaf.act === 'rulebook.load') loads.set(member(details, 'digest'), member(details, 'files'));
        else if (Object.hasOwn(details, 'rulebook')) {
            if (!loads.has(details.rulebook)) check.add(`条目 ${index}: 所用的规则库从未装载`, `entry ${index}: a rulebook that was never loaded`);
            used.add(details.rulebook);
        }
    }
    for (const digest of differenceOf(used, files.listNames('data/rulebook'))) {
        check.add(`规则库 ${digest}: 缺少,或者多余`, `rulebook ${digest}: missing, or not one that judged`);
    }
    for (const digest of files.listNames('data/rulebook')) {
        const folder = `data/rulebook/${digest}`, names = [...files.listNames(folder)].sort(compareCodePoints);
        const present = {};
        for (const name of names) present[name] = await files.digest(`${folder}/${name}`);
        const lines = names.map((name) => `${present[name]}  ${name}\n`).join('');
        const genuine = sameValue(present, loads.get(digest)) && digestHex(encodeText(lines)) === digest;
        if (!genuine) check.add(`规则库 ${digest.slice(0, 16)}…: 不是装载的那一份`, `rulebook ${digest.slice(0, 16)}…: not the one that was loaded`);
    }
}

/** Of each closing with facts, of open actions, and of what would be judged otherwise by now. */
export async function checkFacts(log, check) {
    const { files } = log.bundle;
    for (const entry of log.entries) {
        if (entry.leaf.act === 'action.close' && entry.details !== null && Object.hasOwn(entry.details, 'facts')) {
            compareFacts(log, entry.details.facts, entry, check);
        }
    }
    for (const state of log.states.list('action', { case_id: log.caseId })) {
        const folder = `data/actions/${column(state, 'id')}`;
        if (column(state, 'status') !== 'closed') {
            compareFacts(log, await files.readJson(`${folder}/facts.json`), log.export, check);
        } else if (files.has(`${folder}/later.json`)) {
            compareFacts(log, member(await files.readJson(`${folder}/later.json`), 'facts'), log.export, check);
        }
    }
}

function compareFacts(log, facts, entry, check) {
    const states = log.statesBefore(entry.index), action = states.get('action', member(facts, 'action'));
    const add = (zh, en) => check.add(`条目 ${entry.index} 的事实: ${zh}与日志不符`, `facts at entry ${entry.index}: ${en} not as logged`);
    if (![`action:${facts.action}`, `case:${log.caseId}`].includes(entry.leaf.subject)) add('执法活动', 'the action');
    const record = states.get('case_', log.caseId);
    const expected = {
        case: column(action, 'case_id'), kind: column(action, 'kind'), stage: column(action, 'stage'),
        start: column(action, 'start_at'), end: column(action, 'end_at'), manner: column(action, 'manner'),
        township: column(record, 'township'), features: column(record, 'features') ?? [],
    };
    for (const [name, value] of Object.entries(expected)) {
        if (!sameValue(member(facts, name), value)) add(` ${name} `, name);
    }
    const own = { action_id: column(action, 'id') };
    const officers = new Set(states.list('action_officer', own).map((state) => column(state, 'person_id')));
    if (!sameSet(new Set(list(member(facts, 'officers'), 'officers').map((one) => member(one, 'id'))), officers)) add('执法人员', 'officers');
    for (const [name, table, columns] of LISTS) {
        const rows = states.list(table, own).map((state) => Object.fromEntries(columns.map((part) => [part, column(state, part)])));
        if (!sameList(list(member(facts, name), name), rows)) add(` ${name} `, name);
    }
    if (!sameList(list(member(facts, 'waivers'), 'waivers'), states.list('waiver', own).map(tellWaiver))) add('说明', 'waivers');
    const footage = list(member(facts, 'footage'), 'footage');
    const linked = new Set(states.listConfirmed(own.action_id).map((state) => column(state, 'recording_id')));
    const same = footage.length === linked.size && sameSet(new Set(footage.map((one) => member(one, 'recording'))), linked);
    if (!same) add('录像', 'footage');
    for (const one of footage) compareFootage(log, states, one, (part) => add(`录像 ${one.recording} 的 ${part} `, `${one.recording}: ${part}`));
}

/** Return a waiver's row as facts tell it: who approved it only if it was approved. */
function tellWaiver(state) {
    const approved = column(state, 'state') === 'approved';
    const ifApproved = (name) => { const value = column(state, name); return approved ? value : null; };
    return {
        id: column(state, 'id'), rule: column(state, 'rule'), reason: column(state, 'reason'),
        by: column(state, 'person_id'), at: column(state, 'at'),
        approved_by: ifApproved('decided_by'), approved_at: ifApproved('decided_at'), approver: ifApproved('approver'),
        refused: column(state, 'state') === 'refused',
    };
}

function compareFootage(log, states, footage, add) {
    const state = states.get('recording', footage.recording);
    for (const [fact, name] of Object.entries(FOOTAGE)) {
        if (!sameValue(member(footage, fact), column(state, name))) add(fact);
    }
    const record = log.bundle.records.get(footage.recording);
    if (!record) return; // confirmed then, and not any more
    for (const fact of BY_STATION) {
        if (!sameValue(member(footage, fact), member(record.media, fact))) add(fact);
    }
    if (!sameValue(member(footage, 'docked_at'), member(record.clocks, 'docked_at'))) add('docked_at');
    compareDoubts(states, footage, record, add);
}

/** What the station doubted, and what persons decided about each doubt. */
function compareDoubts(states, footage, record, add) {
    const keyOf = (kind, start) => JSON.stringify([kind, start]);
    const decided = new Map(states.list('doubt', { recording_id: footage.recording })
        .map((state) => [keyOf(column(state, 'kind'), column(state, 'start_s')), column(state, 'confirmed')]));
    const length = member(record.media, 'duration_s') || 0;
    const doubts = list(record.inspection, 'inspection').filter((one) => member(one, 'weight') === 'doubt')
        .map((one) => [one.start_s || 0, one.end_s ?? length, member(one, 'kind')]);
    const doubtful = doubts.filter(([start, , kind]) => !decided.has(keyOf(kind, start)));
    const faulty = doubts.filter(([start, , kind]) => decided.get(keyOf(kind, start)));
    if (!sameValue(member(footage, 'doubtful'), doubtful)) add('doubtful');
    if (!sameValue(member(footage, 'faulty'), faulty)) add('faulty');
}

