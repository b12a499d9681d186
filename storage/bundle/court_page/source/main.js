// The page: what the reader names and chooses goes in, the report comes out. No network, no storage.

import { judgeKeysAnew, verifyBundle } from './checks/verify.js';
import { showCustody } from './display/custody_view.js';
import { make, replaceContent, showSize } from './display/elements.js';
import { showCase, showChecks, showKeys, showVerdict } from './display/report_view.js';
import { gatherBundle } from './intake/bundle_files.js';
import { listChosen, walkDropped } from './intake/chosen_folder.js';
import { NamedKeys, addFile, addTyped } from './intake/named_keys.js';
import { openZip } from './intake/zip_archive.js';

const PLACE_IN_BUNDLE = /\/data\/verify\.html$/;
const REDRAW_MS = 300;
const find = (id) => document.getElementById(id);

let named = new NamedKeys();
let keyFiles = [];
let finished = null; // what the last verification gave
let busy = false;
let turns = 0; // of naming keys

function start() {
    if (PLACE_IN_BUNDLE.test(decodeURI(location.pathname))) find('copy-warning').hidden = false;
    find('folder').addEventListener('change', (event) => begin(() => listChosen(event.target.files)));
    find('zip').addEventListener('change', (event) => begin(() => event.target.files[0]));
    find('fingerprints').addEventListener('input', nameKeys);
    find('key-files').addEventListener('change', (event) => {
        keyFiles = [...event.target.files];
        nameKeys();
    });
    find('print').addEventListener('click', () => window.print());
    document.addEventListener('dragover', (event) => {
        event.preventDefault();
        find('drop').classList.add('over');
    });
    document.addEventListener('dragleave', () => find('drop').classList.remove('over'));
    document.addEventListener('drop', takeDrop);
    document.documentElement.dataset.ready = 'true';
}

function takeDrop(event) {
    event.preventDefault();
    find('drop').classList.remove('over');
    // Entries have to be taken at once: the browser forgets them after the event.
    const items = [...event.dataTransfer.items];
    const entries = items.map((item) => item.webkitGetAsEntry()).filter(Boolean);
    const handles = Promise.all(items.map((item) => item.getAsFileSystemHandle?.()));
    handles.catch(() => {}); // asked for below, if at all
    const files = [...event.dataTransfer.files];
    if (files.length && files.every((file) => /\.(pem|verify)$/i.test(file.name))) {
        keyFiles.push(...files);
        nameKeys();
    } else if (files.length === 1 && entries[0]?.isFile) begin(() => files[0]);
    else if (entries.length) begin(() => walkDropped(entries, handles));
}

/** Take the keys that the reader named by fingerprint or file, and judge by them anew. */
async function nameKeys() {
    const turn = turns += 1; // who types faster than files are read is answered once, by the last word
    find('key-state').dataset.state = 'busy';
    const fresh = new NamedKeys(), problems = [];
    const attempts = [() => addTyped(fresh, find('fingerprints').value), ...keyFiles.map((file) => () => addFile(fresh, file))];
    for (const attempt of attempts) {
        try {
            await attempt();
        } catch (error) {
            problems.push(error.zh ?? String(error));
        }
    }
    if (turn !== turns) return;
    named = fresh;
    const count = fresh.fingerprints.size + fresh.halves.size;
    find('key-state').textContent = [...problems, count ? `已认出 ${count} 把公钥。` : '还没有指定公钥。'].join(' ');
    find('key-state').dataset.count = count;
    find('key-state').dataset.problems = problems.length;
    if (finished) {
        judgeKeysAnew(finished, named);
        await show();
    }
    if (turn === turns) find('key-state').dataset.state = 'idle';
}

/** Verify what `choose` gives: files by path, or one file that is a zip. */
async function begin(choose) {
    if (busy) return;
    busy = true;
    finished = null;
    find('result').hidden = true;
    find('progress').hidden = false;
    find('progress').dataset.state = 'busy';
    try {
        const files = await openBundle(await choose());
        const total = files.size;
        let done = 0, step = '', last = 0;
        const tell = () => {
            // To draw for every block would cost more than to digest it.
            if (performance.now() - last < REDRAW_MS) return;
            last = performance.now();
            find('step').textContent = `正在核验:${step}(${showSize(done)} / ${showSize(total)})`;
            find('bar').value = total ? done / total : 1;
        };
        files.progress = (size) => {
            done += size;
            tell();
        };
        finished = await verifyBundle(files, named, (name) => {
            step = name;
            last = 0;
            tell();
        });
        await show();
    } catch (error) {
        refuse(error);
    } finally {
        busy = false;
        find('progress').hidden = true;
        find('progress').dataset.state = 'idle';
        for (const id of ['folder', 'zip']) find(id).value = '';
    }
}

async function openBundle(chosen) {
    if (chosen instanceof Map) return gatherBundle(chosen);
    const { files, problems, remarks } = await openZip(chosen);
    return gatherBundle(files, problems, remarks);
}

/** Tell of what cannot even be opened as a bundle: a failed check of its own. */
function refuse(error) {
    const report = { verdict: 'not-verified', checks: [{
        level: 1, name: 'archive', zh: '证据包可以打开', en: 'the bundle can be opened', passed: false, dropped: 0,
        problems: [{ zh: error.zh ?? `无法读取:${error.message}`, en: error.message }], remarks: [],
    }], keysKnown: false };
    showVerdict(find('verdict'), report);
    showChecks(find('checks'), report);
    for (const id of ['keys', 'case', 'custody']) replaceContent(find(id));
    find('result').hidden = false;
}

async function show() {
    const { report, bundle } = finished;
    showVerdict(find('verdict'), report);
    showChecks(find('checks'), report);
    showKeys(find('keys'), bundle, named);
    try {
        await showCase(find('case'), finished);
        showCustody(find('custody'), finished);
    } catch (error) {
        replaceContent(find('case'), make('p', {}, `不能显示:${error.zh ?? error.message}`));
    }
    find('result').hidden = false;
    find('verdict').focus();
}

start();
