"""A second client, which knows only the description of the wire protocol: it asks each bookie for each entry.

It speaks both versions of the protocol, checks digests by itself, and compares what it gets with what the history says was
appended. It shares no code with the product.
"""
import hashlib
import hmac
import struct
import zlib

from frames import varint

TIMEOUT_S = 10
READS_AT_ONCE = 64
OK, NO_LEDGER, NO_ENTRY = 0, 1, 2
V3_STATUS = {402: NO_LEDGER, 403: NO_ENTRY}


def crc32c_table():
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


class Digest:
    """Of an entry packet: 32 bytes of numbers, the digest over them and the payload, the payload."""

    SIZES = {"crc32": 8, "crc32c": 4, "mac": 20}

    def __init__(self, kind, password):
        self.kind = kind
        self.size = self.SIZES[kind]
        self._key = hashlib.sha1(b"mac" + password).digest()

    def is_right(self, packet):
        covered = packet[:32] + packet[32 + self.size:]
        stored = packet[32:32 + self.size]
        if self.kind == "crc32":
            return struct.unpack(">Q", stored)[0] == zlib.crc32(covered)
        if self.kind == "crc32c":
            return struct.unpack(">I", stored)[0] == crc32c(covered)
        return hmac.digest(self._key, covered, "sha1") == stored


def put_varint(value):
    value &= (1 << 64) - 1
    data = b""
    while value >= 0x80:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def put_bytes(number, data):
    return put_varint(number << 3 | 2) + put_varint(len(data)) + data


def put_number(number, value):
    return put_varint(number << 3) + put_varint(value)


def fields(data):
    """The fields of a message: number -> value, of the last one of each number."""
    found, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            found[tag >> 3], at = varint(data, at)
        else:
            size, at = varint(data, at)
            found[tag >> 3] = data[at:at + size]
            at += size
    return found


class BookieConnection:
    """Reads entries of one bookie, with the protocol's version 2 or 3."""

    def __init__(self, sock, address, version, timeout_s=TIMEOUT_S):
        self._socket = sock
        self._socket.settimeout(timeout_s)
        self._socket.connect(address)
        self._unread = b""
        self._version = version

    def close(self):
        self._socket.close()

    def ask(self, message):
        """Sends one message and gives the next one that comes."""
        self._socket.sendall(struct.pack(">I", len(message)) + message)
        return self._frame()

    def read(self, ledger, entries):
        """entry -> (code, packet) for each of `entries`."""
        answers = {}
        entries = list(entries)
        for start in range(0, len(entries), READS_AT_ONCE):
            part = entries[start:start + READS_AT_ONCE]
            request = self._v2_request if self._version == 2 else self._v3_request
            self._socket.sendall(b"".join(request(ledger, entry) for entry in part))
            for _ in part:
                code, answered_ledger, entry, packet = self._answer(self._frame())
                if answered_ledger != ledger or entry not in part:
                    raise ValueError(f"an answer for {answered_ledger}/{entry} that nobody asked for")
                answers[entry] = (code, packet)
        return answers

    @staticmethod
    def _v2_request(ledger, entry):
        return struct.pack(">IBBHqq", 20, 2, 2, 0, ledger, entry)

    @staticmethod
    def _v3_request(ledger, entry):
        header = put_number(1, 3) + put_number(2, 1) + put_number(3, entry)
        message = put_bytes(1, header) + put_bytes(100, put_number(1, ledger) + put_number(2, entry))
        return struct.pack(">I", len(message)) + message

    def _frame(self):
        while len(self._unread) < 4 or len(self._unread) < 4 + struct.unpack_from(">I", self._unread)[0]:
            data = self._socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the bookie closed the connection")
            self._unread += data
        (length,) = struct.unpack_from(">I", self._unread)
        frame, self._unread = self._unread[4:4 + length], self._unread[4 + length:]
        return frame

    def _answer(self, frame):
        if self._version == 2:
            _, code, ledger, entry = struct.unpack_from(">Iiqq", frame)
            return code, ledger, entry, frame[24:]
        response = fields(frame)
        read = fields(response[100])
        status = response[2]
        return V3_STATUS.get(status, status), read[2], read[3], read.get(4, b"")


class Findings:
    def __init__(self):
        self.copies = self.digests = self.answers = 0
        self.problems = []


def check_packet(packet, ledger, entry, digest, appended, may_skip_digest):
    """What is wrong with an entry packet that a bookie gave; None when nothing is."""
    if len(packet) < 32 + digest.size:
        return "too short"
    if struct.unpack_from(">qq", packet) != (ledger, entry):
        return "the packet is of another entry"
    if not may_skip_digest and not digest.is_right(packet):
        return "the digest is wrong"
    payload = packet[32 + digest.size:]
    # What was appended names itself in its first bytes; short ones cannot.
    if appended is not None:
        if len(payload) != appended[-1]:
            return f"{len(payload)} bytes, appended were {appended[-1]}"
        if len(appended) == 5 and struct.unpack_from(">qqqq", payload, 8) != appended[:4]:
            return f"another payload: {struct.unpack_from('>qqqq', payload, 8)}, not {appended[:4]}"
    return None


def read_back(connections, ledgers, appended, digest, damaged, copies_min, digest_budget_bytes):
    """Asks every bookie for every entry.

    connections   name -> BookieConnection
    ledgers       ledger -> its last entry
    appended      (ledger, entry) -> (ledger, entry, writer, attempt, length) or (length,)
    damaged       names of bookies whose disks lost something
    """
    findings = Findings()
    for ledger, last in ledgers.items():
        copies = dict.fromkeys(range(last + 1), 0)
        bytes_of = {}
        for name, connection in connections.items():
            for entry, (code, packet) in connection.read(ledger, range(last + 1)).items():
                findings.answers += 1
                if code != OK:
                    continue
                skips = digest.kind == "crc32c" and digest_budget_bytes <= 0
                problem = check_packet(packet, ledger, entry, digest, appended.get((ledger, entry)), skips)
                if not skips:
                    digest_budget_bytes -= len(packet)
                    findings.digests += 1
                payload = packet[32 + digest.size:]
                if problem is None and bytes_of.setdefault(entry, payload) != payload:
                    problem = "not the bytes that another bookie gave"
                if problem is None:
                    copies[entry] += 1
                    findings.copies += 1
                elif name not in damaged:
                    findings.problems.append(f"{name}: {ledger}/{entry}: {problem}")
        short = [entry for entry, count in copies.items() if count < copies_min]
        if short:
            findings.problems.append(f"ledger {ledger}: fewer than {copies_min} copies of {short[:10]} "
                                     f"({len(short)} of {last + 1} entries)")
    return findings
