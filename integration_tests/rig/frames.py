"""What a proxy must know of three protocols: where a frame ends, and what it asks for.

All three put a big-endian u32 length before each message: the bookie protocol in its versions 2 and 3, on one connection
even mixed, and ZooKeeper's. Written from the description of the protocols, without code of the product.
"""
import struct

# A frame longer than this is not one: the stream is passed on without a look into it.
FRAME_MAX_BYTES = 64 << 20
# With so many bytes of a frame, or all of a shorter one, its operation is known.
HEAD_BYTES = 16

V2_NAMES = {1: "add", 2: "read", 3: "auth", 7: "batch-read"}
V3_NAMES = {1: "read", 2: "add", 5: "auth", 6: "write-lac", 7: "read-lac", 8: "info", 9: "start-tls", 10: "force",
            11: "list"}
ZOOKEEPER_NAMES = {1: "create", 2: "delete", 3: "exists", 4: "get", 5: "set", 8: "children", 9: "sync", 11: "ping",
                   12: "children", 14: "multi", 15: "create", 19: "create", -11: "close"}


def varint(data, at):
    """The varint at `at` and where it ends; raises IndexError when it is cut off."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def bookie_operation(head):
    """The name of a message to or from a bookie, by its first bytes behind the length."""
    try:
        if head[0] == 0x0a:
            _, at = varint(head, 1)
            while head[at] != 0x10:  # the operation follows the version
                _, at = varint(head, at + 1)
            operation, _ = varint(head, at + 1)
            return V3_NAMES.get(operation, f"v3-{operation}")
        return V2_NAMES.get(head[1], f"v2-{head[1]}")
    except IndexError:
        return "short"


class BookieNames:
    """Names the frames of one connection to a bookie."""

    def request(self, head):
        return bookie_operation(head)

    def reply(self, head):
        return bookie_operation(head)


class ZooKeeperNames:
    """Names the frames of one connection to ZooKeeper: replies are found by the xid of their request."""

    def __init__(self):
        self._is_connected = False
        self._by_xid = {}

    def request(self, head):
        if not self._is_connected:
            self._is_connected = True
            return "connect"
        if len(head) < 8:
            return "short"
        xid, operation = struct.unpack_from(">ii", head)
        name = ZOOKEEPER_NAMES.get(operation, f"zk-{operation}")
        if xid >= 0:
            self._by_xid[xid] = name
        return name

    def reply(self, head):
        if len(head) < 4:
            return "short"
        (xid,) = struct.unpack_from(">i", head)
        return {-1: "watch", -2: "ping"}.get(xid) or self._by_xid.pop(xid, "connect")


class FrameCutter:
    """Cuts a stream of bytes into pieces of which none belongs to two frames.

    feed() gives (bytes, name) for the first piece of a frame and (bytes, None) for those that follow. The first few bytes
    of a frame are kept back until they tell what it is.
    """

    def __init__(self, name_of):
        self._name_of = name_of
        self._kept = b""
        self._left = 0  # of a frame that was named
        self._is_foreign = False

    @property
    def is_inside_frame(self):
        return self._left > 0 or bool(self._kept)

    def feed(self, data):
        if self._is_foreign:
            return [(data, None)]
        pieces = []
        if self._kept:
            data, self._kept = self._kept + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._left > 0:
                size = min(self._left, end - at)
                pieces.append((data[at:at + size], None))
                self._left -= size
                at += size
                continue
            if end - at < 4:
                break
            (length,) = struct.unpack_from(">I", data, at)
            if length > FRAME_MAX_BYTES:
                self._is_foreign = True
                pieces.append((data[at:], None))
                return pieces
            if end - at < 4 + min(length, HEAD_BYTES):
                break
            name = self._name_of(data[at + 4:at + 4 + min(length, HEAD_BYTES)])
            size = min(4 + length, end - at)
            pieces.append((data[at:at + size], name))
            self._left = 4 + length - size
            at += size
        self._kept = data[at:]
        return pieces

    def rest(self):
        """What was kept back, when the stream has ended."""
        kept, self._kept = self._kept, b""
        return kept
