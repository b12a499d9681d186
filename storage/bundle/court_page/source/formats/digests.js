// Digests: SHA-256 of short bytes at once, and of files as streams, with SM3 beside it.

import { sha256 } from '@noble/hashes/sha2.js';
import { joinBytes, toHex } from './bytes.js';
import { SM3 } from './sm3.js';

const STREAMS = { 'sha-256': () => sha256.create(), sm3: () => new SM3() };

export const digestBytes = (...parts) => sha256(joinBytes(...parts));
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
