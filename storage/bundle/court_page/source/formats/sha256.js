// SHA-256 (FIPS 180-4), as a stream, in the frame of @noble/hashes. Its own one runs at a third of
// this speed in Chromium 156, where footage by the gigabyte has to be digested; in Node it does not.

import { HashMD, SHA256_IV } from '@noble/hashes/_md.js';

const WORDS = new Int32Array(64);
const CONSTANTS = listConstants();

const rotate = (word, by) => (word >>> by) | (word << (32 - by));

/** Return the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
function listConstants() {
    const constants = [];
    for (let candidate = 2n; constants.length < 64; candidate += 1n) {
        let isPrime = true;
        for (let divisor = 2n; divisor * divisor <= candidate; divisor += 1n) isPrime &&= candidate % divisor !== 0n;
        if (!isPrime) continue;
        let root = 0n; // of candidate * 2^96, bit by bit: its lowest 32 bits are the fraction's first
        for (let bit = 1n << 36n; bit > 0n; bit >>= 1n) {
            if ((root + bit) ** 3n <= candidate << 96n) root += bit;
        }
        constants.push(Number(BigInt.asIntN(32, root)));
    }
    return Int32Array.from(constants);
}

export class SHA256 extends HashMD {
    constructor() {
        super(64, 32, 8, false);
        this.state = Int32Array.from(SHA256_IV);
    }

    get() {
        return this.state;
    }

    process(view, offset) {
        const words = WORDS, state = this.state;
        for (let at = 0; at < 16; at += 1) words[at] = view.getInt32(offset + 4 * at, false);
        for (let at = 16; at < 64; at += 1) {
            const early = words[at - 15], late = words[at - 2];
            const s0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
            const s1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
            words[at] = (words[at - 16] + s0 + words[at - 7] + s1) | 0;
        }
        // Read one by one: taken apart as a list, they cost a third of the speed.
        let a = state[0], b = state[1], c = state[2], d = state[3];
        let e = state[4], f = state[5], g = state[6], h = state[7];
        for (let round = 0; round < 64; round += 1) {
            const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
            const t1 = (h + s1 + ((e & f) ^ (~e & g)) + CONSTANTS[round] + words[round]) | 0;
            const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
            const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
            h = g; g = f; f = e; e = (d + t1) | 0;
            d = c; c = b; b = a; a = (t1 + t2) | 0;
        }
        state[0] += a; state[1] += b; state[2] += c; state[3] += d;
        state[4] += e; state[5] += f; state[6] += g; state[7] += h;
    }

    roundClean() {
        WORDS.fill(0);
    }

    destroy() {
        this.destroyed = true;
        this.state.fill(0);
    }
}
