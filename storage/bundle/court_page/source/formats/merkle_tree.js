// What a bundle knows of the log's tree: its entries, the nodes that come along, and what follows.

import { decodeBase64, demand, list } from './bytes.js';
import { parseExact } from './canonical_json.js';
import { hashNode } from './checkpoint.js';
import { digestBytes } from './digests.js';
import { splitLines } from './log_entries.js';

const LEVELS = 53; // numbers of entries are below 2^53 here

/** Return the complete nodes that make up a tree of this size, left to right, as [level, index]. */
export function listPeaks(size) {
    const peaks = [];
    for (let level = LEVELS - 1; level >= 0; level -= 1) {
        const count = Math.floor(size / 2 ** level);
        if (count % 2 === 1) peaks.push([level, count - 1]);
    }
    return peaks;
}

export class PartialTree {
    #hashes = new Map();
    #computed = new Set();
    #given = new Map();

    /** `earlier` are sizes of heads whose roots have to follow from the same nodes. */
    constructor(entries, nodeLines, earlier) {
        for (const entry of entries) this.#hashes.set(`0/${entry.index}`, entry.hash);
        for (const line of splitLines(nodeLines)) {
            const [level, index, hash] = list(parseExact(line), 'node');
            const place = `${level}/${index}`;
            demand(!this.#given.has(place), '同一节点出现两次', 'a node twice');
            this.#given.set(place, decodeBase64(hash));
        }
        // A node above an entry, or above what makes up an earlier head, is never taken as given:
        // so that every entry and every receipt counts for the root.
        const starts = entries.map((entry) => [0, entry.index]);
        for (const size of earlier) starts.push(...listPeaks(size));
        for (const [level, index] of starts) {
            let above = index;
            for (let up = level + 1; up <= LEVELS; up += 1) {
                above = Math.floor(above / 2);
                const place = `${up}/${above}`;
                if (above === 0 && this.#computed.has(place)) break;
                this.#computed.add(place);
            }
        }
    }

    /** Return the root of the tree of this size. */
    computeRoot(size) {
        let root = null;
        for (const [level, index] of listPeaks(size).reverse()) {
            const node = this.#nodeAt(level, index);
            root = root === null ? node : hashNode(node, root);
        }
        return root ?? digestBytes();
    }

    #nodeAt(level, index) {
        const place = `${level}/${index}`;
        let hash = this.#hashes.get(place);
        if (hash) return hash;
        if (level > 0 && this.#computed.has(place)) {
            hash = hashNode(this.#nodeAt(level - 1, index * 2), this.#nodeAt(level - 1, index * 2 + 1));
        } else {
            hash = this.#given.get(place);
            demand(hash && hash.length === 32, `缺少节点 ${place}`, `node ${place} is missing`);
        }
        this.#hashes.set(place, hash);
        return hash;
    }
}
