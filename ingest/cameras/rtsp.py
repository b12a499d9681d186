"""The conversation with a network camera: RTSP over one TCP connection, and what bounds it.

Whoever decodes the stream never talks to the camera himself. `Relay` stands between the two: it
alone knows address and password, answers the camera's challenge (Basic, or Digest with MD5 or
SHA-256), and passes media through unread. So a decoder that a camera has turned against us has no
password and no network, and nothing secret stands on a command line. The relay also sees when the
first packet came, that the camera fell silent, that it sends too much, and that what it sends is
no RTSP. Follows RFC 2326 (sections 10.12, 12) and RFC 7616.
"""

import base64
import hashlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from storage.errors import LiuhenError

PORT = 554
# What the sandboxed side asks for; the relay puts the camera's own address in its place.
INSIDE = "rtsp://{camera}/stream"
_INSIDE = re.compile(r"rtsp://127\.0\.0\.1(:\d{1,5})?/stream")
_HEAD = 16 << 10
_BODY = 64 << 10
_BURST_S = 10.0
_PENDING = 8
_CHALLENGE = re.compile(r'([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
# Behind a status nothing, or a space and its reason: else `200abc` would pass for a number.
_LINE = re.compile(rb"(RTSP/1\.\d \d{3}(?![^ \r])|[A-Z_]{3,20} \S+ RTSP/1\.\d)")
_HASHES = {"MD5": "md5", "SHA-256": "sha256"}
UNAUTHORIZED = 401
_REFUSED = 400
_NEEDED = ("DESCRIBE", "SETUP", "PLAY")


class CameraError(LiuhenError):
    """A camera cannot be recorded now; `reason` is a stable word, tried again later.

    away, silent, denied (password), refused (no such stream), garbage (no RTSP), too-much,
    no-tool (ffmpeg ended by itself), secret (the password file cannot be read).
    """

    code = "camera"
    retryable = True

    def __init__(self, reason: str, **facts: object) -> None:
        """Keep the reason among the facts."""
        super().__init__(reason=f"camera-{reason}", **facts)
        self.reason = f"camera-{reason}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a camera's stream is; holds no secret, and refuses to."""

    host: str
    port: int
    rest: str  # path and query, as the camera's maker spells them

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `rtsp://host[:port]/path?query`.

        Raises: ValueError, also for user or password within: they stand in the settings.
        """
        parts = urlsplit(url)
        if parts.scheme != "rtsp" or not parts.hostname or parts.fragment:
            raise ValueError("not an rtsp:// address")
        # They would stand in settings, logs and on screens with the address.
        if parts.username is not None or parts.password is not None:
            raise ValueError("user and password do not belong into the address")
        # No newline or space: the address becomes part of a request line.
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("the address holds characters that need %-encoding")
        rest = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname, parts.port or PORT, rest)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{host}{'' if self.port == PORT else f':{self.port}'}{self.rest}"


@dataclass(frozen=True, slots=True)
class Login:
    """User and password for a camera; never shown."""

    user: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Answer:
    """The answer to a camera's challenge, made anew for each request."""

    login: Login
    entropy: Callable[[int], bytes]
    _challenge: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def accept_challenge(self, headers: list[str]) -> bool:
        """Accept the strongest challenge of a 401; False when none can be answered.

        Digest is answered where it is offered: a camera cannot coax the password out by offering
        Basic beside it.
        """
        offered = {}
        for text in headers:
            scheme, _, rest = text.strip().partition(" ")
            parameters = {key.lower(): a or b for key, a, b in _CHALLENGE.findall(rest)}
            # Digest without an algorithm is MD5.
            algorithm = parameters.get("algorithm", "MD5").upper()
            if scheme.lower() == "digest" and algorithm in _HASHES and "nonce" in parameters:
                offered[f"digest {algorithm}"] = parameters | {
                    "scheme": "digest",
                    "with": algorithm,
                }
            elif scheme.lower() == "basic":
                offered["basic"] = {"scheme": "basic"}
        best = next(
            (offered[k] for k in ("digest SHA-256", "digest MD5", "basic") if k in offered), None
        )
        if best is None:
            return False
        self._challenge, self._count = best, 0
        return True

    def build_header(self, method: str, uri: str) -> str | None:
        """Return the Authorization header's value; None before the first challenge."""
        challenge = self._challenge
        user, password = self.login.user, self.login.password
        if not challenge:
            return None
        if challenge["scheme"] == "basic":
            return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

        def hash_parts(*parts: str) -> str:
            # A realm's own bytes: many makers write theirs in GB 18030, which is no UTF-8.
            text = ":".join(parts).encode("utf-8", "surrogateescape")
            return hashlib.new(_HASHES[challenge["with"]], text, usedforsecurity=False).hexdigest()

        realm, nonce = challenge.get("realm", ""), challenge["nonce"]
        ours, theirs = hash_parts(user, realm, password), hash_parts(method, uri)
        fields = {"username": user, "realm": realm, "nonce": nonce, "uri": uri}
        # The count belongs to the nonce: it starts anew with each challenge.
        if "auth" in [option.strip() for option in challenge.get("qop", "").split(",")]:
            self._count += 1
            count, ourselves = f"{self._count:08x}", self.entropy(8).hex()
            fields["response"] = hash_parts(ours, nonce, count, ourselves, "auth", theirs)
            bare = f", qop=auth, nc={count}"
            fields["cnonce"] = ourselves
        else:
            fields["response"] = hash_parts(ours, nonce, theirs)
            bare = ""
        if "algorithm" in challenge:
            bare += f", algorithm={challenge['with']}"
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        return "Digest " + ", ".join(f'{key}="{content}"' for key, content in fields.items()) + bare


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response, as it stood on the wire."""

    first: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int | None:
        """The status of a response; None for a request."""
        return int(self.first.split(" ")[1]) if self.first.startswith("RTSP/") else None

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [text for key, text in self.headers if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next(iter(self.get_all(name)), None)

    def encode(self) -> bytes:
        """Return the wire's bytes."""
        lines = [self.first, *(f"{key}: {text}" for key, text in self.headers), "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


@dataclass(frozen=True, slots=True)
class Frame:
    """An interleaved packet: RTP on even channels, RTCP on odd ones (RFC 2326, 10.12)."""

    packet: bytes

    @property
    def is_media(self) -> bool:
        """Whether it carries picture or sound."""
        return self.packet[1] % 2 == 0


def take_message(buffer: bytearray) -> Message | Frame | None:
    """Take the next whole message or frame off the buffer; None when it is not whole yet.

    Raises: CameraError(garbage).
    """
    while buffer[:2] == b"\r\n":
        del buffer[:2]  # a keep-alive of some makers
    if not buffer:
        return None
    # Interleaved packets: `$`, channel, and a length in two bytes (RFC 2326, 10.12).
    if buffer[:1] == b"$":
        length = 4 + int.from_bytes(buffer[2:4], "big")
        if len(buffer) < max(4, length):
            return None
        packet = bytes(buffer[:length])
        del buffer[:length]
        return Frame(packet)
    # Searched only so far: a camera that never ends its head cannot fill memory.
    end = buffer.find(b"\r\n\r\n", 0, _HEAD)
    if end < 0:
        # Refused as early as possible: whatever is on that port, it is not RTSP.
        if len(buffer) >= _HEAD or not _may_become_head(buffer):
            raise CameraError("garbage")
        return None
    first, *lines = bytes(buffer[:end]).decode("utf-8", "surrogateescape").split("\r\n")
    if not _LINE.match(buffer):
        raise CameraError("garbage")
    headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines))
    message = Message(first, headers, b"")
    content_length = message.get("Content-Length") or "0"
    # Digits alone, since `int` takes signs and spaces; and bounded before anything is awaited.
    if not re.fullmatch(r"[0-9]{1,6}", content_length) or int(content_length) > _BODY:
        raise CameraError("garbage")
    whole = end + 4 + int(content_length)
    # Nothing was taken off yet: the head is read again when the body is there.
    if len(buffer) < whole:
        return None
    body = bytes(buffer[end + 4 : whole])
    del buffer[:whole]
    return Message(first, headers, body)


def _may_become_head(buffer: bytearray) -> bool:
    """Tell whether an unfinished head may yet become one."""
    line, separator, _ = bytes(buffer[:256]).partition(b"\r\n")
    if separator:
        return _LINE.match(line) is not None
    return re.fullmatch(rb"[\x20-\x7e\r]*", line) is not None


def connect_camera(address: Address, timeout_s: float) -> socket.socket:
    """Open the one connection to a camera. Raises: CameraError(away)."""
    try:
        connection = socket.create_connection((address.host, address.port), timeout_s)
    except OSError as error:
        raise CameraError("away", problem=type(error).__name__) from error
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return connection


@dataclass(slots=True)
class Relay:
    """Both directions of one conversation, fed with bytes as they come.

    `from_inside` and `from_camera` return what goes out to the camera and to the inside.
    `most` is bytes per second, over ten seconds.
    """

    address: Address
    answer: Answer | None
    most: float
    began: bool = False  # a packet of picture or sound has come
    _out: bytearray = field(default_factory=bytearray)
    _in: bytearray = field(default_factory=bytearray)
    _requests: dict[str, Message] = field(default_factory=dict)
    _answered_cseq: str | None = None
    _level: float = 0.0
    _at: float | None = None

    def from_inside(self, block: bytes) -> bytes:
        """Return the requests with the camera's address and our answer to its challenge in them."""
        self._out += block
        outward = b""
        while (message := take_message(self._out)) is not None:
            if isinstance(message, Frame):
                outward += message.packet
                continue
            # An answer to what the camera asked is no request: nothing of ours goes into it, and it
            # takes no request's place.
            if message.status is not None:
                outward += message.encode()
                continue
            self._requests[message.get("CSeq") or ""] = message
            # Bounded: of a sandboxed side that asks without end the oldest requests are forgotten.
            while len(self._requests) > _PENDING:
                del self._requests[next(iter(self._requests))]
            outward += self._rewrite_request(message)
        return outward

    def from_camera(self, block: bytes, now: float) -> tuple[bytes, bytes]:
        """Return (to the inside, back to the camera): a challenge is answered here.

        `now` is any clock's seconds. Raises: CameraError(garbage, too-much, denied, refused).
        """
        # Before anything is parsed: parsing is what too many bytes would cost.
        self._limit_rate(len(block), now)
        self._in += block
        inward, back = b"", b""
        while (message := take_message(self._in)) is not None:
            if isinstance(message, Frame):
                self.began = self.began or message.is_media
                inward += message.packet
                continue
            # By CSeq, as answers may be interleaved with media and keep-alives.
            request = self._requests.pop(message.get("CSeq") or "", None)
            if message.status == UNAUTHORIZED and request is not None:
                again = request.get("CSeq") or ""
                challenges = message.get_all("WWW-Authenticate")
                # Answered once and challenged again: the password is wrong, however new the nonce.
                if again == self._answered_cseq or not self.answer:
                    raise CameraError("denied")
                if not self.answer.accept_challenge(challenges):
                    raise CameraError("denied")
                self._requests[again], self._answered_cseq = request, again
                back += self._rewrite_request(request)
                continue
            needed = request is not None and request.first.startswith(_NEEDED)
            # Once media has come, a refused keep-alive or the like is for ffmpeg to judge.
            if needed and not self.began and (message.status or 0) >= _REFUSED:
                raise CameraError("refused", status=message.status)
            inward += message.encode()
        return inward, back

    def _rewrite_request(self, request: Message) -> bytes:
        method, uri, version = request.first.split(" ", 2)
        # The address inside stands for the camera's; tracks follow it as a suffix.
        if ours := _INSIDE.match(uri):
            uri = str(self.address) + uri[ours.end() :]
        # Whatever the sandboxed side puts there is dropped: only our own answer goes to the camera.
        headers = tuple(
            header for header in request.headers if header[0].lower() != "authorization"
        )
        authorization = self.answer.build_header(method, uri) if self.answer else None
        if authorization is not None:
            headers += (("Authorization", authorization),)
        return Message(f"{method} {uri} {version}", headers, request.body).encode()

    def _limit_rate(self, count: int, now: float) -> None:
        # Any clock may be handed in; one that runs back must not raise the level.
        passed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        # A leaky bucket: bursts of ten seconds are let through, as keyframes come in bursts.
        self._level = max(0.0, self._level - passed * self.most) + count
        if self._level > self.most * _BURST_S:
            raise CameraError("too-much", limit_mbit=round(self.most * 8 / 1e6, 1))


def describe_camera(
    address: Address,
    login: Login | None,
    entropy: Callable[[int], bytes],
    timeout_s: float = 10.0,
) -> list[str]:
    """Ask a camera what it would send; return a line for each track, such as `video H264/90000`.

    Raises: CameraError.
    """
    relay = Relay(address, Answer(login, entropy) if login else None, most=float(1 << 20))
    head = (("CSeq", "1"), ("Accept", "application/sdp"))
    uri = INSIDE.replace("{camera}", "127.0.0.1")
    request = Message(f"DESCRIBE {uri} RTSP/1.0", head, b"")
    heard = bytearray()
    with connect_camera(address, timeout_s) as camera:
        try:
            camera.sendall(relay.from_inside(request.encode()))
            while (message := take_message(heard)) is None:
                block = camera.recv(1 << 16)
                if not block:
                    raise CameraError("away")
                inward, back = relay.from_camera(block, 0.0)
                heard += inward
                camera.sendall(back)
        except OSError as error:
            raise CameraError("silent", problem=type(error).__name__) from error
    if not isinstance(message, Message):
        raise CameraError("garbage")
    return _list_tracks(message.body.decode("utf-8", "replace"))


def _list_tracks(sdp: str) -> list[str]:
    tracks: list[str] = []
    for line in sdp.splitlines():
        if match := re.match(r"m=([a-z]{1,12}) ", line):
            tracks.append(match[1])
        elif tracks and (match := re.match(r"a=rtpmap:\d+ ([A-Za-z0-9/._-]{1,40})", line)):
            tracks[-1] = f"{tracks[-1].split(' ')[0]} {match[1]}"
    return tracks
