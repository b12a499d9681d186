// Footage, played from the reader's own disk; what the browser cannot play is named with a player.

import { make, replaceContent, showSize } from './elements.js';

const TYPES = {
    mov: 'video/mp4', mp4: 'video/mp4', matroska: 'video/x-matroska', webm: 'video/webm', avi: 'video/x-msvideo',
    mpegts: 'video/mp2t', mp3: 'audio/mpeg', wav: 'audio/wav', flac: 'audio/flac', ogg: 'audio/ogg',
    jpeg: 'image/jpeg', jpeg_pipe: 'image/jpeg', image2: 'image/jpeg', png: 'image/png', png_pipe: 'image/png',
};
const PLAYER = 'VLC media player(videolan.org,免费)';
const MOST_UNPACKED = 512 << 20; // a deflated member has to be unpacked before it can be played

/** Make the button that plays a recording below it; only what holds is offered. */
export function makePlayer(files, footage, record) {
    const place = make('div', { class: 'player' });
    const container = String(record.media?.container ?? '').split(',')[0];
    const type = Object.hasOwn(TYPES, container) ? TYPES[container] : '';
    const kind = record.media?.kind;
    if (footage.sealed) return note(place, '原件已加密封存,要由保管单位开启后播放。', 'Sealed: the office has to open it.');
    if (!['video', 'audio', 'photo'].includes(kind)) return note(place, `不是音像文件(${container || kind})。`, 'Not audio or video.');
    const button = make('button', { type: 'button', class: 'play' }, kind === 'photo' ? '显示' : '播放');
    button.addEventListener('click', async () => {
        button.disabled = true;
        try {
            await play(place, files, footage, { type, kind, record });
        } catch (error) {
            note(place, `不能播放:${error.zh ?? error.message}`, '');
        }
    });
    return make('div', {}, button, place);
}

async function play(place, files, footage, { type, kind, record }) {
    if (files.sizeOf(footage.path) > MOST_UNPACKED && !files.isPlain(footage.path)) {
        note(place, `文件在压缩包里被压缩过(${showSize(files.sizeOf(footage.path))}),请先解压缩再播放。`, 'Unpack the archive first.');
        return;
    }
    const address = URL.createObjectURL(await files.openBlob(footage.path, type));
    const tag = { video: 'video', audio: 'audio', photo: 'img' }[kind];
    const screen = make(tag, kind === 'photo' ? { alt: '照片' } : { controls: '', preload: 'metadata' });
    const refuse = () => {
        URL.revokeObjectURL(address);
        note(place, `本浏览器放不了这个文件。${describeCodecs(record.media)}请用 ${PLAYER} 打开:${footage.path}`, 'This browser cannot play it.');
    };
    screen.addEventListener('error', refuse);
    screen.addEventListener('loadedmetadata', () => {
        // A picture that the browser cannot decode is left out in silence, and its sound played.
        if (kind === 'video' && record.media.has_video && screen.videoWidth === 0) refuse();
    });
    replaceContent(place, screen);
    screen.src = address;
}

/** Return what the station said of codecs and container, as a sentence. */
export function describeCodecs(media) {
    const tracks = Array.isArray(media?.tracks) ? media.tracks : [];
    const codecs = tracks.map((track) => track?.codec).filter((codec) => typeof codec === 'string');
    return `编码:${codecs.join('、') || '不明'};容器:${media?.container ?? '不明'}。`;
}

function note(place, zh, en) {
    replaceContent(place, make('p', { class: 'note' }, zh, ' ', make('span', { class: 'en', lang: 'en' }, en)));
    return place;
}
