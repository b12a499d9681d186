// JSON from outside, bounded in size and depth; and its canonical form (RFC 8785).

import { decodeText, demand, encodeText, sameBytes } from './bytes.js';

const MOST_BYTES = 64 << 20;
const MOST_DEPTH = 64;

/** Parse JSON. What is deeper or longer than any document of ours is refused before it is read. */
export function parseJson(bytes) {
    demand(bytes.length <= MOST_BYTES, 'JSON 过大', 'JSON too large');
    demand(depthOf(bytes) <= MOST_DEPTH, 'JSON 嵌套过深', 'JSON nested too deep');
    const content = decodeText(bytes);
    try {
        return JSON.parse(content);
    } catch {
        demand(false, '不是 JSON', 'not JSON');
    }
}

/** Parse JSON that has to be the canonical encoding of itself: so a document has one spelling. */
export function parseExact(bytes) {
    const value = parseJson(bytes);
    demand(sameBytes(encodeCanonical(value), bytes), 'JSON 不是规范写法', 'JSON that is not canonical');
    return value;
}

/** Return the canonical encoding of a value from JSON, as bytes. */
export function encodeCanonical(value) {
    return encodeText(format(value));
}

function format(value) {
    if (Array.isArray(value)) return `[${value.map(format).join(',')}]`;
    if (value !== null && typeof value === 'object') {
        // Sorted by UTF-16 units, which is JavaScript's own order (RFC 8785 section 3.2.3).
        const members = Object.keys(value).sort().map((name) => `${format(name)}:${format(value[name])}`);
        return `{${members.join(',')}}`;
    }
    if (typeof value === 'string') demand(!/\p{Surrogate}/u.test(value), '文字不合 Unicode', 'a lone surrogate');
    return JSON.stringify(value); // numbers as ECMAScript writes them: that is RFC 8785's own rule
}

function depthOf(bytes) {
    let depth = 0, deepest = 0, inText = false;
    for (let at = 0; at < bytes.length; at += 1) {
        const byte = bytes[at];
        if (inText) {
            if (byte === 0x5c) at += 1; // a backslash: what follows it ends no text
            else if (byte === 0x22) inText = false;
        } else if (byte === 0x22) inText = true;
        else if (byte === 0x5b || byte === 0x7b) deepest = Math.max(deepest, depth += 1);
        else if (byte === 0x5d || byte === 0x7d) depth -= 1;
    }
    return deepest;
}
