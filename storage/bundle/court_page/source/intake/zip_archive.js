// A zip, read by its central directory and never unpacked whole (PKWARE APPNOTE 4.3). Archives from
// outside are hostile: sizes, places and names are claims, and each is held to what it claims.

import { WrongError, compareCodePoints, decodeText, demand, sameBytes } from '../formats/bytes.js';
import { MOST_FILES, readSlices } from './chosen_folder.js';

const END = 0x06054b50, END_64 = 0x06064b50, LOCATOR_64 = 0x07064b50;
const CENTRAL = 0x02014b50, LOCAL = 0x04034b50;
const END_SIZE = 22, CENTRAL_SIZE = 46, LOCAL_SIZE = 30;
const MOST_DIRECTORY = 64 << 20;
const DESCRIPTOR_SIZES = new Set([12, 16, 20, 24]); // of a data descriptor (APPNOTE 4.3.9)
const ENCRYPTED = 0x01, HAS_DESCRIPTOR = 0x08, UTF_8 = 0x800;
const STORED = 0, DEFLATED = 8;

const broken = (zh, en) => new WrongError(`压缩包:${zh}`, `archive: ${en}`);

async function readView(file, start, size) {
    if (start < 0 || start + size > file.size) throw broken('不完整', 'cut short');
    return new DataView(await file.slice(start, start + size).arrayBuffer());
}

/** A member: a slice of the archive, as it lies there or deflated. */
class ZipMember {
    constructor(file, entry) {
        this.packed = file.slice(entry.start, entry.start + entry.packedSize);
        this.size = entry.size;
        this.isPlain = entry.method === STORED;
    }

    async* readBlocks() {
        if (this.isPlain) {
            yield* readSlices(this.packed);
            return;
        }
        const reader = this.packed.stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
        let left = this.size;
        for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            left -= value.length;
            if (left < 0) {
                await reader.cancel();
                throw broken('有文件比它所称的长', 'a file longer than it says');
            }
            yield value;
        }
        if (left !== 0) throw broken('有文件比它所称的短', 'a file shorter than it says');
    }

    /** Return the member as a blob of this type; one that is deflated has to be unpacked for it. */
    async openBlob(type) {
        if (this.isPlain) return this.packed.slice(0, this.size, type);
        const parts = [];
        for await (const block of this.readBlocks()) parts.push(new Blob([block]));
        return new Blob(parts, { type });
    }
}

/** Read the directory; return files by path, and problems and remarks about the archive. */
export async function openZip(file) {
    const problems = [], remarks = [];
    const end = await readEnd(file);
    if (end.comment) problems.push({ zh: '压缩包带有注释', en: `a comment of ${end.comment} bytes in the archive` });
    const entries = await readDirectory(file, end);
    const files = new Map();
    for (const entry of entries) await locate(file, entry);
    problems.push(...findUnlistedBytes(entries, end));
    for (const entry of entries) {
        if (entry.name.endsWith('/')) {
            if (entry.size || entry.packedSize) throw broken('文件夹带有内容', 'a folder with content');
            continue;
        }
        if (files.has(entry.name)) throw broken(`同名文件 ${entry.name}`, `two files of one name: ${entry.name}`);
        if (entry.renamed) remarks.push({ zh: `${entry.name}: 文件名不是 UTF-8,按 GBK 读出`, en: 'a name in GBK' });
        files.set(entry.name, new ZipMember(file, entry));
    }
    return { files, problems, remarks };
}

async function readEnd(file) {
    const span = Math.min(file.size, END_SIZE + 0xffff);
    const view = await readView(file, file.size - span, span);
    for (let at = span - END_SIZE; at >= 0; at -= 1) {
        const comment = view.getUint16(at + 20, true);
        if (view.getUint32(at, true) !== END || at + END_SIZE + comment !== span) continue;
        const end = {
            at: file.size - span + at, comment,
            disks: view.getUint16(at + 4, true) + view.getUint16(at + 6, true),
            count: view.getUint16(at + 10, true),
            size: view.getUint32(at + 12, true),
            start: view.getUint32(at + 16, true),
        };
        return readEnd64(file, end);
    }
    throw broken('不完整,或者不是 zip', 'cut short, or no zip');
}

async function readEnd64(file, end) {
    if (end.at >= 20) {
        const locator = await readView(file, end.at - 20, 20);
        if (locator.getUint32(0, true) === LOCATOR_64) {
            // Right before its locator: where the locator says is a claim, and wrong behind a prefix.
            const at = end.at - 20 - 56, view = await readView(file, at, 56);
            if (view.getUint32(0, true) !== END_64) throw broken('zip64 结尾不对', 'another end of a zip64');
            Object.assign(end, {
                at,
                disks: view.getUint32(16, true) + view.getUint32(20, true),
                count: toNumber(view.getBigUint64(32, true)),
                size: toNumber(view.getBigUint64(40, true)),
                start: toNumber(view.getBigUint64(48, true)),
            });
        }
    }
    if (end.disks) throw broken('分成了几卷', 'split into parts');
    if (end.count > MOST_FILES || end.size > MOST_DIRECTORY) throw broken('文件过多', 'too many files');
    end.shift = end.at - end.size - end.start; // bytes before the archive: told, and read past
    if (end.shift < 0) throw broken('目录位置不对', 'a directory that lies elsewhere');
    end.start += end.shift;
    return end;
}

function toNumber(value) {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw broken('数字过大', 'a number too large');
    return Number(value);
}

async function readDirectory(file, end) {
    const view = await readView(file, end.start, end.size);
    const entries = [];
    let at = 0;
    for (let n = 0; n < end.count; n += 1) {
        if (at + CENTRAL_SIZE > end.size || view.getUint32(at, true) !== CENTRAL) throw broken('目录损坏', 'a broken directory');
        const nameSize = view.getUint16(at + 28, true), extraSize = view.getUint16(at + 30, true);
        const next = at + CENTRAL_SIZE + nameSize + extraSize + view.getUint16(at + 32, true);
        if (next > end.size) throw broken('目录损坏', 'a broken directory');
        const rawName = new Uint8Array(view.buffer, at + CENTRAL_SIZE, nameSize);
        const entry = {
            rawName,
            flags: view.getUint16(at + 8, true),
            method: view.getUint16(at + 10, true),
            packedSize: view.getUint32(at + 20, true),
            size: view.getUint32(at + 24, true),
            header: view.getUint32(at + 42, true),
        };
        Object.assign(entry, decodeName(rawName, entry.flags));
        readExtra64(entry, view, at + CENTRAL_SIZE + nameSize, extraSize);
        entry.header += end.shift;
        checkEntry(entry);
        entries.push(entry);
        at = next;
    }
    if (at !== end.size) throw broken('目录里有多余的字节', 'more bytes in the directory');
    return entries;
}

/** Take sizes and place from the zip64 field, in its order, where the plain ones are full. */
function readExtra64(entry, view, start, size) {
    for (let at = start; at + 4 <= start + size;) {
        const id = view.getUint16(at, true), length = view.getUint16(at + 2, true);
        let from = at + 4;
        const stop = from + length;
        if (stop > start + size) throw broken('目录损坏', 'a broken directory');
        if (id === 0x0001) {
            for (const name of ['size', 'packedSize', 'header']) {
                if (entry[name] !== 0xffffffff) continue;
                if (from + 8 > stop) throw broken('目录损坏', 'a broken directory');
                entry[name] = toNumber(view.getBigUint64(from, true));
                from += 8;
            }
        }
        at = stop;
    }
}

function decodeName(bytes, flags) {
    try {
        return { name: decodeText(bytes), renamed: false };
    } catch {
        if (flags & UTF_8) throw broken('文件名损坏', 'a broken name');
        return { name: new TextDecoder('gb18030').decode(bytes), renamed: true };
    }
}

function checkEntry(entry) {
    const parts = entry.name.split('/');
    const leaves = entry.name.startsWith('/') || parts.includes('..') || parts.includes('.')
        || entry.name.includes('\\') || entry.name.includes('\0') || /\/\/|^$/.test(entry.name);
    if (leaves) throw broken('有路径越出证据包', 'a path that leaves the bundle');
    if (entry.flags & ENCRYPTED) throw broken('加了密码', 'encrypted');
    if (entry.method !== STORED && entry.method !== DEFLATED) throw broken('压缩方法不认识', 'another compression');
    if (entry.method === STORED && entry.size !== entry.packedSize) throw broken('长度矛盾', 'contradicting lengths');
}

/** Find where a member's bytes begin; its own header has to bear the name that the directory says. */
async function locate(file, entry) {
    const view = await readView(file, entry.header, LOCAL_SIZE);
    if (view.getUint32(0, true) !== LOCAL) throw broken('文件头损坏', 'a broken header');
    const nameSize = view.getUint16(26, true), extraSize = view.getUint16(28, true);
    const name = await readView(file, entry.header + LOCAL_SIZE, nameSize);
    if (!sameBytes(new Uint8Array(name.buffer), entry.rawName)) throw broken('文件名矛盾', 'contradicting names');
    entry.start = entry.header + LOCAL_SIZE + nameSize + extraSize;
    if (entry.start + entry.packedSize > file.size) throw broken('不完整', 'cut short');
}

/** Return where the archive holds bytes of no member: another document could lie there. */
function findUnlistedBytes(entries, end) {
    const problems = [];
    const places = [...entries].sort((one, other) => one.header - other.header || compareCodePoints(one.name, other.name));
    let last = 0, hasDescriptor = false;
    for (const place of [...places, { header: end.start, flags: 0, start: end.start, packedSize: 0 }]) {
        const gap = place.header - last;
        if (gap && !(hasDescriptor && DESCRIPTOR_SIZES.has(gap))) {
            problems.push({ zh: `压缩包里有 ${gap} 个字节不属于任何文件`, en: `${gap} bytes of no file in the archive` });
        }
        last = place.start + place.packedSize;
        hasDescriptor = Boolean(place.flags & HAS_DESCRIPTOR);
    }
    return problems;
}
