"""Asks single bookies for what a client cannot see: that a fence and a LAC, once answered, are there for ever.

A thread. It has ledgers of its own, which nobody writes; each of their bookies (but not the one that may lose data) is sent
normal adds, now and then a higher LAC, and at some time a fence, after which no add may succeed, whatever happens to the
bookie. All goes into the history; its checkers judge it. At the end every acknowledged add must be there.
"""
import hashlib
import random
import re
import struct
import threading
import time
import zlib

from namespaces import socket_in
from raw_client import NO_ENTRY, OK, V3_STATUS, BookieConnection, fields, put_bytes, put_number

PASSWORD = "rig"
LEDGERS = 6
PAUSE_S = 0.02
TIMEOUT_S = 1.0
FENCED, FENCED_V3 = 104, 504
MASTER_KEY = hashlib.sha1(b"ledger" + PASSWORD.encode()).digest()
FENCE_FLAG, RECOVERED_ENTRY = 1, -1


def packet(head, payload=b""):
    return head + struct.pack(">Q", zlib.crc32(payload, zlib.crc32(head))) + payload


class Place:
    """One ledger on one bookie."""

    def __init__(self, ledger, bookie):
        self.ledger = ledger
        self.bookie = bookie
        self.next_entry = 0
        self.lac = -1
        self.fenced = False
        self.acknowledged = []


class Prober:
    def __init__(self, cluster, seed, first_number):
        self._cluster = cluster
        self._rng = random.Random(f"{seed}/prober")
        self._next_number = first_number
        self._history = open(cluster.lab.path("history", "prober"), "a", buffering=1, encoding="utf-8")
        self._connections = {}  # (bookie, version) -> connection
        self._stopping = False
        self.places = []
        for _ in range(LEDGERS):
            self._create(min(3, len(cluster.bookies)))
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self):
        self._stopping = True
        self._thread.join()

    def _create(self, ensemble):
        size = str(ensemble)
        command = [self._cluster.programs.stele, "ledger", "create", "--metadata", self._cluster.metadata, "--password",
                   PASSWORD, "--digest", "crc32", "-E", size, "-W", size, "-A", "2"]
        ledger = int(self._cluster.ask(command))
        ensemble = self._cluster.ask([self._cluster.programs.stele, "ledger", "info", str(ledger), "--metadata",
                                      self._cluster.metadata])
        self.places += [Place(ledger, bookie) for bookie in self._cluster.bookies
                        if re.search(rf"\b{bookie.name}\b", ensemble) and bookie.number != self._cluster.shape.victim]

    def _work(self):
        while not self._stopping:
            place = self._rng.choice(self.places)
            draw = self._rng.random()
            if draw < 0.6:
                self._add(place)
            elif draw < 0.75:
                self._write_lac(place)
            elif draw < 0.97:
                self._read_lac(place)
            else:
                self._fence(place)
            time.sleep(PAUSE_S)

    # --- The history.

    def _call(self, place, operation, rest, action):
        """Writes both ends of a call. `action` gives a code and what follows the "ok"."""
        number = self._next_number
        self._next_number += 1
        line = f"prober {number}"
        print(time.monotonic_ns(), line, "invoke", operation, f"ledger={place.ledger} bookie={place.bookie.name}{rest}",
              file=self._history)
        try:
            code, answer = action(number)
        except (OSError, ValueError, KeyError, IndexError, struct.error):
            self._drop(place.bookie)
            code, answer = None, ""
        if code == OK:
            print(time.monotonic_ns(), line, f"ok{answer}", file=self._history)
        elif code in (FENCED, FENCED_V3):
            print(time.monotonic_ns(), line, "error LedgerFenced none", file=self._history)
        else:
            print(time.monotonic_ns(), line, "error ConnectionLost unknown", file=self._history)
        return code

    def _connection(self, bookie, version):
        connection = self._connections.get((bookie.name, version))
        if connection is None:
            connection = BookieConnection(socket_in(bookie.network.descriptor), ("127.0.0.1", 3181), version, TIMEOUT_S)
            self._connections[bookie.name, version] = connection
        return connection

    def _drop(self, bookie):
        """An answer that was not waited for would be taken for that of the next request."""
        for version in (2, 3):
            connection = self._connections.pop((bookie.name, version), None)
            if connection is not None:
                connection.close()

    # --- Requests.

    def _add(self, place):
        entry = place.next_entry
        place.next_entry += 1
        payload = struct.pack(">qq", place.ledger, entry) * 8
        body = packet(struct.pack(">qqqq", place.ledger, entry, entry - 1, len(payload) * (entry + 1)), payload)
        tag = f" entry={entry} payload={place.ledger}/{entry}/{place.bookie.number}/0/{len(payload)}"

        def add(_):
            frame = self._connection(place.bookie, 2).ask(struct.pack(">BBH", 2, 1, 0) + MASTER_KEY + body)
            _, code, ledger, answered = struct.unpack_from(">Iiqq", frame)
            if (ledger, answered) != (place.ledger, entry):
                raise ValueError("an answer to another add")
            return code, ""

        if self._call(place, "bookie-add", tag, add) == OK:
            place.acknowledged.append(entry)

    def _fence(self, place):
        def fence(_):
            message = struct.pack(">BBHqq", 2, 2, FENCE_FLAG, place.ledger, RECOVERED_ENTRY) + MASTER_KEY
            code = struct.unpack_from(">Ii", self._connection(place.bookie, 2).ask(message))[1]
            return (OK if code in (0, 1, 2) else code), ""  # an empty ledger is fenced too

        place.fenced = self._call(place, "bookie-fence", "", fence) == OK or place.fenced

    def _v3(self, place, operation, number, field, message):
        header = put_number(1, 3) + put_number(2, operation) + put_number(3, number)
        response = fields(self._connection(place.bookie, 3).ask(put_bytes(1, header) + put_bytes(field, message)))
        if fields(response[1])[3] != number:
            raise ValueError("an answer to another request")
        return V3_STATUS.get(response[2], response[2]), fields(response[field])

    def _write_lac(self, place):
        place.lac += self._rng.randint(1, 5)
        body = packet(struct.pack(">qq", place.ledger, place.lac))

        def write(number):
            message = put_number(1, place.ledger) + put_number(2, place.lac) + put_bytes(3, MASTER_KEY) + put_bytes(4, body)
            return self._v3(place, 6, number, 103, message)[0], ""

        self._call(place, "bookie-write-lac", f" last={place.lac}", write)

    def _read_lac(self, place):
        def read(number):
            code, answer = self._v3(place, 7, number, 104, put_number(1, place.ledger))
            if code == OK and 3 in answer:
                return OK, f" lac={struct.unpack_from('>q', answer[3], 8)[0]}"
            return (OK if code == NO_ENTRY else code), " lac=-1"  # it says that there is none

        self._call(place, "bookie-lac", "", read)

    # --- At the end.

    def find_losses(self):
        """Acknowledged adds that their bookie does not give, and how many were asked for."""
        losses, checked = [], 0
        for place in self.places:
            if not place.bookie.is_ready():
                continue
            self._drop(place.bookie)
            answers = self._connection(place.bookie, 2).read(place.ledger, place.acknowledged)
            checked += len(answers)
            lost = [entry for entry, (code, _) in answers.items() if code != OK]
            if lost:
                losses.append(f"{place.bookie.name} has lost adds of ledger {place.ledger} that it acknowledged: "
                              f"{lost[:10]} ({len(lost)} of {len(answers)})")
        return losses, checked
