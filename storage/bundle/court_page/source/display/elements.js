// Elements made of texts. Nothing from a bundle is ever parsed as HTML: the page's own policy forbids it.

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Return a text in which what would hide or turn other letters is told by its number. */
export function showText(value) {
    return String(value).replace(HIDDEN, (letter) => `⟨U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

/** Make an element; `children` are elements and texts, `attributes` are set as they are. */
export function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name === 'onclick') element.addEventListener('click', value);
        else element.setAttribute(name, value);
    }
    for (const child of children.flat()) {
        if (child === null || child === undefined) continue;
        element.append(child instanceof Node ? child : showText(child));
    }
    return element;
}

/** Make a Chinese line with the English one behind it. */
export function makeBilingual(tag, zh, en, attributes = {}) {
    return make(tag, attributes, zh, ' ', make('span', { class: 'en', lang: 'en' }, en));
}

export function replaceContent(element, ...children) {
    element.replaceChildren(...children.flat().filter((child) => child !== null));
}

/** Return a time as people in China read it, to a second: Beijing time. */
export function showTime(microseconds) {
    if (microseconds === null) return '';
    return new Date(microseconds / 1000 + 8 * 3600_000).toISOString().slice(0, 19).replace('T', ' ');
}

export function showSize(bytes) {
    const units = ['字节', 'KiB', 'MiB', 'GiB', 'TiB'];
    let amount = bytes, unit = 0;
    while (amount >= 1024 && unit < units.length - 1) {
        amount /= 1024;
        unit += 1;
    }
    return `${unit ? amount.toFixed(1) : amount} ${units[unit]}`;
}
