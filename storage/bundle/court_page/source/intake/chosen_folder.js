// A folder that somebody chose or dropped: every file in it, read as a stream.

import { demand } from '../formats/bytes.js';

const BLOCK = 1 << 20; // bytes in hand at a time
export const MOST_FILES = 100_000;
const MOST_DEPTH = 32;

/**
 * Yield a blob's bytes, a block at a time. A block is good until the next one: its memory is used
 * again, which costs a fifth of what a slice after the other does (measured in Chromium).
 */
export async function* readStream(blob) {
    let reader;
    try {
        reader = blob.stream().getReader({ mode: 'byob' });
    } catch {
        yield* readSlices(blob); // an older browser
        return;
    }
    let memory = new ArrayBuffer(BLOCK);
    for (;;) {
        const { done, value } = await reader.read(new Uint8Array(memory));
        if (done) return;
        yield value;
        memory = value.buffer;
    }
}

async function* readSlices(blob) {
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
        return readStream(this.file);
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

/** Return files by path from entries that were dropped; folders are walked through. */
export async function walkDropped(entries) {
    const files = new Map();
    const waiting = entries.map((entry) => [entry, 1]);
    while (waiting.length) {
        const [entry, depth] = waiting.pop();
        demand(depth <= MOST_DEPTH && files.size < MOST_FILES, '文件夹过深或文件过多', 'too deep, or too many files');
        if (entry.isFile) {
            const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
            files.set(entry.fullPath.replace(/^\//, ''), new DiskFile(file));
        } else for (const child of await readFolder(entry)) waiting.push([child, depth + 1]);
    }
    return files;
}

async function readFolder(entry) {
    const reader = entry.createReader(), children = [];
    for (;;) {
        // A reader gives some hundred at a time, and none when it is through.
        const batch = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
        if (!batch.length) return children;
        children.push(...batch);
        demand(children.length <= MOST_FILES, '文件过多', 'too many files');
    }
}
