// Digests: SHA-256 of short bytes at once, and of files as streams, with SM3 beside it.

import { toHex } from './bytes.js';
import { SHA256 } from './sha256.js';
import { SM3 } from './sm3.js';

const STREAMS = { 'sha-256': () => new SHA256(), sm3: () => new SM3() };

export const digestBytes = (...parts) => parts.reduce((stream, part) => stream.update(part), new SHA256()).digest();
export const digestHex = (...parts) => toHex(digestBytes(...parts));

/** Return a digest as documents name it: `sha-256:<hex>`. */
export const nameDigest = (...parts) => `sha-256:${digestHex(...parts)}`;

export const isKnownAlgorithm = (name) => Object.hasOwn(STREAMS, name);

/** Digest blocks as they come, by each of the algorithms; return hex by algorithm. */
export async function digestStream(blocks, algorithms, progress) {
    const streams = algorithms.map((name) => [name, STREAMS[name]()]);
    for await (const block of blocks) {
        for (const [, stream] of streams) stream.update(block);
        progress(block.length);
    }
    return Object.fromEntries(streams.map(([name, stream]) => [name, toHex(stream.digest())]));
}
