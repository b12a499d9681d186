// The case as its proven entries tell of it: which subjects belong to it, and the chain of each.

import { RowStates, listContinued, listNamed } from './row_states.js';

export const RULEBOOK = 'rulebook:office', ORIGIN = 'system:log-origin', CLOCK = 'system:clock';
const REACHES = {
    case: ['action', 'hold', 'person', 'proceeding', 'rulebook'],
    action: ['hold', 'person', 'recording', 'rulebook'],
    recording: ['hold', 'key', 'person', 'station'],
    station: ['key'],
    proceeding: ['hold'],
};

const kindOf = (subject) => subject.slice(0, subject.indexOf(':'));

export class CaseLog {
    constructor(bundle) {
        this.bundle = bundle;
        this.entries = bundle.entries;
        this.caseId = bundle.statement.case;
        this.export = this.entries.at(-1);
        this.before = this.entries.filter((entry) => entry.index !== bundle.statement.export);
        this.states = RowStates.of(this.entries);
        this.keys = listKeys(bundle.keys);
        this.chains = this.#gatherChains();
        this.subjects = this.#findSubjects();
    }

    /** Return the states as they were when an entry was made. */
    statesBefore(index) {
        return RowStates.of(this.entries.filter((entry) => entry.index < index));
    }

    #gatherChains() {
        const chains = new Map();
        for (const entry of this.before) {
            const subjects = entry.version === 1 ? [entry.leaf.subject] : entry.chains.keys();
            for (const subject of subjects) {
                if (!chains.has(subject)) chains.set(subject, []);
                chains.get(subject).push(entry);
            }
        }
        return chains;
    }

    /** From the case's own chain entries lead on, again and again: leaving one out leaves its name. */
    #findSubjects() {
        const start = `case:${this.caseId}`;
        const subjects = new Set([start]), waiting = [start];
        while (waiting.length) {
            const subject = waiting.pop(), kind = kindOf(subject);
            const kinds = Object.hasOwn(REACHES, kind) ? REACHES[kind] : [];
            for (const entry of this.chains.get(subject) ?? []) {
                for (const other of listTouched(entry)) {
                    if (subjects.has(other) || !kinds.includes(kindOf(other))) continue;
                    subjects.add(other);
                    waiting.push(other);
                }
            }
        }
        for (const subject of [RULEBOOK, ORIGIN, CLOCK]) subjects.add(subject);
        for (const key of this.keys) subjects.add(`key:${key.fingerprint.slice(0, 16)}`);
        return subjects;
    }
}

/** Return use, name (of stations' keys only) and fingerprint of each key in `data/keys`. */
function listKeys({ centre, log, stations, recipients }) {
    return [
        { use: 'centre', name: null, fingerprint: centre.fingerprint },
        { use: 'log', name: null, fingerprint: log.fingerprint },
        ...stations.map((key) => ({ use: 'station', name: key.name, fingerprint: key.fingerprint })),
        ...recipients.map(({ use, fingerprint }) => ({ use, name: null, fingerprint })),
    ];
}

/** Return the subjects that an entry continues or names; one of version 1 says it by its rows. */
function listTouched(entry) {
    if (entry.version === 2) return [...entry.chains.keys(), ...entry.heads.keys()];
    const rows = entry.rows.filter((row) => row.state !== null);
    return [entry.leaf.subject, ...rows.flatMap(({ table, state }) => [...listContinued(table, state), ...listNamed(table, state)])];
}
