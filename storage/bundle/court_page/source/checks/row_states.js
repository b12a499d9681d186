// States of rows as entries hold them, and the subjects that they are about (custody-log.md section 1).

import { demand, member } from '../formats/bytes.js';

const CONTINUES = readTable(`
account id>account
action id>action case_id>case
action_officer action_id>action
assignment person_id>person
case_ id>case
case_part case_id>case
certificate person_id>person
clock_reading recording_id>recording
decision case_id>case
disposition id>disposition
disposition_approval disposition_id>disposition
disposition_item disposition_id>disposition recording_id>recording
document case_id>case action_id>action recording_id>recording
doubt recording_id>recording
draw id>draw
enrolment station_id>station
exhibit action_id>action recording_id>recording
footage_class recording_id>recording
hold id>hold recording_id>recording action_id>action case_id>case proceeding_id>proceeding
hold_release hold_id>hold proceeding_id>proceeding
later_look recording_id>recording
moment action_id>action
person id>person
proceeding id>proceeding case_id>case
quality_check draw_id>draw recording_id>recording
reclassification recording_id>recording
recording id>recording
rendition recording_id>recording
review case_id>case
source id>source
station id>station
tombstone recording_id>recording disposition_id>disposition
training person_id>person
waiver case_id>case action_id>action`);

const NAMES = readTable(`
account person_id>person
action_officer person_id>person
case_part person_id>person
decision person_id>person
doubt person_id>person
recording officer_id>person station>station
review person_id>person
waiver person_id>person decided_by>person`);

function readTable(content) {
    const lines = content.trim().split('\n').map((line) => line.split(' '));
    return new Map(lines.map(([table, ...columns]) => [table, columns.map((column) => column.split('>'))]));
}

function subjectsOf(columnsByTable, table, state) {
    return (columnsByTable.get(table) ?? [])
        .filter(([column]) => Object.hasOwn(state, column) && state[column] !== null)
        .map(([column, kind]) => `${kind}:${state[column]}`);
}

/** Return the subjects whose chains a change of a row continues. */
export const listContinued = (table, state) => subjectsOf(CONTINUES, table, state);

/** Return the subjects that a row names beside them. */
export const listNamed = (table, state) => subjectsOf(NAMES, table, state);

/** The last state of each row, up to some entry; a row that is gone has none. */
export class RowStates {
    #tables = new Map();

    static of(entries) {
        const states = new RowStates();
        for (const entry of entries) states.take(entry);
        return states;
    }

    take(entry) {
        for (const { table, key, state } of entry.rows) {
            if (!this.#tables.has(table)) this.#tables.set(table, new Map());
            if (state === null) this.#tables.get(table).delete(key);
            else this.#tables.get(table).set(key, state);
        }
    }

    find(table, key) {
        return this.#tables.get(table)?.get(key) ?? null;
    }

    get(table, key) {
        const state = this.find(table, key);
        demand(state, `日志里没有 ${table} ${key}`, `no entry tells of ${table} ${key}`);
        return state;
    }

    /** Return the states of a table whose columns have these values. */
    list(table, values = {}) {
        return [...this.#tables.get(table)?.values() ?? []].filter((state) =>
            Object.entries(values).every(([column, value]) => Object.hasOwn(state, column) && state[column] === value));
    }

    listConfirmed(action) {
        return this.list('exhibit', { action_id: action, state: 'confirmed' });
    }
}

/** Return each state of a row, with its entry. */
export function listStates(entries, table, key) {
    return entries.flatMap((entry) => entry.rows
        .filter((row) => row.table === table && row.key === key && row.state !== null)
        .map((row) => ({ entry, state: row.state })));
}

export const column = (state, name) => member(state, name);
