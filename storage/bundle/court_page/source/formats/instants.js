// Values as the log and the documents tell them: times are compared as instants (bundle.md section 3).

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)$/;

/** Return a time as microseconds since 1970, or null for what is no time with a zone. */
export function parseInstant(value) {
    const parts = typeof value === 'string' ? TIME.exec(value) : null;
    if (!parts) return null;
    const [year, month, day, hour, minute, second] = parts.slice(1, 7).map((part) => Number(part ?? 0));
    const seconds = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
    const date = new Date(seconds * 1000);
    // 30 February would else be 2 March.
    if (date.getUTCDate() !== day || date.getUTCMonth() !== month - 1 || hour > 23 || minute > 59 || second > 59) return null;
    const zone = parts[8] === 'Z' ? 0 : Number(`${parts[8][0]}1`) * (Number(parts[8].slice(1, 3)) * 60 + Number(parts[8].slice(4)));
    const micros = Number((parts[7] ?? '').padEnd(6, '0').slice(0, 6));
    return (seconds - zone * 60) * 1e6 + micros;
}

/** Tell whether two values from JSON are one: times as instants, objects by their members. */
export function sameValue(first, second) {
    if (Array.isArray(first) || Array.isArray(second)) {
        return Array.isArray(first) && Array.isArray(second) && first.length === second.length
            && first.every((one, at) => sameValue(one, second[at]));
    }
    if (isObject(first) || isObject(second)) {
        if (!isObject(first) || !isObject(second)) return false;
        const names = Object.keys(first);
        return names.length === Object.keys(second).length
            && names.every((name) => Object.hasOwn(second, name) && sameValue(first[name], second[name]));
    }
    if (first === undefined || second === undefined) return false;
    if (first === second) return true;
    const instant = parseInstant(first);
    return instant !== null && instant === parseInstant(second);
}

/** Tell whether two lists hold the same, in any order. */
export function sameList(first, second) {
    const others = [...second];
    return first.length === others.length && first.every((one) => {
        const at = others.findIndex((other) => sameValue(one, other));
        if (at >= 0) others.splice(at, 1);
        return at >= 0;
    });
}

/** Tell whether a start is the file's start plus the clock's offset, to a millisecond. */
export function isOffsetBy(start, fileStart, offsetSeconds) {
    if (start === null || fileStart === null) return start === fileStart;
    const late = parseInstant(start) - parseInstant(fileStart) - Math.round((offsetSeconds ?? 0) * 1e6);
    return parseInstant(start) !== null && parseInstant(fileStart) !== null && Math.abs(late) <= 1000;
}

function isObject(value) {
    return value !== null && typeof value === 'object';
}
