// What a verification found: one line for each check, and the verdict over all (bundle.md section 7).

import { WrongError, shorten } from '../formats/bytes.js';

const MOST_PROBLEMS = 200;

/** One check: `problems` are empty when it holds; `remarks` are no problems, such as limits of it. */
class Check {
    problems = [];
    remarks = [];
    dropped = 0;

    constructor(level, name, zh, en) {
        Object.assign(this, { level, name, zh, en });
    }

    get passed() {
        return !this.problems.length;
    }

    /** Add a problem; a hostile bundle has any number of them. */
    add(zh, en) {
        if (this.problems.length < MOST_PROBLEMS) this.problems.push({ zh: shorten(zh, 300), en: shorten(en, 300) });
        else this.dropped += 1;
    }

    addError(error, where = '') {
        const zh = error instanceof WrongError ? error.zh : `无法读取:${error.message ?? error}`;
        this.add(`${where}${zh}`, `${where}${error.message ?? error}`);
    }

    remark(zh, en) {
        if (this.remarks.length < MOST_PROBLEMS) this.remarks.push({ zh: shorten(zh, 300), en: shorten(en, 300) });
    }
}

export class Report {
    checks = [];
    keysKnown = false; // by another way than the bundle

    /** Run one check; whatever a reader of hostile bytes throws counts as a problem. */
    async run(level, name, zh, en, work) {
        const check = new Check(level, name, zh, en);
        this.checks.push(check);
        try {
            await work(check);
        } catch (error) {
            check.addError(error);
        }
        return check;
    }

    find(name) {
        return this.checks.find((check) => check.name === name);
    }

    get passed() {
        return this.checks.length > 0 && this.checks.every((check) => check.passed);
    }

    get verdict() {
        if (!this.passed) return 'not-verified';
        return this.keysKnown ? 'verified' : 'self-consistent';
    }
}
