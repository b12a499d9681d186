// Level 2, points 4 to 7: what belongs to the case is there, and is told as it was logged.

import { demand, differenceOf, hasExactly, list, member, sameSet } from '../formats/bytes.js';
import { nameDigest } from '../formats/digests.js';
import { isOffsetBy, sameList, sameValue } from '../formats/instants.js';
import { column, listStates } from './row_states.js';

const CASE = ['id', 'number', 'title', 'party', 'township', 'stage', 'opened_at', 'closed_at'];
const LISTING = ['made_at', 'made_by', 'entries', 'actions', 'recordings'];
const ACTION = ['status', 'place', 'judged_at', 'officers', 'exhibits'];
const MEASURES = new Set(['recording.clock', 'recording.answer']);

/** The actions whose last state names this case, and the footage that is linked to them. */
export async function checkPresence(log, check) {
    const { files, recordings } = log.bundle;
    const actions = new Set(log.states.list('action', { case_id: log.caseId }).map((state) => column(state, 'id')));
    const linked = new Set([...actions].flatMap((action) =>
        log.states.listConfirmed(action).map((state) => column(state, 'recording_id'))));
    const listing = await files.readJson('data/evidence-list.json');
    const lines = list(member(listing, 'recordings'), 'recordings').map((line) => member(line, 'recording'));
    for (const [zh, en, logged, present] of [
        ['执法活动', 'action', actions, files.listNames('data/actions')],
        ['录像', 'recording', linked, new Set(recordings)],
    ]) {
        for (const name of differenceOf(logged, present)) {
            if (logged.has(name)) check.add(`${zh} ${name}: 属于本案,却不在证据包里`, `${en} ${name}: belongs to the case, and is not in the bundle`);
            else check.add(`${zh} ${name}: 在证据包里,却没有条目放进本案`, `${en} ${name}: in the bundle, and no entry puts it there`);
        }
    }
    demand(new Set(lines).size === lines.length, '证据清单把一份录像列了两次', 'a recording listed twice');
}

export async function checkStates(log, check) {
    await checkCase(log, check);
    await checkListing(log, check);
    for (const name of log.bundle.recordings) {
        try {
            await checkRecording(log, name, check);
            checkTimes(log, name, check);
        } catch (error) {
            check.addError(error, `${name}: `);
        }
    }
}

async function checkCase(log, check) {
    const content = await log.bundle.files.readJson('data/case.json');
    const logged = log.states.get('case_', log.caseId);
    demand(hasExactly(content, CASE), 'case.json: 成员不对', 'case.json: members');
    compareMembers('case.json', content, Object.fromEntries(CASE.map((name) => [name, column(logged, name)])), check);
}

function compareMembers(where, content, logged, check) {
    for (const [name, value] of Object.entries(logged)) {
        if (!sameValue(member(content, name), value)) check.add(`${where}: ${name} 与日志不符`, `${where}: ${name} is not as logged`);
    }
}

async function checkListing(log, check) {
    const { files, statement, head, recordings } = log.bundle, where = 'evidence-list.json';
    const listing = await files.readJson('data/evidence-list.json');
    demand(hasExactly(listing, LISTING), `${where}: 成员不对`, `${where}: members`);
    compareMembers(where, listing, { made_at: statement.made_at, made_by: statement.made_by, entries: head.size }, check);
    const lines = list(listing.recordings, 'recordings');
    const listed = new Set(lines.map((line) => member(line, 'recording')));
    if (!sameSet(listed, new Set(recordings))) check.add(`${where}: 所列录像与证据包不符`, `${where}: not the recordings of this bundle`);
    const actions = new Set(Object.keys(listing.actions));
    if (!sameSet(actions, files.listNames('data/actions'))) check.add(`${where}: 所列执法活动与证据包不符`, `${where}: not the actions of this bundle`);
    for (const line of lines) {
        const state = log.states.get('recording', member(line, 'recording'));
        const person = column(state, 'officer_id');
        const officer = person === null ? column(state, 'officer_no') : column(log.states.get('person', person), 'name');
        const expected = { recording: column(state, 'id'), source: column(state, 'source_serial'), officer };
        for (const name of ['name', 'start_at', 'duration_s', 'sha256', 'size']) expected[name] = column(state, name);
        demand(hasExactly(line, Object.keys(expected)), `${where}: 录像的成员不对`, `${where}: members of a recording`);
        compareMembers(`${where}, ${line.recording}`, line, expected, check);
    }
    for (const [action, content] of Object.entries(listing.actions)) checkAction(log.states, action, content, check);
}

function checkAction(states, action, content, check) {
    const where = `evidence-list.json, ${action}`, state = states.get('action', action);
    demand(hasExactly(content, ACTION), `${where}: 成员不对`, `${where}: members`);
    compareMembers(where, content, { status: column(state, 'status'), place: column(state, 'place') }, check);
    const officers = states.list('action_officer', { action_id: action })
        .map((officer) => column(states.get('person', column(officer, 'person_id')), 'name'));
    if (!sameList(list(content.officers, 'officers'), officers)) check.add(`${where}: 执法人员与日志不符`, `${where}: officers are not as logged`);
    const exhibits = states.listConfirmed(action).map((exhibit) => ({
        recording: column(exhibit, 'recording_id'), how: column(exhibit, 'how'),
        shown_from: column(exhibit, 'shown_from'), shown_to: column(exhibit, 'shown_to'),
    }));
    if (!sameList(list(content.exhibits, 'exhibits'), exhibits)) check.add(`${where}: 展示的片段与日志不符`, `${where}: exhibits are not as logged`);
}

/** In every state of a recording its documents and digests are those of the sealed record. */
async function checkRecording(log, name, check) {
    const { files, records } = log.bundle, record = records.get(name), folder = `data/recordings/${name}`;
    demand(record, '没有可比对的封存记录', 'no record to compare with');
    const receipt = nameDigest(await files.read(`${folder}/receipt.json`));
    const expected = {
        record_text: nameDigest(await files.read(`${folder}/record.json`)),
        envelope_text: nameDigest(await files.read(`${folder}/envelope.json`)),
        sha256: member(record.digests, 'sha-256'), size: record.size, station: record.station,
        source_serial: member(record.source, 'identity'),
        name: member(record.offered, 'name'), path: member(record.offered, 'path'),
    };
    const states = listStates(log.entries, 'recording', name);
    demand(states.length, '没有条目记下它', 'no entry holds its row');
    for (const { entry, state } of states) {
        const wrong = Object.keys(expected).filter((part) => column(state, part) !== expected[part]);
        if (![null, receipt].includes(column(state, 'receipt_text'))) wrong.push('receipt_text');
        if (wrong.length) check.add(`录像 ${name}: 条目 ${entry.index} 所记不同(${wrong.join(', ')})`, `recording ${name}: ${wrong.join(', ')} not as entry ${entry.index} has it`);
    }
}

/** The file's time is the station's; the start follows from it, a measured offset, or an answer. */
function checkTimes(log, name, check) {
    const { clocks } = log.bundle.records.get(name);
    const fileStart = member(clocks, 'file_start');
    let offset = member(clocks, 'offset_s'), answer;
    for (const { entry, state } of listStates(log.entries, 'recording', name)) {
        const { index, leaf } = entry, start = column(state, 'start_at');
        const add = (zh, en) => check.add(`录像 ${name}: 条目 ${index} ${zh}`, `recording ${name}: entry ${index}: ${en}`);
        if (!sameValue(column(state, 'file_start'), fileStart)) add('的文件时间不是采集站所见', 'the file\'s time is not the station\'s');
        if (column(state, 'clock_offset_s') !== offset) {
            if (!MEASURES.has(leaf.act)) add('改了时钟偏差,却没有校时', 'the clock\'s offset changed, unmeasured');
            offset = column(state, 'clock_offset_s');
        }
        if (leaf.act === 'recording.answer') answer = start;
        if ((answer === undefined || !sameValue(start, answer)) && !isOffsetBy(start, fileStart, offset)) {
            add('移动了时间,却没有校时', 'moved in time, and nobody measured that');
        }
    }
}
