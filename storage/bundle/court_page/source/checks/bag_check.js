// Level 1: the bag. Every file is listed in its own manifest, none changed, none beside (RFC 8493).

import { compareCodePoints, decodeText, demand, differenceOf, encodeText, member, sameBytes, text } from '../formats/bytes.js';
import { parseExact } from '../formats/canonical_json.js';
import { describeLitter, isLitter } from '../intake/bundle_files.js';

const DECLARATION = encodeText('BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n');
const MANIFEST = 'manifest-sha256.txt', TAG_MANIFEST = 'tagmanifest-sha256.txt';
const TAGS = new Set(['bagit.txt', 'bag-info.txt', MANIFEST, 'bundle.json', 'bundle.message', 'bundle.ed25519']);

export async function checkBag(files, check) {
    for (const { zh, en } of files.beside) check.add(zh, en);
    for (const { zh, en } of files.remarks) check.remark(zh, en);
    if (!sameBytes(await files.read('bagit.txt'), DECLARATION)) {
        check.add('bagit.txt: 不是规定的两行', 'bagit.txt: another declaration');
    }
    const payload = new Set(), tags = new Set();
    for (const path of files.paths) {
        if (path.startsWith('data/')) payload.add(path);
        else if (path === TAG_MANIFEST) continue;
        else if (isLitter(path)) check.remark(describeLitter(path).zh, describeLitter(path).en);
        else tags.add(path);
    }
    for (const path of differenceOf(tags, TAGS)) {
        if (tags.has(path)) check.add(`${path}: 不应有的文件`, `${path}: not a file of a bundle`);
    }
    const manifests = [[MANIFEST, payload], [TAG_MANIFEST, tags]];
    for (const [name, present] of manifests) {
        await compareWithManifest(files, name, present, check);
    }
}

async function compareWithManifest(files, manifest, present, check) {
    const listed = await readManifest(files, manifest);
    const expected = manifest === TAG_MANIFEST ? TAGS : null;
    for (const path of listed.keys()) {
        const misplaced = expected ? !expected.has(path) : !path.startsWith('data/');
        if (misplaced) check.add(`${path}: 列在不该列的清单里`, `${path}: in the wrong manifest`);
        else if (!present.has(path)) check.add(`${path}: 缺少`, `${path}: missing`);
    }
    for (const path of expected ?? []) {
        if (!listed.has(path)) check.add(`${path}: 没有列入清单`, `${path}: not listed`);
    }
    for (const path of present) {
        if (!listed.has(path)) {
            if (!expected || expected.has(path)) check.add(`${path}: 没有列入清单`, `${path}: not listed`);
            continue;
        }
        try {
            if (await files.digest(path) !== listed.get(path)) check.add(`${path}: 内容有改动`, `${path}: changed`);
        } catch (error) {
            check.addError(error, `${path}: `);
        }
    }
}

/** Return what a manifest lists, in its one form: no line twice, in the order of the names. */
async function readManifest(files, name) {
    const bytes = await files.read(name), listed = new Map();
    for (const line of decodeText(bytes).replace(/\n$/, '').split('\n')) {
        const at = line.indexOf('  ');
        demand(at > 0, `${name}: 有一行不对`, `${name}: not a line of a manifest`);
        listed.set(line.slice(at + 2), line.slice(0, at));
    }
    const lines = [...listed.keys()].sort(compareCodePoints).map((path) => `${listed.get(path)}  ${path}\n`);
    demand(sameBytes(encodeText(lines.join('')), bytes), `${name}: 不是唯一的写法`, `${name}: not in its one form`);
    return listed;
}

/** Throw unless `bag-info.txt` is what statement and case make: nobody signs the list that it is on. */
export async function checkBagInfo(files, body, problems) {
    const sizes = files.paths.filter((path) => path.startsWith('data/')).map((path) => files.sizeOf(path));
    const record = await files.readJson('data/case.json');
    const info = [
        ['Source-Organization', text(member(record, 'township'), 'township')],
        ['External-Identifier', text(member(record, 'number'), 'number')],
        ['Bagging-Date', text(member(body, 'made_at'), 'made_at').slice(0, 10)],
        ['Bag-Software-Agent', text(member(body, 'software'), 'software')],
        ['Payload-Oxum', `${sizes.reduce((total, size) => total + size, 0)}.${sizes.length}`],
    ];
    // White space as Python's `split()` takes it, which wrote the file.
    const lines = info.map(([name, value]) => `${name}: ${value.split(/[\s\x1c-\x1f\x85]+/).filter(Boolean).join(' ')}\n`);
    if (!sameBytes(await files.read('bag-info.txt'), encodeText(lines.join('')))) {
        problems.add('bag-info.txt: 与签名的清单、案件不符', 'bag-info.txt: not what statement and case make');
    }
}

/** Return the statement's body, unverified. */
export async function readStatement(files) {
    return member(parseExact(await files.read('bundle.json')), 'body');
}
