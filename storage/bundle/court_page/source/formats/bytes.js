// Bytes and texts: the small steps that every format here needs, and the one error of a check.

const ENCODER = new TextEncoder();

/** What a check throws when something is not as it has to be; told in Chinese and in English. */
export class WrongError extends Error {
    constructor(zh, en) {
        super(en);
        this.zh = zh;
        this.en = en;
    }
}

/** Throw a WrongError unless the condition holds. */
export function demand(condition, zh, en) {
    if (!condition) throw new WrongError(zh, en);
}

/**
 * Return a member of an object from JSON. A member that is not there is an error, never `undefined`:
 * two that are missing would else be equal. Names that JavaScript gives every object do not count.
 */
export function member(object, name) {
    const present = object !== null && typeof object === 'object' && Object.hasOwn(object, name);
    demand(present, `缺少 ${shorten(name)}`, `no member ${shorten(name)}`);
    return object[name];
}

/** Return a list's entries, or throw: hostile JSON has anything in a list's place. */
export function list(value, name) {
    demand(Array.isArray(value), `${name} 不是列表`, `${name} is no list`);
    return value;
}

/** Return a text as it is, or throw. */
export function text(value, name) {
    demand(typeof value === 'string', `${name} 不是文字`, `${name} is no text`);
    return value;
}

/** Tell whether an object has exactly these members. */
export function hasExactly(object, names) {
    return object !== null && typeof object === 'object' && !Array.isArray(object)
        && sameSet(new Set(Object.keys(object)), new Set(names));
}

export function sameSet(first, second) {
    return first.size === second.size && [...first].every((one) => second.has(one));
}

/** Return what only one of two sets has, sorted: what is missing and what is too much. */
export function differenceOf(first, second) {
    const either = new Set([...first, ...second]);
    return [...either].filter((one) => first.has(one) !== second.has(one)).sort();
}

/** Return a text cut to what a line of a report bears. */
export function shorten(value, length = 120) {
    const shown = String(value);
    return shown.length > length ? `${shown.slice(0, length)}…` : shown;
}

export const encodeText = (value) => ENCODER.encode(value);

/** Return the text of UTF-8 bytes; other bytes and marks of byte order are refused. */
export function decodeText(bytes) {
    try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
        throw new WrongError('不是 UTF-8 文字', 'not UTF-8');
    }
}

export function joinBytes(...parts) {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
        whole.set(part, at);
        at += part.length;
    }
    return whole;
}

export function sameBytes(first, second) {
    return first.length === second.length && first.every((byte, at) => byte === second[at]);
}

export function toHex(bytes) {
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function encodeBase64(bytes) {
    let binary = '';
    for (const byte of bytes) binary += String.fromCharCode(byte);
    return btoa(binary);
}

/** Decode base64 of one spelling only (sealed-object.md section 5): unused bits are zero. */
export function decodeBase64(value) {
    let bytes;
    try {
        bytes = Uint8Array.from(atob(text(value, 'base64')), (letter) => letter.charCodeAt(0));
    } catch {
        throw new WrongError('不是 base64', 'not base64');
    }
    demand(encodeBase64(bytes) === value, 'base64 写法不唯一', 'base64 with another spelling');
    return bytes;
}

/** Return a whole number as 8 bytes, big-endian. */
export function encodeUint64(number) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(number));
    return bytes;
}

/** Compare two texts by code points, as manifests are ordered; JavaScript compares UTF-16 units. */
export function compareCodePoints(first, second) {
    const one = [...first], other = [...second];
    const length = Math.min(one.length, other.length);
    for (let at = 0; at < length; at += 1) {
        const difference = one[at].codePointAt(0) - other[at].codePointAt(0);
        if (difference) return difference;
    }
    return one.length - other.length;
}
