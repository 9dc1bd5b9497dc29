"""The connections through the proxy: bytes in both directions, held, delayed, cut or lost as the pair's settings and rules say."""
import errno
import random
import selectors
import socket
import struct
import time
from collections import deque

from frames import BookieNames, FrameCutter, ZooKeeperNames
from namespaces import socket_in

RECEIVE_BYTES = 64 * 1024
# A direction that holds more stops reading, so that its sender sees a full window.
QUEUE_MAX_BYTES = 1 << 20
CHOPPED_PER_TURN_BYTES = 256
RETRANSMISSION_S = 0.2
FOREVER = float("inf")


def close_with_reset(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


class Settings:
    """What a pair does to one direction of all its connections."""

    def __init__(self):
        self.delay_ms = 0.0
        self.jitter_ms = 0.0
        self.blocked = False
        self.chop = False
        self.rate_bytes = 0
        self.loss = 0.0

    def update(self, command):
        for name in vars(self):
            if name in command:
                setattr(self, name, command[name])


class Rule:
    def __init__(self, command):
        self.operation = command["operation"]
        self.act = command["act"]
        self.skip = command.get("nth", 1) - 1
        self.seconds = command.get("seconds", FOREVER)
        self.times = command.get("times", 1)

    def strikes(self, operation):
        if self.times <= 0 or self.operation not in (operation, "*"):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Direction:
    """The bytes of one connection from one end to the other."""

    def __init__(self, connection, name, source, sink, settings, name_of):
        self.connection = connection
        self.name = name  # "out": from the caller
        self.source = source
        self.sink = sink
        self.settings = settings
        self.cutter = FrameCutter(name_of)
        self.queue = deque()  # (bytes, when it may go)
        self.queued_bytes = 0
        self.paused_until = 0.0
        self.last_ready = 0.0
        self.is_ended = False  # the source sends no more
        self.is_finished = False
        self.discards = False
        self.is_zombie = False
        self.is_stuck = False  # the sink takes no more now

    def wants_to_read(self):
        return not self.is_ended and (self.discards or self.queued_bytes < QUEUE_MAX_BYTES)

    def take(self, data, now):
        if self.discards:
            self.connection.proxy.count("bytes swallowed", self.connection.pair, len(data))
            return
        for piece, operation in self.cutter.feed(data):
            if operation is not None:
                self.connection.pair.frames[self.name, operation] += 1
                piece = self._strike(piece, operation, now)
                if piece is None:
                    return
            self.put(piece, now)

    def put(self, piece, now):
        settings = self.settings
        wait = 0.0
        if settings.delay_ms or settings.jitter_ms:
            wait = (settings.delay_ms + random.random() * settings.jitter_ms) / 1000
            self.connection.proxy.count("bytes delayed", self.connection.pair, len(piece))
        if settings.loss and random.random() < settings.loss:
            again = RETRANSMISSION_S
            while random.random() < settings.loss and again < 10:
                again *= 2
            wait += again
            self.connection.proxy.count("packets lost", self.connection.pair, 1)
        if settings.blocked:
            self.connection.proxy.count("bytes blocked", self.connection.pair, len(piece))
        self.last_ready = max(self.last_ready, now + wait)
        self.queue.append((piece, self.last_ready))
        self.queued_bytes += len(piece)

    def _strike(self, piece, operation, now):
        for rule in self.connection.pair.rules[self.name]:
            if not rule.strikes(operation):
                continue
            proxy, pair = self.connection.proxy, self.connection.pair
            proxy.count(f"frames {rule.act}: {operation} {self.name}", pair, 1)
            if rule.act == "reset":
                self.connection.reset_after_flush(self)
                return None
            if rule.act == "stall":
                half = max(len(piece) // 2, 1)
                self.put(piece[:half], now)
                piece = piece[half:]
            self.last_ready = max(self.last_ready, now + rule.seconds)
        return piece

    def earliest(self, now):
        """When there is something to send; None when not."""
        if not self.queue or self.sink is None or (self.settings.blocked and not self.is_zombie):
            return None
        at = max(self.queue[0][1], self.paused_until)
        return None if at == FOREVER else at

    def pump(self, now):
        """Sends what may go. Gives False when the sink takes no more now."""
        while True:
            at = self.earliest(now)
            if at is None or at > now:
                break
            chop = self.settings.chop
            piece, _ = self.queue[0]
            if not chop and not self.settings.rate_bytes:
                piece = self._gathered(now)
            allowed = len(piece)
            if self.settings.rate_bytes:
                allowed = min(allowed, max(int(self.settings.rate_bytes * 0.05), 1))
            if chop:
                allowed = 1
            try:
                sent = self.sink.send(piece[:allowed])
            except BlockingIOError:
                return False
            self._consume(piece, sent)
            if chop:
                self.connection.proxy.count("bytes chopped", self.connection.pair, sent)
                self.connection.chopped += sent
                if self.connection.chopped % CHOPPED_PER_TURN_BYTES == 0:
                    self.paused_until = now + 0.001
            if self.settings.rate_bytes:
                self.connection.proxy.count("bytes slowed", self.connection.pair, sent)
                self.paused_until = now + sent / self.settings.rate_bytes
        if not self.queue and self.is_ended and not self.is_finished and self.sink is not None:
            self.is_finished = True
            rest = self.cutter.rest()
            if rest:
                self.sink.send(rest)
            self.sink.shutdown(socket.SHUT_WR)
        return True

    def _gathered(self, now):
        pieces, size = [], 0
        while self.queue and self.queue[0][1] <= now and size < RECEIVE_BYTES:
            piece, ready = self.queue.popleft()
            pieces.append(piece)
            size += len(piece)
        joined = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.queue.appendleft((joined, 0.0))
        return joined

    def _consume(self, piece, sent):
        self.queue.popleft()
        if sent < len(piece):
            self.queue.appendleft((piece[sent:], 0.0))
        self.queued_bytes -= sent


class Connection:
    def __init__(self, proxy, pair, accepted):
        self.proxy = proxy
        self.pair = pair
        self.caller = accepted
        self.called = None
        self.is_connected = False
        self.is_closing = False
        self.is_half = False  # only one end is left, and does not know
        self.wakes_at = FOREVER
        self.chopped = 0
        names = BookieNames() if pair.kind == "bookie" else ZooKeeperNames()
        self.out = Direction(self, "out", accepted, None, pair.settings["out"], names.request)
        self.into = Direction(self, "in", None, accepted, pair.settings["in"], names.reply)
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connect(self):
        """Towards the called node; nothing happens while its packets would be lost."""
        if self.called is not None or self.is_closing:
            return
        if self.pair.settings["out"].blocked or self.pair.settings["in"].blocked:
            self.proxy.count("connects blocked", self.pair, 1)
            return
        self.called = socket_in(self.pair.namespace)
        self.called.setblocking(False)
        self.called.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self.called.connect_ex(("127.0.0.1", self.pair.port))
        if code not in (0, errno.EINPROGRESS):
            self.close(reset=True)
            return
        self.into.source = self.called

    def watch(self):
        """Tells the selector what this connection waits for."""
        if self.is_closing:
            return
        if self.called is not None and not self.is_connected:
            self.proxy.select(self.called, selectors.EVENT_WRITE, self)
        for sock, reads, writes in ((self.caller, self.out, self.into), (self.called, self.into, self.out)):
            if sock is None or (sock is self.called and not self.is_connected):
                continue
            events = selectors.EVENT_READ if reads.wants_to_read() else 0
            if writes.is_stuck:
                events |= selectors.EVENT_WRITE
            self.proxy.select(sock, events, self)

    def handle(self, sock, events, now):
        if self.is_closing:
            return
        try:
            if sock is self.called and not self.is_connected:
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code != 0:
                    self.close(reset=True)
                    return
                self.is_connected = True
                self.out.sink = self.called
            elif events & selectors.EVENT_READ:
                self._read(sock, now)
            self.run(now)
        except OSError:
            self.close(reset=True)

    def _read(self, sock, now):
        direction = self.out if sock is self.caller else self.into
        if not direction.wants_to_read():
            return
        data = sock.recv(RECEIVE_BYTES)
        if not data:
            direction.is_ended = True
            if self.is_half:
                self.close(reset=False)
        else:
            direction.take(data, now)

    def run(self, now):
        """Moves what can be moved, and sets a timer for the rest."""
        if self.is_closing:
            return
        try:
            for direction in (self.out, self.into):
                direction.is_stuck = not direction.pump(now)
                at = direction.earliest(now)
                if at is not None and at > now:
                    self.proxy.wake_at(at, self)
        except OSError:
            self.close(reset=True)
            return
        if self.out.is_finished and self.into.is_finished:
            self.close(reset=False)
        else:
            self.watch()

    def reset_after_flush(self, direction):
        """What was before goes out, then both ends see a reset."""
        now = time.monotonic()
        try:
            direction.pump(now)
        except OSError:
            pass
        self.close(reset=True)

    def close(self, reset):
        if self.is_closing:
            return
        self.is_closing = True
        for sock in (self.caller, self.called):
            if sock is not None:
                self.proxy.forget(sock)
                close_with_reset(sock) if reset else sock.close()
        self.pair.connections.discard(self)

    # --- Deaths of one side only.

    def lose_caller(self, deliver_at):
        """The caller sees a reset; what it had sent reaches the called one at `deliver_at`."""
        now = time.monotonic()
        try:
            while True:
                data = self.caller.recv(RECEIVE_BYTES)
                if not data:
                    break
                self.out.take(data, now)
        except OSError:
            pass
        self.proxy.forget(self.caller)
        close_with_reset(self.caller)
        self.caller = None
        self.out.source = None
        self.out.is_ended = True
        self.into.sink = None
        self.into.discards = True
        self.out.is_zombie = True
        self.out.paused_until = deliver_at
        if self.out.queued_bytes == 0 or self.called is None:
            self.close(reset=True)
            return
        self.proxy.count("zombie bytes", self.pair, self.out.queued_bytes)
        self.proxy.at(deliver_at, lambda: self.run(time.monotonic()))
        self.proxy.at(deliver_at + 5, lambda: self.close(reset=True))
        self.watch()

    def lose_end(self, dead):
        """One end's connection vanishes; the other one's stays, and says nothing more."""
        sock, kept = (self.caller, self.out) if dead == "from" else (self.called, self.out)
        if sock is None or self.called is None:
            return
        self.proxy.forget(sock)
        close_with_reset(sock)
        if dead == "from":
            self.caller = None
            self.into.sink, self.into.discards = None, True
            self.out.source, self.out.is_ended = None, True
        else:
            self.called = None
            self.out.sink, self.out.discards = None, True
            self.into.source, self.into.is_ended = None, True
            self.is_connected = False
        self.is_half = True
        for direction in (self.out, self.into):
            direction.queue.clear()
            direction.queued_bytes = 0
            direction.is_finished = direction.is_ended
        self.proxy.count("connections half open", self.pair, 1)
        self.watch()
