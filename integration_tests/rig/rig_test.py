#!/usr/bin/env python3
"""Tests of the rig itself, without a cluster: who tests with a tool that lies, learns lies. Usage: rig_test.py"""
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from frames import BookieNames, FrameCutter, ZooKeeperNames
from nemeses import java_random_bytes
from proxy import ProxyControl
from raw_client import BookieConnection, Digest, check_packet, crc32c, read_back

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "2e2a69d870796fe05c0e77c52a29ce5e4222b758"
PACKET = bytes.fromhex("0000000000000001 0000000000000000 ffffffffffffffff 000000000000000b bd424207 "
                       "68656c6c6f20776f726c64")
V2_ADD = bytes.fromhex(f"00000047 02010000 {KEY}") + PACKET
V2_ADD_OK = bytes.fromhex("00000018 02010000 00000000 0000000000000001 0000000000000000")
V3_ADD = bytes.fromhex(f"00000056 0a06080310021801 aa064b 0801 1000 1a14 {KEY} 222f") + PACKET
V3_READ = bytes.fromhex("0000000f 0a06080310011804 a20604 0801 1000")
V3_READ_LAC = bytes.fromhex("0000000d 0a06080310071805 c20602 0801")


class Frames(unittest.TestCase):
    def cut(self, stream, sizes):
        cutter = FrameCutter(BookieNames().request)
        pieces, at = [], 0
        while at < len(stream):
            size = next(sizes)
            pieces += cutter.feed(stream[at:at + size])
            at += size
        return pieces + [(cutter.rest(), None)]

    def test_frames_of_both_versions_are_named_wherever_the_stream_is_cut(self):
        stream = V2_ADD + V3_ADD + V3_READ + V2_ADD + V3_READ_LAC
        rng = random.Random(1)
        for most in (1, 2, 3, 5, 17, 50, 1000):
            pieces = self.cut(stream, iter(lambda most=most: rng.randint(1, most), None))
            self.assertEqual(b"".join(piece for piece, _ in pieces), stream)
            self.assertEqual([name for _, name in pieces if name], ["add", "add", "read", "add", "read-lac"])

    def test_a_length_that_is_no_length_passes_as_it_is(self):
        stream = b"\xff\xff\xff\xffGET / HTTP/1.1\r\n\r\n"
        pieces = self.cut(stream, iter(lambda: 7, None))
        self.assertEqual(b"".join(piece for piece, _ in pieces), stream)

    def test_replies_of_zookeeper_are_named_by_their_requests(self):
        names = ZooKeeperNames()
        self.assertEqual(names.request(bytes(12)), "connect")
        self.assertEqual(names.request(struct.pack(">ii", 7, 5)), "set")
        self.assertEqual(names.reply(struct.pack(">iqi", -1, 0, 0)), "watch")
        self.assertEqual(names.reply(struct.pack(">iqi", 7, 0, 0)), "set")


class SecondClient(unittest.TestCase):
    def test_digests(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        self.assertTrue(Digest("crc32c", b"testPasswd").is_right(PACKET))
        self.assertFalse(Digest("crc32c", b"testPasswd").is_right(PACKET[:-1] + b"x"))

    def test_requests_are_those_of_the_description(self):
        self.assertEqual(BookieConnection._v3_request(1, 4),
                         bytes.fromhex("0000000f 0a06080310011804 a20604 0801 1004"))
        self.assertEqual(BookieConnection._v2_request(1, 0),
                         bytes.fromhex("00000014 02020000 0000000000000001 0000000000000000"))

    def test_a_packet_that_is_not_what_was_appended_is_found(self):
        digest = Digest("crc32c", b"testPasswd")
        self.assertIsNone(check_packet(PACKET, 1, 0, digest, (11,), False))
        self.assertIn("another entry", check_packet(PACKET, 1, 1, digest, (11,), False))
        self.assertIn("11 bytes, appended were 12", check_packet(PACKET, 1, 0, digest, (12,), False))
        self.assertIn("digest", check_packet(PACKET[:-1] + b"x", 1, 0, digest, (11,), False))

    def test_a_missing_copy_is_found(self):
        class Has:
            @staticmethod
            def read(_, entries):
                return {entry: (0, PACKET) if entry == 0 else (2, b"") for entry in entries}

        class HasNot:
            @staticmethod
            def read(_, entries):
                return {entry: (1, b"") for entry in entries}

        appended = {(1, 0): (11,)}
        digest = Digest("crc32c", b"testPasswd")
        both = read_back({"b1": Has, "b2": Has}, {1: 0}, appended, digest, set(), 2, 1000)
        self.assertEqual((both.problems, both.copies), ([], 2))
        one = read_back({"b1": Has, "b2": HasNot}, {1: 0}, appended, digest, set(), 2, 1000)
        self.assertIn("fewer than 2 copies", one.problems[0])

    def test_passwords_of_sessions_follow_from_their_ids(self):
        # new java.util.Random(42).nextBytes(new byte[8])
        self.assertEqual(java_random_bytes(42, 8).hex(), "359d41baf78afe0d")


class Peer:
    """The called one: keeps what it hears, per connection; answers each ADD of version 2 when it is whole."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard = []
        self.connections = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
            except OSError:
                return
            heard = bytearray()
            self.heard.append(heard)
            threading.Thread(target=self._hear, args=(connection, heard), daemon=True).start()

    @staticmethod
    def _hear(connection, heard):
        answered = 0
        try:
            while True:
                data = connection.recv(65536)
                if not data:
                    return
                heard.extend(data)
                while len(heard) >= (answered + 1) * len(V2_ADD):
                    answered += 1
                    connection.sendall(V2_ADD_OK)
        except OSError:
            pass


class ProxyTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        control = os.path.join(self.directory.name, "control")
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "proxy.py"), control])
        while not ProxyControl.is_there(control):
            time.sleep(0.01)
        self.proxy = ProxyControl(control)
        self.peer = Peer()
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        self.proxy("pair", [listener.fileno()], **{"from": "c1", "to": "b1", "kind": "bookie",
                                                   "port": self.peer.listener.getsockname()[1]})
        listener.close()
        self.sockets = []

    def tearDown(self):
        self.proxy.close()
        self.process.kill()
        self.process.wait()
        self.peer.listener.close()
        for sock in self.sockets + self.peer.connections:
            sock.close()
        self.directory.cleanup()

    def connect(self):
        sock = socket.create_connection(self.address, timeout=20)
        self.sockets.append(sock)
        return sock

    def effects(self):
        return self.proxy("stats")["effects"]

    def add(self, sock, count=1):
        sock.sendall(V2_ADD * count)
        answers = b""
        while len(answers) < len(V2_ADD_OK) * count:
            data = sock.recv(65536)
            self.assertTrue(data)
            answers += data
        self.assertEqual(answers, V2_ADD_OK * count)

    def wait_for(self, condition):
        for _ in range(2000):
            if condition():
                return
            time.sleep(0.01)
        self.fail("waited too long")

    def test_passes_everything_and_counts_it(self):
        self.add(self.connect(), 100)
        self.assertEqual(self.proxy("stats")["frames"]["c1>b1"], {"out add": 100, "in add": 100})
        self.assertEqual(self.effects(), {})

    def test_the_third_add_is_held_and_what_is_before_it_is_not(self):
        self.proxy("rule", direction="out", operation="add", nth=3, act="hold")
        sock = self.connect()
        sock.sendall(V2_ADD * 5)
        self.wait_for(lambda: len(self.peer.heard[0]) == 2 * len(V2_ADD) if self.peer.heard else False)
        time.sleep(0.1)
        self.assertEqual(len(self.peer.heard[0]), 2 * len(V2_ADD))
        self.proxy("calm")
        self.wait_for(lambda: len(self.peer.heard[0]) == 5 * len(V2_ADD))

    def test_a_frame_stalls_in_its_middle(self):
        self.proxy("rule", direction="out", operation="add", nth=1, act="stall")
        self.connect().sendall(V2_ADD)
        self.wait_for(lambda: self.peer.heard and 0 < len(self.peer.heard[0]) < len(V2_ADD))
        self.proxy("calm")
        self.wait_for(lambda: len(self.peer.heard[0]) == len(V2_ADD))

    def test_chopped_and_slow_bytes_arrive_in_order(self):
        self.proxy("set", chop=True, delay_ms=5, jitter_ms=20, rate_bytes=100000, loss=0.1)
        self.add(self.connect(), 3)
        for name in ("bytes chopped", "bytes delayed", "bytes slowed"):
            self.assertGreater(self.effects()[name], 0)

    def test_one_way_block_holds_answers_only(self):
        sock = self.connect()
        self.add(sock)
        self.proxy("set", direction="in", blocked=True)
        sock.sendall(V2_ADD)
        self.wait_for(lambda: len(self.peer.heard[0]) == 2 * len(V2_ADD))
        sock.settimeout(0.2)
        self.assertRaises(TimeoutError, sock.recv, 1)
        self.proxy("set", direction="in", blocked=False)
        sock.settimeout(20)
        self.assertEqual(len(sock.recv(65536)), len(V2_ADD_OK))

    def test_a_blocked_pair_takes_no_connection_until_it_is_open(self):
        self.proxy("set", blocked=True)
        self.connect().sendall(V2_ADD)
        self.wait_for(lambda: self.effects().get("connects blocked", 0) == 1)
        self.assertEqual(self.peer.heard, [])
        self.proxy("set", blocked=False)
        self.wait_for(lambda: self.peer.heard and len(self.peer.heard[0]) == len(V2_ADD))

    def test_reset_is_seen_by_the_caller(self):
        sock = self.connect()
        self.add(sock)
        self.assertEqual(self.proxy("reset")["connections"], 1)
        self.assertRaises(ConnectionResetError, sock.recv, 1)

    def test_the_answer_of_an_add_is_lost_but_the_add_is_not(self):
        self.proxy("rule", direction="in", operation="add", nth=1, act="reset")
        sock = self.connect()
        sock.sendall(V2_ADD)
        self.assertRaises(ConnectionResetError, sock.recv, 1)
        self.assertEqual(len(self.peer.heard[0]), len(V2_ADD))

    def test_half_open_tells_the_caller_nothing(self):
        sock = self.connect()
        self.add(sock)
        self.proxy("half-open", dead="to")
        sock.sendall(V2_ADD)
        sock.settimeout(0.2)
        self.assertRaises(TimeoutError, sock.recv, 1)
        self.assertEqual(len(self.peer.heard[0]), len(V2_ADD))

    def test_zombie_bytes_arrive_after_a_new_connection_works(self):
        old = self.connect()
        self.add(old)
        self.proxy("zombie", gather_s=0.2, after_s=0.5)
        old.sendall(V2_ADD * 2)
        self.assertRaises(ConnectionResetError, old.recv, 1)
        self.add(self.connect())
        self.assertEqual(len(self.peer.heard[0]), len(V2_ADD))
        self.wait_for(lambda: len(self.peer.heard[0]) == 3 * len(V2_ADD))


if __name__ == "__main__":
    unittest.main()
