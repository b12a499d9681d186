// The report, as a reader sees it: verdict, what holds and what does not, keys, footage.

import { groupFingerprint } from '../formats/public_key.js';
import { parseInstant } from '../formats/instants.js';
import { make, makeBilingual, replaceContent, showSize, showTime } from './elements.js';
import { makePlayer, describeCodecs } from './playback.js';
import { VERDICTS, useName } from './wording.js';

const LEVELS = {
    1: ['第一级:签名、散列、证明', 'Level 1: signatures, digests, proofs'],
    2: ['第二级:监管链、齐全、状态、姓名、时间', 'Level 2: chains, presence, states, names, times'],
};

export function showVerdict(place, report) {
    const { mark, zh, en, meaning, meaningEn } = VERDICTS[report.verdict];
    place.dataset.verdict = report.verdict;
    replaceContent(
        place,
        make('p', { class: 'verdict-line' }, make('span', { class: 'mark', 'aria-hidden': 'true' }, mark), ' ', zh, ' ', make('span', { class: 'en', lang: 'en' }, en)),
        makeBilingual('p', meaning, meaningEn),
        listFailures(report),
    );
}

function listFailures(report) {
    const failed = report.checks.filter((check) => !check.passed);
    if (!failed.length) return null;
    const names = failed.map((check) => `第${check.level === 1 ? '一' : '二'}级“${check.zh}”`);
    return make('p', { class: 'failures' }, `不成立的检查(${failed.length} 项):${names.join('、')}。`);
}

export function showChecks(place, report) {
    const sections = [1, 2].map((level) => {
        const checks = report.checks.filter((check) => check.level === level);
        return make('section', { class: 'level' }, makeBilingual('h3', ...LEVELS[level]),
            make('ul', { class: 'checks' }, checks.map((check) => makeCheck(check, report))));
    });
    replaceContent(place, sections);
}

function makeCheck(check, report) {
    const isUnknown = check.name === 'anchors' && check.passed && !report.keysKnown;
    const state = isUnknown ? 'unknown' : check.passed ? 'passed' : 'failed';
    const mark = { passed: '✓', failed: '✗', unknown: '?' }[state];
    const word = { passed: '成立', failed: '不成立', unknown: '未知' }[state];
    const attributes = { 'data-check': check.name, 'data-level': check.level, 'data-state': state };
    const lines = check.problems.map(({ zh, en }) => makeBilingual('li', zh, en, { class: 'problem' }));
    if (check.dropped) lines.push(make('li', { class: 'problem' }, `…另有 ${check.dropped} 个问题`));
    lines.push(...check.remarks.map(({ zh, en }) => makeBilingual('li', zh, en, { class: 'remark' })));
    return make('li', attributes,
        make('span', { class: 'mark', 'aria-hidden': 'true' }, mark), ' ',
        make('strong', {}, check.zh), make('span', { class: 'word' }, `:${word}`), ' ',
        make('span', { class: 'en', lang: 'en' }, check.en),
        lines.length ? make('ul', {}, lines) : null);
}

export function showKeys(place, bundle, named) {
    if (!bundle.keys) {
        replaceContent(place, make('p', {}, '公钥无法读取。'));
        return;
    }
    const { centre, log, stations } = bundle.keys;
    const rows = [['centre', centre], ['log', log], ...stations.map((key) => ['station', key])].map(([use, key]) => {
        // Of stations' keys the log tells, and it is checked at level 2: nobody has to compare them.
        const known = use === 'station' ? '由日志登记' : named.knows(key) ? '与您指定的一致' : named.isEmpty ? '未核对' : '不在您指定的之中';
        return make('tr', {}, make('th', { scope: 'row' }, `${useName(use)} `, make('bdi', {}, key.name)),
            make('td', {}, make('code', {}, groupFingerprint(key.fingerprint)), make('span', { class: 'known' }, known)));
    });
    replaceContent(place, makeBilingual('h3', '公钥指纹', 'Fingerprints of the keys'),
        make('p', {}, '请与盖章的《公钥公告》逐字核对中心和日志两把公钥。'), make('table', {}, make('tbody', {}, rows)));
}

/** Show case and footage; what no check vouches for is not shown. */
export async function showCase(place, { bundle, report }) {
    const believed = bundle.statement && bundle.proven && report.find('states')?.passed;
    if (!believed) {
        replaceContent(place, makeBilingual('h3', '案件与录像', 'Case and footage'),
            make('p', {}, '案情与录像清单没有核验通过,不予显示。'));
        return;
    }
    const content = await bundle.files.readJson('data/case.json');
    const { statement, head } = bundle;
    const facts = [
        ['案号', content.number], ['案由', content.title], ['当事人', content.party], ['单位', content.township],
        ['出具', `${statement.made_by},${showTime(parseInstant(statement.made_at))}(北京时间)`],
        ['软件', statement.software], ['日志', `${bundle.keys.log.name},导出时共 ${head.size} 个条目`],
    ];
    const rows = facts.map(([name, value]) => make('tr', {}, make('th', { scope: 'row' }, name), make('td', {}, make('bdi', {}, value))));
    replaceContent(place, makeBilingual('h3', '案件', 'Case'), make('table', { class: 'facts' }, make('tbody', {}, rows)),
        makeBilingual('h3', '录像', 'Footage'), await listFootage(bundle));
}

async function listFootage(bundle) {
    const listing = await bundle.files.readJson('data/evidence-list.json');
    const items = listing.recordings.map((line) => {
        const record = bundle.records.get(line.recording), footage = bundle.footage.get(line.recording);
        const start = line.start_at === null ? '时间不明' : showTime(parseInstant(line.start_at));
        const about = [start, `${line.duration_s ?? '?'} 秒`, showSize(line.size), `记录仪 ${line.source ?? '不明'}`, line.officer ?? '人员不明'];
        const holds = record && footage;
        return make('li', { 'data-recording': line.recording, 'data-whole': String(Boolean(holds)) },
            make('p', { class: 'name' }, make('span', { class: 'mark', 'aria-hidden': 'true' }, holds ? '✓' : '✗'), ' ', make('bdi', {}, line.name)),
            make('p', {}, about.join(' · ')),
            make('p', { class: 'small' }, 'SHA-256 ', make('code', {}, line.sha256)),
            holds ? make('p', { class: 'small' }, describeCodecs(record.media)) : make('p', {}, '原件没有核验通过,不提供播放。'),
            holds ? makePlayer(bundle.files, footage, record) : null);
    });
    return make('ol', { class: 'footage' }, items);
}
