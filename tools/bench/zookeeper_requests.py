"""Counts what clients ask of a ZooKeeper server, by kind: a relay between them that reads the requests' headers."""
import asyncio
import collections
import struct
import threading

# ZooKeeper's numbers, ZooDefs.OpCode.
KINDS = {1: "create", 15: "create", 2: "delete", 3: "exists", 4: "get", 5: "set", 8: "children", 12: "children", 9: "sync",
         14: "multi", 11: "ping", 17: "unwatch", 18: "unwatch", 101: "watch again", 105: "watch again", -11: "close"}


class ZooKeeperRequests:
    """Listens on a port of its own as long as the process lives."""

    def __init__(self, host, port):
        self.upstream = (host, port)
        self.counts = collections.Counter()
        self.port = None
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True).start()
        ready.wait()

    async def _serve(self, ready):
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def _relay(self, reader, writer):
        try:
            to_client = writer
            from_server, to_server = await asyncio.open_connection(*self.upstream)
            await asyncio.gather(self._pass_requests(reader, to_server), self._pass(from_server, to_client))
        except OSError:
            writer.close()

    async def _pass_requests(self, reader, writer):
        is_handshake = True
        try:
            while True:
                head = await reader.readexactly(4)
                body = await reader.readexactly(struct.unpack(">i", head)[0])
                writer.write(head + body)
                if not is_handshake:
                    number = struct.unpack(">i", body[4:8])[0]
                    self.counts[KINDS.get(number, f"kind {number}")] += 1
                is_handshake = False
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    @staticmethod
    async def _pass(reader, writer):
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
        except OSError:
            pass
        writer.close()
