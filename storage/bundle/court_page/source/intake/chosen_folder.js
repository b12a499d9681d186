// A folder that somebody chose or dropped: every file in it, read by slices.

import { WrongError, demand } from '../formats/bytes.js';

const BLOCK = 4 << 20; // bytes in hand at a time
export const MOST_FILES = 100_000;
const MOST_DEPTH = 32;

/**
 * Yield a blob's bytes, one slice after the other. Its stream would take less of the processor, and
 * came to a halt now and then when read into one buffer (Chromium 156).
 */
export async function* readSlices(blob) {
    for (let at = 0; at < blob.size; at += BLOCK) {
        yield new Uint8Array(await blob.slice(at, at + BLOCK).arrayBuffer());
    }
}

class DiskFile {
    constructor(file) {
        this.file = file;
        this.size = file.size;
        this.isPlain = true;
    }

    readBlocks() {
        return readSlices(this.file);
    }

    async openBlob(type) {
        return this.file.slice(0, this.size, type);
    }
}

/** Return files by path from a chooser of folders (`webkitdirectory`); the folder's name is part of it. */
export function listChosen(files) {
    demand(files.length <= MOST_FILES, '文件过多', 'too many files');
    return new Map([...files].map((file) => [file.webkitRelativePath || file.name, new DiskFile(file)]));
}

/**
 * Return files by path from what was dropped, folders walked through. Chromium reads entries of a
 * dropped folder on pages from the web only, and handles on pages from a file, too; Firefox has
 * entries alone.
 */
export async function walkDropped(entries, handles) {
    try {
        const roots = (await handles).filter(Boolean);
        if (roots.length) return await walk(roots.map((root) => [root.name, root]), listHandle);
        return await walk(entries.map((entry) => [entry.name, entry]), listEntry);
    } catch (error) {
        if (error instanceof WrongError) throw error;
        throw new WrongError(
            '本浏览器不让网页读取拖入的文件夹,请改用“选择文件夹”按钮',
            `this browser does not let a page read a dropped folder: choose it instead (${error.message})`,
        );
    }
}

/** Walk folders; `open` gives the file of a node, or the nodes of a folder by their names. */
async function walk(roots, open) {
    const files = new Map();
    const waiting = roots.map(([path, node]) => [path, node, 1]);
    while (waiting.length) {
        const [path, node, depth] = waiting.pop();
        demand(depth <= MOST_DEPTH && files.size < MOST_FILES, '文件夹过深或文件过多', 'too deep, or too many files');
        const content = await open(node);
        if (content instanceof File) files.set(path, new DiskFile(content));
        else for (const [name, child] of content) waiting.push([`${path}/${name}`, child, depth + 1]);
    }
    return files;
}

async function listHandle(handle) {
    if (handle.kind === 'file') return handle.getFile();
    const children = [];
    for await (const child of handle.entries()) {
        children.push(child);
        demand(children.length <= MOST_FILES, '文件过多', 'too many files');
    }
    return children;
}

async function listEntry(entry) {
    if (entry.isFile) return new Promise((resolve, reject) => { entry.file(resolve, reject); });
    const reader = entry.createReader(), children = [];
    for (;;) {
        // A reader gives some hundred at a time, and none when it is through.
        const batch = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
        if (!batch.length) return children;
        children.push(...batch.map((child) => [child.name, child]));
        demand(children.length <= MOST_FILES, '文件过多', 'too many files');
    }
}
