#!/usr/bin/env python3
"""A TCP proxy between every pair of nodes, which torments what passes through it. Usage: proxy.py CONTROL_SOCKET

CONTROL_SOCKET is a path, or @NAME for one without a path, which is seen in the network namespace only.

One thread. A *pair* is one node that calls and one that is called; it has a listening socket, where the caller's packets
for the other arrive. Commands are lines of JSON on the control socket, each answered by a line:

  {"do": "pair", "from": "c1", "to": "b2", "kind": "bookie" | "zookeeper", "port": 3181}
      with two descriptors: the listening socket, and the network namespace in which the called one listens on 127.0.0.1
  {"do": "set", PAIRS, "direction": "out" | "in" | "both", SETTINGS}
      delay_ms, jitter_ms; blocked (bytes wait, as if each packet were lost); chop (a byte at a time); rate_bytes (per
      second); loss (share of sends that wait for a retransmission); refuse (new connections are reset)
  {"do": "calm", PAIRS}          all settings back, all rules gone, all that is held goes on
  {"do": "reset", PAIRS}         both ends of all connections are told
  {"do": "half-open", PAIRS, "dead": "from" | "to"}      the dead end's connection is gone and the other is told nothing
  {"do": "zombie", PAIRS, "gather_s": 0.3, "after_s": 5}
      the caller's bytes gather for a while, then it sees a reset; the called one gets them later, when the caller has
      long made a new connection
  {"do": "rule", PAIRS, "direction": "out", "operation": "add", "nth": 3, "act": ACT, "seconds": 5, "times": 1}
      what is done to the nth such frame from now on: "hold" it and all behind it; "stall" in the middle of it; "reset" in
      its place (of a request: it is lost; of an answer: the answer is lost)
  {"do": "stats"}                frames by pair, direction and operation; effects: what has really happened to how much

PAIRS is "from" and "to", each a name, a list of names or "*".
"""
import ctypes
import errno
import heapq
import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections import Counter, deque

from frames import BookieNames, FrameCutter, ZooKeeperNames

RECEIVE_BYTES = 64 * 1024
# A direction that holds more stops reading, so that its sender sees a full window.
QUEUE_MAX_BYTES = 1 << 20
CHOPPED_PER_TURN_BYTES = 256
RETRANSMISSION_S = 0.2
CLONE_NEWNET = 0x40000000
FOREVER = float("inf")

_libc = ctypes.CDLL(None, use_errno=True)


def socket_in(namespace, family=socket.AF_INET):
    """A TCP socket of another network namespace; it stays there wherever it is used."""
    if namespace is None:
        return socket.socket(family, socket.SOCK_STREAM)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(namespace)
        return socket.socket(family, socket.SOCK_STREAM)
    finally:
        enter(home)
        os.close(home)


def enter(namespace):
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "setns")


def socket_address(path):
    return "\0" + path[1:] if path.startswith("@") else path


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


class Pair:
    def __init__(self, command, listener, namespace):
        self.caller = command["from"]
        self.called = command["to"]
        self.kind = command["kind"]
        self.port = command["port"]
        self.listener = listener
        self.namespace = namespace
        self.refuses = False
        self.settings = {"out": Settings(), "in": Settings()}
        self.rules = {"out": [], "in": []}
        self.connections = set()
        self.frames = Counter()

    def calm(self):
        for direction, settings in self.settings.items():
            settings.update(vars(Settings()))
            self.rules[direction].clear()
        self.refuses = False
        for connection in self.connections:
            for way in (connection.out, connection.into):
                if not way.is_zombie:
                    way.queue = deque((piece, 0.0) for piece, _ in way.queue)
                    way.paused_until = way.last_ready = 0.0


class Proxy:
    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.pairs = {}
        self.timers = []
        self.timer_count = 0
        self.effects = Counter()
        self.watched = {}

    def count(self, effect, pair, amount):
        self.effects[effect] += amount

    # --- The loop.

    def select(self, sock, events, data):
        before = self.watched.get(sock)
        if before == events:
            return
        if before and events:
            self.selector.modify(sock, events, data)
        elif before:
            self.selector.unregister(sock)
        elif events:
            self.selector.register(sock, events, data)
        self.watched[sock] = events

    def forget(self, sock):
        if self.watched.pop(sock, 0):
            self.selector.unregister(sock)

    def at(self, when, action):
        self.timer_count += 1
        heapq.heappush(self.timers, (when, self.timer_count, action))

    def wake_at(self, when, connection):
        if connection.wakes_at <= when:
            return
        connection.wakes_at = when

        def wake():
            connection.wakes_at = FOREVER
            connection.run(time.monotonic())

        self.at(when, wake)

    def turn(self):
        now = time.monotonic()
        timeout = max(self.timers[0][0] - now, 0) if self.timers else None
        for key, events in self.selector.select(timeout):
            if callable(key.data):
                key.data()
            elif isinstance(key.data, Pair):
                self.accept(key.data)
            elif key.fileobj in self.watched:
                key.data.handle(key.fileobj, events, time.monotonic())
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()

    def accept(self, pair):
        try:
            accepted, _ = pair.listener.accept()
        except OSError:
            return
        if pair.refuses:
            self.count("connects refused", pair, 1)
            close_with_reset(accepted)
            return
        connection = Connection(self, pair, accepted)
        pair.connections.add(connection)
        connection.connect()
        if not connection.is_closing:
            connection.watch()

    # --- Commands.

    def chosen(self, command):
        def matches(wanted, name):
            return wanted == "*" or name == wanted or (isinstance(wanted, list) and name in wanted)

        return [pair for (caller, called), pair in self.pairs.items()
                if matches(command.get("from", "*"), caller) and matches(command.get("to", "*"), called)]

    def connections(self, command):
        return [connection for pair in self.chosen(command) for connection in list(pair.connections)]

    def do(self, command, descriptors):
        return getattr(self, "do_" + command["do"].replace("-", "_"))(command, descriptors)

    def do_pair(self, command, descriptors):
        listener = socket.socket(fileno=descriptors[0])
        listener.setblocking(False)
        pair = Pair(command, listener, descriptors[1] if len(descriptors) > 1 else None)
        self.pairs[pair.caller, pair.called] = pair
        self.select(listener, selectors.EVENT_READ, pair)
        return {}

    def do_set(self, command, _):
        directions = ("out", "in") if command.get("direction", "both") == "both" else (command["direction"],)
        for pair in self.chosen(command):
            pair.refuses = command.get("refuse", pair.refuses)
            for direction in directions:
                pair.settings[direction].update(command)
        self.go_on(command)
        return {}

    def do_calm(self, command, _):
        for pair in self.chosen(command):
            pair.calm()
        self.go_on(command)
        return {}

    def go_on(self, command):
        for connection in self.connections(command):
            if not connection.is_half:
                connection.connect()
                connection.run(time.monotonic())

    def do_reset(self, command, _):
        connections = self.connections(command)
        for connection in connections:
            connection.close(reset=True)
            self.count("connections reset", connection.pair, 1)
        return {"connections": len(connections)}

    def do_half_open(self, command, _):
        connections = self.connections(command)
        for connection in connections:
            connection.lose_end(command["dead"])
        return {"connections": len(connections)}

    def do_zombie(self, command, _):
        now = time.monotonic()
        connections = self.connections(command)
        for connection in connections:
            connection.out.paused_until = FOREVER

            def strike(connection=connection):
                if not connection.is_closing and connection.caller is not None:
                    connection.lose_caller(time.monotonic() + command["after_s"])

            self.at(now + command["gather_s"], strike)
        return {"connections": len(connections)}

    def do_rule(self, command, _):
        for pair in self.chosen(command):
            pair.rules[command["direction"]].append(Rule(command))
        return {}

    def do_stats(self, command, _):
        frames = {f"{caller}>{called}": {" ".join(key): count for key, count in pair.frames.items()}
                  for (caller, called), pair in self.pairs.items()}
        return {"frames": frames, "effects": dict(self.effects),
                "connections": sum(len(pair.connections) for pair in self.pairs.values())}


class Control:
    """The control socket: commands in, answers out."""

    def __init__(self, proxy, path):
        self.proxy = proxy
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(socket_address(path))
        self.listener.listen()
        proxy.selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def accept(self):
        client, _ = self.listener.accept()
        unread = bytearray()
        descriptors = []

        def read():
            data, received, _, _ = socket.recv_fds(client, RECEIVE_BYTES, 16)
            if not data:
                self.proxy.selector.unregister(client)
                client.close()
                return
            unread.extend(data)
            descriptors.extend(received)
            while b"\n" in unread:
                line, _, rest = bytes(unread).partition(b"\n")
                unread[:] = rest
                try:
                    answer = self.proxy.do(json.loads(line), list(descriptors))
                except (KeyError, ValueError, AttributeError, OSError) as error:
                    answer = {"error": repr(error)}
                descriptors.clear()
                client.sendall(json.dumps(answer).encode() + b"\n")

        self.proxy.selector.register(client, selectors.EVENT_READ, read)


class ProxyControl:
    """What others say to a proxy."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(socket_address(path))
        self._unread = self._socket.makefile("r")

    @staticmethod
    def is_there(path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            return sock.connect_ex(socket_address(path)) == 0

    def __call__(self, do, descriptors=(), **command):
        line = json.dumps({"do": do, **command}).encode() + b"\n"
        socket.send_fds(self._socket, [line], list(descriptors))
        answer = json.loads(self._unread.readline())
        if "error" in answer:
            raise RuntimeError(f"proxy: {do}: {answer['error']}")
        return answer

    def close(self):
        self._unread.close()
        self._socket.close()


def main():
    proxy = Proxy()
    Control(proxy, sys.argv[1])
    while True:
        proxy.turn()


if __name__ == "__main__":
    main()
