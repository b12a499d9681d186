// Verify a bundle at levels 1 and 2 of docs/spec/bundle.md: every check in order, and what it proved.

import { demand } from '../formats/bytes.js';
import { checkBag } from './bag_check.js';
import { CaseLog } from './case_log.js';
import { checkChains } from './chain_check.js';
import { checkFacts, checkRulebooks } from './facts_check.js';
import { checkKeys, checkSessions } from './key_check.js';
import {
    checkLog, checkNamedKeys, checkOrigins, checkReceipts, checkRecords, checkStatement, readKeys,
} from './level_1.js';
import { Report } from './report.js';
import { checkPresence, checkStates } from './state_check.js';

// [name, Chinese, English, work], as `liuhen verify` names them.
const LEVEL_1 = [
    ['statement', '中心签名的清单', 'the centre signed this manifest', checkStatement],
    ['records', '封存记录与原件一致', 'stations sealed these originals', checkRecords],
    ['receipts', '入库回执有效', 'receipts hold', checkReceipts],
    ['log', '日志条目属于已签名的根', 'entries lead to the signed head', checkLog],
    ['origins', '日志更名有据', 'the log\'s origins are its own', checkOrigins],
];
const LEVEL_2 = [
    ['chains', '监管链齐全、没有断开', 'chains are whole', checkChains],
    ['sessions', '人员操作在登录会话之内', 'acts lie in sessions', checkSessions],
    ['keys', '密钥登记在案、在有效期内', 'keys are enrolled and in time', checkKeys],
    ['presence', '应有的都在', 'what belongs to the case is there', checkPresence],
    ['states', '所述与日志一致', 'what is told is as logged', checkStates],
    ['rulebook', '规则库是记录在案的', 'the rules are those logged', checkRulebooks],
    ['facts', '事实与日志、记录一致', 'facts agree with log and records', checkFacts],
];

/**
 * Check a bundle; never throws for what it holds. `step` is told each check that begins. Returns the
 * report, and the bundle as far as it was proven (`proven`: its entries are under the signed head).
 */
export async function verifyBundle(files, named, step = () => {}) {
    const report = new Report();
    const bundle = {
        files, keys: null, statement: null, head: null, entries: [], proven: false,
        records: new Map(), footage: new Map(), receiptHeads: [],
        recordings: [...files.listNames('data/recordings')].sort(),
    };
    step('文件完整无改动');
    await report.run(1, 'bag', '文件完整无改动', 'every file is as listed', (check) => checkBag(files, check));
    const keys = await report.run(1, 'anchors', '公钥', 'whose keys these are', async (check) => {
        bundle.keys = await readKeys(files);
        checkNamedKeys(bundle, named, report, check);
    });
    if (!bundle.keys) return { report, bundle, keys };
    for (const [name, zh, en, work] of LEVEL_1) {
        step(zh);
        await report.run(1, name, zh, en, (check) => work(bundle, check));
    }
    let log = null;
    for (const [name, zh, en, work] of LEVEL_2) {
        step(zh);
        await report.run(2, name, zh, en, async (check) => {
            demand(bundle.proven && bundle.statement, '第一级未证明条目,没有进行', 'not done: nothing is proven');
            log ??= new CaseLog(bundle);
            await work(log, check);
        });
    }
    return { report, bundle, log };
}

/** Judge anew whose keys these are, when the reader names others; all else stands. */
export function judgeKeysAnew({ report, bundle }, named) {
    const check = report.find('anchors');
    if (!bundle.keys) return;
    check.problems.length = 0;
    check.remarks.length = 0;
    checkNamedKeys(bundle, named, report, check);
}
