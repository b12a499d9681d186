// The files of one bundle by their paths, whatever they came in; each is digested once, as a stream.

import { WrongError, demand, joinBytes } from '../formats/bytes.js';
import { parseExact, parseJson } from '../formats/canonical_json.js';
import { digestStream } from '../formats/digests.js';

const MOST_DOCUMENT = 64 << 20; // manifests and entries are the longest that are read whole
const ORIGINAL = /^data\/recordings\/([^/]+)\/original\//;
const LITTER = /^(?:\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*|__MACOSX\/(?:[^/]+\/)*\._[^/]*)$/;

/** Tell whether a path beside `data/` is one that computers add by themselves (bundle.md section 2). */
export const isLitter = (path) => LITTER.test(path);

export class BundleFiles {
    #files;
    #digests = new Map();

    /**
     * `files` are all files of the bundle's folder by path; each has `size`, `isPlain`, `readBlocks()`
     * and `openBlob(type)`. `beside` are problems, and `remarks` remarks, about what they came in.
     */
    constructor(files, { beside = [], remarks = [] } = {}) {
        this.#files = files;
        this.beside = beside;
        this.remarks = remarks;
        this.progress = () => {};
    }

    get paths() {
        return [...this.#files.keys()];
    }

    get size() {
        return [...this.#files.values()].reduce((total, file) => total + file.size, 0);
    }

    has(path) {
        return this.#files.has(path);
    }

    sizeOf(path) {
        return this.#fileAt(path).size;
    }

    /** Return the names right below a folder. */
    listNames(folder) {
        const start = `${folder}/`;
        const inside = this.paths.filter((path) => path.startsWith(start));
        return new Set(inside.map((path) => path.slice(start.length).split('/')[0]));
    }

    /** Return a document's bytes. Footage is never read so. */
    async read(path) {
        const file = this.#fileAt(path);
        demand(file.size <= MOST_DOCUMENT, `${path}: 过大`, `${path}: too large`);
        const blocks = [];
        for await (const block of file.readBlocks()) blocks.push(block);
        return joinBytes(...blocks);
    }

    async readJson(path) {
        const content = parseJson(await this.read(path));
        const isObject = content !== null && typeof content === 'object' && !Array.isArray(content);
        demand(isObject, `${path}: 不是 JSON 对象`, `${path}: no JSON object`);
        return content;
    }

    /** Return a file's digest as hex; a file is read once for all algorithms that are asked of it. */
    async digest(path, algorithm = 'sha-256') {
        if (!this.#digests.has(path)) this.#digests.set(path, await this.#digestFile(path));
        return this.#digests.get(path)[algorithm];
    }

    /** Tell whether a file lies as it is, and not deflated in an archive. */
    isPlain(path) {
        return this.#fileAt(path).isPlain;
    }

    openBlob(path, type) {
        return this.#fileAt(path).openBlob(type);
    }

    async #digestFile(path) {
        const algorithms = ['sha-256'];
        if (await this.#statesSm3(path)) algorithms.push('sm3');
        return digestStream(this.#fileAt(path).readBlocks(), algorithms, this.progress);
    }

    /** Tell whether the record beside an original states its SM3: not believed, only worked out. */
    async #statesSm3(path) {
        const folder = ORIGINAL.exec(path)?.[1];
        if (!folder) return false;
        try {
            const record = parseExact(await this.read(`data/recordings/${folder}/record.json`));
            return Object.hasOwn(record.body.digests, 'sm3');
        } catch {
            return false; // the check of records says what is wrong with it
        }
    }

    #fileAt(path) {
        const file = this.#files.get(path);
        if (!file) throw new WrongError(`缺少文件 ${path}`, `${path}: missing`);
        return file;
    }
}

/** Return the folder that holds the bundle, as a prefix of paths ('' or `name/`), or throw. */
export function findRoot(paths) {
    if (paths.includes('bagit.txt')) return '';
    const roots = paths.filter((path) => /^[^/]+\/bagit\.txt$/.test(path)).map((path) => path.split('/')[0]);
    // Two bundles in one: the reader could check the one and be shown the other.
    demand(roots.length <= 1, '里面有不止一个证据包', 'more than one bundle');
    if (roots.length === 1) return `${roots[0]}/`;
    const tops = new Set(paths.map((path) => path.split('/')[0]));
    const common = [...tops].filter((top) => paths.some((path) => path.startsWith(`${top}/data/`)));
    return common.length === 1 ? `${common[0]}/` : '';
}

/** Split files by path into those of the bundle, and problems and remarks about what lies beside. */
export function gatherBundle(files, problems = [], remarks = []) {
    const root = findRoot([...files.keys()]);
    const inside = new Map(), beside = [...problems], noted = [...remarks];
    for (const [path, file] of files) {
        if (path.startsWith(root)) inside.set(path.slice(root.length), file);
        else if (isLitter(path)) noted.push(describeLitter(path));
        else beside.push({ zh: `${path}: 在证据包之外`, en: `${path}: beside the bundle` });
    }
    return new BundleFiles(inside, { beside, remarks: noted });
}

export function describeLitter(path) {
    return { zh: `${path}: 电脑自动添加,未打开`, en: `${path}: added by a computer, not opened` };
}
