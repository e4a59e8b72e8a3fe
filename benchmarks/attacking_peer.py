"""The attacker of `benchmarks.attackers`: a peer that speaks HTTP/2 on bare sockets."""

import selectors
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2

from tests.support import http2

ADDRESS = "127.0.0.2"
_MAX_CONCURRENT_STREAMS, _HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 3, 1, 4
_STATUS = "/imageblur.v1.BlurService/Status"
_BLUR_ORDER = "/imageblur.v1.BlurService/BlurOrder"
_CODE = b"\x0bgrpc-status"
# Without a dynamic table, the server writes its trailers as literals.
_PREFACE = http2.preface({_HEADER_TABLE_SIZE: 0, _INITIAL_WINDOW_SIZE: 1 << 30}) + http2.frame(
    http2.WINDOW_UPDATE, 0, struct.pack(">I", 1 << 30), 0
)


class Peer:
    """One connection of the attacker."""

    def __init__(self, address: tuple[str, int], attack: "Attack") -> None:
        self.socket = socket.create_connection(address, 20, (ADDRESS, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.attack = attack
        self.limit = 0
        """Concurrent streams that the server allows; 0 until it is known."""
        self.open: set[int] = set()
        self.sent = 0
        self.codes: Counter[str] = Counter()
        self.dead = False
        self._next = 1
        self._received = bytearray()
        self._outgoing = bytearray(_PREFACE)

    def begin_stream(self) -> None:
        """Queue the frames of one more stream."""
        stream, self._next = self._next, self._next + 2
        self._outgoing += self.attack.frames(stream)
        self.sent += 1
        if not self.attack.resets:
            self.open.add(stream)

    def flush(self) -> None:
        """Send what the socket takes."""
        if self._outgoing and not self.dead:
            try:
                sent = self.socket.send(self._outgoing[: 1 << 18])
                del self._outgoing[:sent]
            except BlockingIOError:
                pass
            except OSError:
                self.dead = True

    @property
    def backlog(self) -> int:
        """Bytes that wait for the socket."""
        return len(self._outgoing)

    def receive(self) -> None:
        """Read frames."""
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.dead = True
            return
        received = self._received
        received += data
        at = 0
        while len(received) - at >= 9:
            size = int.from_bytes(received[at : at + 3], "big")
            if len(received) - at < 9 + size:
                break
            kind, flags = received[at + 3], received[at + 4]
            stream = int.from_bytes(received[at + 5 : at + 9], "big")
            self._handle(kind, flags, stream, bytes(received[at + 9 : at + 9 + size]))
            at += 9 + size
        del received[:at]

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == http2.SETTINGS and not flags & http2.ACK:
            self.limit = self.limit or 1 << 30
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == _MAX_CONCURRENT_STREAMS:
                    self.limit = value
            self._outgoing += http2.frame(http2.SETTINGS, http2.ACK, b"", 0)
        elif kind == http2.PING and not flags & http2.ACK:
            self._outgoing += http2.frame(http2.PING, http2.ACK, payload, 0)
        elif kind == http2.GOAWAY:
            self.codes["GOAWAY"] += 1
        elif kind == http2.RST_STREAM:
            self._end(stream, f"RST_STREAM {int.from_bytes(payload, 'big')}")
        elif flags & http2.END_STREAM and kind in {http2.HEADERS, http2.DATA}:
            at = payload.find(_CODE) + len(_CODE)
            code = payload[at + 1 : at + 1 + payload[at]].decode() if at >= len(_CODE) else "no code"
            self._end(stream, code + (" with details" if b"grpc-status-details-bin" in payload else ""))

    def _end(self, stream: int, code: str) -> None:
        if stream in self.open or self.attack.resets:
            self.open.discard(stream)
            self.codes[code] += 1


class Attack:
    """How a peer attacks.

    Args:
        connections: How many it opens.
        streams: How many it has open at a time, on all connections together.
        total: How many it begins.
        per_second: How many it begins in a second, at most.
        obeys: Whether it keeps to the server's limit of concurrent streams.
    """

    def __init__(
        self,
        *,
        connections: int,
        streams: int,
        total: int = 1 << 62,
        per_second: float = 1e9,
        obeys: bool = True,
        resets: bool = False,
        message: bool = True,
        method: str = _STATUS,
        request: Callable[[str], bytes] | None = None,
    ) -> None:
        self.connections, self.streams, self.total, self.per_second = connections, streams, total, per_second
        self.obeys, self.resets, self.message = obeys, resets, message
        self.method = method
        self.request = request or (lambda order_id: pb.StatusRequest(order_id=order_id).SerializeToString())
        self._message = b""

    def encode(self, order_id: str) -> None:
        """Encode the message."""
        self._message = self.request(order_id)

    def frames(self, stream: int) -> bytes:
        """Return the frames of one stream."""
        sent = http2.headers(self.method, stream)
        if self.message:
            sent += http2.message_frames(self._message, stream)
        return sent + http2.reset(stream) if self.resets else sent


def _regions(_order_id: str, images: int = 2_050) -> bytes:
    """Return an order of eight megabytes, or less, in which all is regions."""
    region = order_pb2.Region(box=order_pb2.Rect(left=0.1, top=0.1, width=0.2, height=0.2))
    image = pb.InputImage(filename="a.jpg", data=b"x", spec=order_pb2.BlurSpec(regions=[region] * 100))
    header = pb.OrderHeader(email="attacker@example.org", validate_only=True)
    return pb.BlurOrderRequest(order=header, images=[image] * images).SerializeToString()


ATTACKS = {
    "burst-1": Attack(connections=1, streams=4_000, total=4_000),
    "burst-50": Attack(connections=50, streams=4_000, total=4_000),
    "calls-1": Attack(connections=1, streams=4_000),
    "calls-50": Attack(connections=50, streams=4_000),
    "calls-8": Attack(connections=8, streams=4_000),
    "reset-1": Attack(connections=1, streams=1 << 30, obeys=False, resets=True, message=False, per_second=20_000),
    "reset-50": Attack(connections=50, streams=1 << 30, obeys=False, resets=True, message=False, per_second=20_000),
    "open-4": Attack(connections=4, streams=20_000, obeys=False, message=False, per_second=20_000),
    "open-50": Attack(connections=50, streams=20_000, obeys=False, message=False, per_second=20_000),
    "regions": Attack(connections=1, streams=1, method=_BLUR_ORDER, request=_regions),
    "allowed-regions": Attack(connections=1, streams=1, method=_BLUR_ORDER, request=partial(_regions, images=199)),
}


def attack(pipe: Connection, name: str, address: str, order_id: str) -> None:
    """Attack from "begin" until "end" comes through the pipe; send what came of it."""
    chosen = ATTACKS[name]
    chosen.encode(order_id)
    host, _, port = address.rpartition(":")
    selector = selectors.DefaultSelector()
    peers = [Peer((host, int(port)), chosen) for _ in range(chosen.connections)]
    for peer in peers:
        selector.register(peer.socket, selectors.EVENT_READ, peer)
    while not all(peer.limit or peer.dead for peer in peers):
        _exchange(selector, peers, 0.1)
    pipe.send("ready")
    pipe.recv()
    begin, sent = time.monotonic(), 0
    turns = deque(peers)
    while not pipe.poll():
        room = min(
            chosen.total - sent,
            chosen.streams - sum(len(peer.open) for peer in peers if not peer.dead),
            int((time.monotonic() - begin) * chosen.per_second) - sent,
        )
        for _ in range(len(turns) if room > 0 else 0):
            peer = turns[0]
            turns.rotate(-1)
            share = min(room, -(-chosen.streams // len(peers)), 500)
            while (
                share > 0
                and not peer.dead
                and peer.backlog < 1 << 16
                and (not chosen.obeys or len(peer.open) < peer.limit)
            ):
                peer.begin_stream()
                share, room, sent = share - 1, room - 1, sent + 1
        _exchange(selector, peers, 0.002)
    codes: Counter[str] = Counter()
    for peer in peers:
        codes += peer.codes
    pipe.send(
        f"{sent} streams, {dict(codes)}, {sum(len(peer.open) for peer in peers)} open, "
        f"{sum(peer.dead for peer in peers)} of {len(peers)} connections closed"
    )


def _exchange(selector: selectors.BaseSelector, peers: list[Peer], seconds: float) -> None:
    for peer in peers:
        peer.flush()
    for key, _ in selector.select(seconds):
        key.data.receive()
        if key.data.dead:
            selector.unregister(key.data.socket)
