// Who did what: the entries of the case's chains in their order, each as far as it is open.

import { parseInstant } from '../formats/instants.js';
import { make, makeBilingual, replaceContent, showText, showTime } from './elements.js';
import { actName, kindName, outcomeName } from './wording.js';

const AT_ONCE = 300; // rows; more on request, for a case may have tens of thousands
const MOST_SHOWN = 20_000; // characters of an entry's details

export function showCustody(place, { bundle, log }) {
    const heading = makeBilingual('h3', '谁做了什么(监管链)', 'Who did what: the custody entries in order');
    if (!log) {
        replaceContent(place, heading, make('p', {}, '条目没有证明属于已签名的日志,不予显示。'));
        return;
    }
    const body = make('tbody');
    const more = make('button', { type: 'button' });
    let shown = 0;
    const extend = () => {
        for (const entry of log.entries.slice(shown, shown + AT_ONCE)) body.append(makeRow(entry, log, bundle));
        shown = Math.min(shown + AT_ONCE, log.entries.length);
        more.textContent = `再显示 ${AT_ONCE} 条(共 ${log.entries.length} 条)`;
        more.hidden = shown === log.entries.length;
    };
    more.addEventListener('click', extend);
    extend();
    const names = ['号', '时间(北京)', '谁', '做了什么', '对象', '结果'];
    const head = make('thead', {}, make('tr', {}, names.map((name) => make('th', { scope: 'col' }, name))));
    replaceContent(place, heading,
        make('p', {}, '号是条目在日志里的编号;不连续,因为与本案无关的条目不在证据包里。时间是出具单位服务器的时钟。'),
        make('table', { class: 'custody' }, head, body), more);
}

function makeRow(entry, log, bundle) {
    const { leaf, index, details } = entry;
    const reason = typeof details?.reason === 'string' ? make('div', { class: 'small' }, `理由:${details.reason}`) : null;
    return make('tr', { 'data-entry': index, 'data-outcome': leaf.outcome },
        make('td', {}, index),
        make('td', {}, showTime(parseInstant(leaf.at))),
        make('td', {}, make('bdi', {}, nameActor(leaf.actor, log))),
        make('td', {}, actName(leaf.act), reason, details === null ? make('div', { class: 'small' }, '(内容涉及其他案件,未公开)') : makeDetails(details)),
        make('td', {}, make('bdi', {}, nameSubject(leaf.subject, log, bundle))),
        make('td', {}, outcomeName(leaf.outcome)));
}

function nameActor(actor, log) {
    const [kind, id] = splitSubject(actor);
    if (kind === 'person') return log.states.find('person', id)?.name ?? `人员 ${id.slice(0, 8)}…`;
    return kind === 'system' ? '系统' : `${kindName(kind)} ${id}`;
}

function nameSubject(subject, log, bundle) {
    const [kind, id] = splitSubject(subject);
    const names = {
        recording: () => bundle.records.get(id)?.offered?.name,
        person: () => log.states.find('person', id)?.name,
        action: () => log.states.find('action', id)?.place,
        case: () => log.states.find('case_', id)?.number,
    };
    const name = Object.hasOwn(names, kind) ? names[kind]() : null;
    return `${kindName(kind)} ${name ?? (id.length > 20 ? `${id.slice(0, 8)}…` : id)}`;
}

function splitSubject(subject) {
    const at = subject.indexOf(':');
    return at < 0 ? [subject, ''] : [subject.slice(0, at), subject.slice(at + 1)];
}

/** The details as they were logged, made only when somebody opens them. */
function makeDetails(details) {
    const content = make('pre');
    const box = make('details', { class: 'small' }, make('summary', {}, '记录内容'), content);
    box.addEventListener('toggle', () => {
        if (!content.textContent) content.textContent = showText(JSON.stringify(details, null, 1)).slice(0, MOST_SHOWN);
    });
    return box;
}
