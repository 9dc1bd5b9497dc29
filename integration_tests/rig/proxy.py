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
import heapq
import json
import selectors
import socket
import sys
import time
from collections import Counter, deque

from streams import close_with_reset, Connection, FOREVER, RECEIVE_BYTES, Rule, Settings


def socket_address(path):
    return "\0" + path[1:] if path.startswith("@") else path


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
