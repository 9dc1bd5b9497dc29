"""What happens to a cluster. Each nemesis is a generator: it does something, yields for how long it goes on, and heals.

It returns how often it took effect: a kill of a dead process, a partition through which nobody spoke, a rotten block that
nobody uses do not count. Names and numbers follow the list of faults in the specification.
"""
import contextlib
import os
import resource
import shutil
import signal
import struct
import time

from disks import cut_file, random_file
from namespaces import socket_in

NEMESES = {}


class Nemesis:
    def __init__(self, number, title, action, needs, weight, destroys):
        self.number = number
        self.title = title
        self.action = action
        self.needs = needs        # mechanisms, see probe.py
        self.weight = weight
        self.destroys = destroys  # strikes only the one bookie that may lose data

    @property
    def name(self):
        return f"{self.number} {self.title}"


def nemesis(number, title, needs=(), weight=2, destroys=False):
    def register(action):
        NEMESES[number] = Nemesis(number, title, action, set(needs), weight, destroys)
        return action

    return register


class Engaged(Exception):
    """There is nobody whom this could happen to now."""


@contextlib.contextmanager
def engage(rng, candidates, condition=lambda node: True):
    """One of them that no other nemesis works on, for as long as this one does."""
    free = [node for node in candidates if not node.is_engaged and condition(node)]
    if not free:
        raise Engaged
    node = rng.choice(free)
    node.is_engaged = True
    try:
        yield node
    finally:
        node.is_engaged = False


def running(bookie):
    return bookie.is_ready()


def alive(application):
    return not application.is_dead and application.child.is_running() and application.role != "recoverer"


class Effects:
    """How much the proxy did since."""

    def __init__(self, cluster, *names):
        self._cluster = cluster
        self._names = names
        self._before = self._now()

    def _now(self):
        effects = self._cluster.proxy("stats")["effects"]
        return sum(count for name, count in effects.items() if name.startswith(self._names))

    def since(self):
        return self._now() - self._before

    def happened(self):
        return 1 if self.since() > 0 else 0


# --- Processes.

@nemesis("N1", "kill", weight=6)
def kill(cluster, rng):
    if rng.random() < 0.3:
        with engage(rng, cluster.applications, alive) as application:
            application.crash()
            yield rng.uniform(0, 2)
            cluster.start_application(application.role, **cluster.shape.arguments_of(application.role, rng))
            return 1
    with engage(rng, cluster.bookies, running) as bookie:
        bookie.end()
        yield rng.choice([0, rng.uniform(0, 1), rng.uniform(1, 8)])
        bookie.start()
        return 1


@nemesis("N1b", "stop", weight=3)
def stop(cluster, rng):
    """A clean stop, or one that is cut short; the power may fail right behind it."""
    with engage(rng, cluster.bookies, running) as bookie:
        bookie.stop()
        patience = time.monotonic() + rng.choice([rng.uniform(0, 0.5), 20])
        while bookie.is_running() and time.monotonic() < patience:
            yield 0.05
        was_clean = not bookie.is_running()
        bookie.end()
        if bookie.disk.has_device and rng.random() < 0.5:
            bookie.disk.cut_power()
            bookie.disk.restore_power()
        yield rng.uniform(0, 1)
        bookie.start()
        return int(was_clean)


@nemesis("N2", "kill during start", weight=3)
def kill_boot(cluster, rng):
    with engage(rng, cluster.bookies, running) as bookie:
        bookie.end()
        strikes = 0
        for _ in range(rng.randint(1, 5)):
            bookie.start()
            yield rng.uniform(0.001, 0.5)
            strikes += bookie.is_running() and not bookie.is_ready()
            bookie.end()
        bookie.start()
        return strikes


@nemesis("N3", "kill all", weight=2)
def kill_all(cluster, rng):
    bookies = [bookie for bookie in cluster.bookies if bookie.is_running() and not bookie.is_engaged]
    for bookie in bookies:
        bookie.is_engaged = True
        bookie.is_wanted = False
        bookie.child.signal(signal.SIGKILL)
    for bookie in bookies:
        bookie.end()
    yield rng.uniform(0, 2)
    rng.shuffle(bookies)
    for bookie in bookies:
        bookie.start()
        bookie.is_engaged = False
        yield rng.uniform(0, 0.3)
    return 1 if bookies else 0


@nemesis("N4", "power cut", needs=["power cut"], weight=6)
def power(cluster, rng):
    all_nodes = rng.random() < 0.4
    bookies = [bookie for bookie in cluster.bookies if bookie.is_running() and not bookie.is_engaged]
    if not bookies:
        raise Engaged
    if not all_nodes:
        bookies = [rng.choice(bookies)]
    for bookie in bookies:
        bookie.is_engaged = True
        bookie.is_wanted = False
        bookie.disk.cut_power()  # first: what the process still does is in vain
    for bookie in bookies:
        bookie.end()
    yield rng.uniform(0, 2)
    rng.shuffle(bookies)
    for bookie in bookies:
        bookie.disk.restore_power()
        bookie.start()
        bookie.is_engaged = False
    return len(bookies)


@nemesis("N5", "pause", weight=5)
def pause(cluster, rng):
    who = rng.random()
    if who < 0.3:
        candidates, condition = cluster.applications, alive
    else:
        candidates, condition = cluster.bookies, running
    with engage(rng, candidates, condition) as node:
        node.child.signal(signal.SIGSTOP)
        yield rng.choice([rng.uniform(0.1, 1), rng.uniform(1, 4), rng.uniform(4, 12)])
        node.child.signal(signal.SIGCONT)
        return 1


@nemesis("N5b", "zombie writer", weight=3)
def zombie_writer(cluster, rng):
    """It sleeps while its ledgers are taken over, then goes on as if nothing had happened."""
    with engage(rng, cluster.applications, lambda node: alive(node) and node.ledgers) as writer:
        writer.child.signal(signal.SIGSTOP)
        cluster.order_recovery(writer.ledgers[-4:])
        yield rng.choice([rng.uniform(0.5, 2), rng.uniform(2, 8)])
        writer.child.signal(signal.SIGCONT)
        return 1


# --- The network.

def callers(cluster):
    return [application.name for application in cluster.applications if alive(application)]


def cuts(cluster, rng):
    """What is cut from what, and which way: (from, to, direction)."""
    names = [bookie.name for bookie in cluster.bookies]
    kind = rng.choice(["isolate", "isolate", "halves", "partial", "bridge", "clients", "store"])
    direction = rng.choice(["both", "both", "out", "in"])
    if kind == "isolate":
        return [("*", [rng.choice(names)], direction)]
    if kind == "halves":
        return [("*", rng.sample(names, len(names) // 2), direction)]
    if kind == "store" and cluster.store is not None:
        return [(rng.choice(["*", names, callers(cluster)]), "zk", direction)]
    if kind == "clients" and callers(cluster):
        return [([rng.choice(callers(cluster))], "*", direction)]
    if kind == "bridge" and len(callers(cluster)) > 1:
        # Each half of the applications sees half of the bookies; one bookie is seen by all.
        half = rng.sample(callers(cluster), len(callers(cluster)) // 2)
        rest = [name for name in callers(cluster) if name not in half]
        middle = rng.choice(names)
        left = rng.sample([name for name in names if name != middle], len(names) // 2)
        right = [name for name in names if name not in left and name != middle]
        return [(half, right, direction), (rest, left, direction)]
    return [([name], [rng.choice(names)], direction) for name in callers(cluster)]


def cut(cluster, links, blocked):
    for caller, called, direction in links:
        cluster.proxy("set", **{"from": caller, "to": called, "direction": direction, "blocked": blocked})


@nemesis("N6", "partition", weight=6)
def partition(cluster, rng):
    effects = Effects(cluster, "bytes blocked", "connects blocked")
    links = cuts(cluster, rng)
    cut(cluster, links, True)
    yield rng.choice([rng.uniform(0.2, 2), rng.uniform(2, 8)])
    cut(cluster, links, False)
    return effects.happened()


@nemesis("N7", "flap", weight=2)
def flap(cluster, rng):
    strikes = 0
    links = cuts(cluster, rng)
    for _ in range(rng.randint(2, 6)):
        effects = Effects(cluster, "bytes blocked", "connects blocked")
        cut(cluster, links, True)
        yield rng.uniform(0.2, 1.5)
        cut(cluster, links, False)
        strikes += effects.happened()
        yield rng.uniform(0.2, 1)
    return strikes


def some_links(cluster, rng):
    """Of one bookie, or of one application, or of all."""
    kind = rng.randrange(4)
    if kind == 0 and callers(cluster):
        return {"from": rng.choice(callers(cluster)), "to": "*"}
    if kind == 1:
        return {"from": "*", "to": "*"}
    return {"from": "*", "to": rng.choice(cluster.bookies).name}


def with_setting(cluster, rng, effect, seconds, calm, **settings):
    effects = Effects(cluster, effect)
    links = some_links(cluster, rng)
    cluster.proxy("set", **links, direction=rng.choice(["both", "out", "in"]), **settings)
    yield seconds
    cluster.proxy("set", **links, direction="both", **calm)
    return effects.happened()


@nemesis("N8", "slow network")
def slow_network(cluster, rng):
    seconds = rng.uniform(1, 6)
    if rng.random() < 0.5:
        rate = rng.randint(64, 512) * 1000 // 8
        return (yield from with_setting(cluster, rng, "bytes slowed", seconds, {"rate_bytes": 0}, rate_bytes=rate))
    delay = 10 ** rng.uniform(1, 3.3)
    return (yield from with_setting(cluster, rng, "bytes delayed", seconds, {"delay_ms": 0, "jitter_ms": 0},
                                    delay_ms=delay, jitter_ms=delay))


@nemesis("N9", "loss")
def loss(cluster, rng):
    return (yield from with_setting(cluster, rng, "packets lost", rng.uniform(1, 6), {"loss": 0},
                                    loss=rng.uniform(0.05, 0.4)))


@nemesis("N10", "zombie bytes", weight=4)
def zombie(cluster, rng):
    effects = Effects(cluster, "zombie bytes")
    after = rng.choice([rng.uniform(0.5, 3), rng.uniform(3, 12)])
    cluster.proxy("zombie", **some_links(cluster, rng), gather_s=rng.uniform(0.05, 0.8), after_s=after)
    yield after + 1
    return effects.happened()


@nemesis("N11", "chop and stall")
def chop(cluster, rng):
    if rng.random() < 0.5:
        return (yield from with_setting(cluster, rng, "bytes chopped", rng.uniform(1, 4), {"chop": False}, chop=True))
    act = rng.choice(["stall", "stall", "hold", "reset"])
    direction = rng.choice(["out", "in"])
    effects = Effects(cluster, f"frames {act}")
    seconds = rng.uniform(0.5, 6)
    cluster.proxy("rule", **some_links(cluster, rng), direction=direction, operation=rng.choice(["add", "add", "read", "*"]),
                  nth=rng.randint(1, 20), act=act, seconds=seconds)
    yield seconds
    return effects.happened()


@nemesis("N11b", "reset", weight=3)
def reset(cluster, rng):
    strikes = 0
    for _ in range(rng.randint(1, 4)):
        links = some_links(cluster, rng)
        if rng.random() < 0.6:
            done = cluster.proxy("reset", **links)
        else:
            done = cluster.proxy("half-open", **links, dead=rng.choice(["from", "to"]))
        strikes += done["connections"] > 0
        yield rng.uniform(0.1, 1)
    return strikes


@nemesis("N30", "swizzle", weight=2)
def swizzle(cluster, rng):
    effects = Effects(cluster, "bytes blocked", "connects blocked")
    links = [(caller, bookie.name, "both") for caller in callers(cluster) for bookie in cluster.bookies]
    chosen = rng.sample(links, len(links) // 2)
    for link in chosen:
        cut(cluster, [link], True)
        yield rng.uniform(0, 0.3)
    rng.shuffle(chosen)
    for link in chosen:
        cut(cluster, [link], False)
        yield rng.uniform(0, 0.3)
    return effects.happened()


# --- Disks.

@nemesis("N12", "slow disk", needs=["slow disk"])
def slow_disk(cluster, rng):
    with engage(rng, cluster.bookies, running) as bookie:
        if cluster.throttle.is_used:
            raise Engaged
        cluster.throttle.slow(bookie.disk, bookie.child.pid, rng.randint(100_000, 2_000_000), rng.randint(5, 50))
        yield rng.uniform(2, 6)
        cluster.throttle.release()
        return 1


@nemesis("N13", "hung disk", needs=["hung disk"], weight=3)
def hung_disk(cluster, rng):
    with engage(rng, cluster.bookies, running) as bookie:
        bookie.disk.freeze()
        try:
            yield rng.choice([rng.uniform(0.5, 2), rng.uniform(2, 10)])
        finally:
            bookie.disk.thaw()
        return 1


@nemesis("N14", "thin disk", needs=["thin disk"], weight=2, destroys=True)
def thin_disk(cluster, rng):
    with engage(rng, cluster.bookies, lambda node: node.number == cluster.shape.victim and running(node)) as bookie:
        bookie.is_damaged = True
        log_bytes = os.path.getsize(bookie.log)
        bookie.disk.starve_device()
        yield rng.uniform(2, 6)
        # It has stopped, or goes on without knowing. What was written since may be gone, whatever the syncs said.
        with open(bookie.log, "rb") as log:
            log.seek(log_bytes)
            said = log.read()
        took_effect = not bookie.is_running() or b"No space left" in said or b"Input/output error" in said
        bookie.end()
        bookie.disk.feed_device()
        bookie.disk.restore_power()  # nothing is left of the page cache
        bookie.start()
        return 1 if took_effect else 0


@nemesis("N15", "full", needs=["disks"], weight=3)
def full(cluster, rng):
    count = rng.choice([1, 1, len(cluster.bookies)])
    bookies = [bookie for bookie in cluster.bookies if running(bookie) and not bookie.is_engaged][:count]
    if not bookies:
        raise Engaged
    for bookie in bookies:
        bookie.is_engaged = True
        bookie.disk.fill(rng.choice([0, 0, rng.randint(0, 4 << 20)]))
    yield rng.uniform(1, 6)
    for bookie in bookies:
        bookie.disk.empty()
        if rng.random() < 0.3 or not bookie.is_running():
            bookie.end()
            bookie.start()
        bookie.is_engaged = False
    return len(bookies)


@nemesis("N16", "rot", needs=["rot"], weight=3, destroys=True)
def rot(cluster, rng):
    with engage(rng, cluster.bookies, lambda node: node.number == cluster.shape.victim and running(node)) as bookie:
        strikes = 0
        for _ in range(rng.randint(1, 4)):
            path = random_file(bookie.disk, rng, rng.choice([r"\.txn$", r"\.log$", r"\.idx$", r"lastMark|VERSION|lastId"]))
            if path is None:
                continue
            bookie.is_damaged = True
            try:
                strikes += bookie.disk.rot(path, rng) is not None
            except FileNotFoundError:
                pass  # the bookie was faster
            yield rng.uniform(0.1, 1)
        if rng.random() < 0.5:
            bookie.end()
            yield rng.uniform(0, 1)
            bookie.start()
        return strikes


@nemesis("N17", "cut file", needs=["disks"], weight=2, destroys=True)
def cut_some_file(cluster, rng):
    with engage(rng, cluster.bookies, lambda node: node.number == cluster.shape.victim and running(node)) as bookie:
        bookie.end()
        path = random_file(bookie.disk, rng, r"\.txn$|\.log$|\.idx$|lastMark|VERSION|lastId")
        if path is not None:
            bookie.is_damaged = True
            kind = cut_file(bookie.disk, path, rng)
            cluster.lab.record("cut file", bookie=bookie.name, file=os.path.relpath(path, bookie.disk.path), kind=kind)
        yield rng.uniform(0, 1)
        bookie.start()
        return 0 if path is None else 1


@nemesis("N18", "wrong directory", weight=2)
def wrong_directory(cluster, rng):
    """A bookie finds its directory empty, or in use by another process: it must refuse, and later go on as before."""
    with engage(rng, cluster.bookies, running) as bookie:
        if rng.random() < 0.5:
            second = bookie.child
            bookie.start()  # on the same directory, beside the first
            second, bookie.child = bookie.child, second
            second.wait(5)
            served = os.path.exists(bookie.ready_file)
            second.kill()
            with open(bookie.ready_file, "w", encoding="utf-8"):
                pass  # the first still serves
        else:
            bookie.end()
            away = [os.path.join(bookie.disk.path, name) for name in ("journal", "ledgers")]
            for path in away[:rng.randint(1, 2)]:
                os.rename(path, path + ".away")
            bookie.start()
            give_up = time.monotonic() + 5
            while bookie.is_running() and time.monotonic() < give_up:
                yield 0.05
            served = bookie.is_ready()  # one that still waits for the store has not served
            bookie.end()
            for path in away:
                if os.path.exists(path + ".away"):
                    shutil.rmtree(path, ignore_errors=True)
                    os.rename(path + ".away", path)
            bookie.start()
        cluster.lab.record("wrong directory", bookie=bookie.name, served=served)
        if served:
            cluster.violations.append(f"{bookie.name} served on a directory that is not its own")
        return 1


# --- Resources and strangers.

@nemesis("N25", "descriptors", weight=2)
def descriptors(cluster, rng):
    with engage(rng, cluster.bookies, running) as bookie:
        used = len(os.listdir(f"/proc/{bookie.child.pid}/fd"))
        before = resource.prlimit(bookie.child.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(bookie.child.pid, resource.RLIMIT_NOFILE, (used + rng.randint(0, 4), before[1]))
        cluster.proxy("reset", **{"from": "*", "to": bookie.name})
        yield rng.uniform(1, 5)
        if bookie.is_running():
            resource.prlimit(bookie.child.pid, resource.RLIMIT_NOFILE, before)
        return 1


def bad_inputs(rng):
    head = struct.pack(">BBH", 2, 1, 0)
    body = rng.randbytes(20) + struct.pack(">qqqq", rng.choice([-1, 1, 2**62]), rng.choice([-1, -4096, -8192, -2**63]), -1, 5)
    return [rng.randbytes(rng.randint(1, 200)), b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\0",
            struct.pack(">I", 5_000_000) + b"x" * rng.randint(0, 1000), struct.pack(">I", 4 + len(body)) + head + body,
            struct.pack(">I", 4) + struct.pack(">BBH", 2, rng.choice([4, 5, 6, 200]), 0),
            struct.pack(">I", 20) + struct.pack(">BBHqq", rng.choice([0, 1, 2, 3, 255]), 2, 0, -1, -1),
            struct.pack(">I", 30) + b"\x0a" + rng.randbytes(29)]


@nemesis("N29", "intruder", weight=2)
def intruder(cluster, rng):
    strikes = 0
    for _ in range(rng.randint(5, 30)):
        bookie = rng.choice(cluster.bookies)
        try:
            with socket_in(bookie.network.descriptor) as sock:
                sock.settimeout(0.05)
                sock.connect(("127.0.0.1", 3181))
                sock.sendall(rng.choice(bad_inputs(rng)))
                strikes += 1
                sock.recv(1000)
        except OSError:
            pass
        yield rng.uniform(0, 0.2)
    return strikes


# --- System calls, by a tracer.

CALLS = "pwrite64,pwritev2,fdatasync,fsync,rename,renameat,renameat2,openat,unlink,ftruncate,fallocate"


@nemesis("N19", "system call", needs=["system calls"], weight=4)
def system_call(cluster, rng):
    with engage(rng, cluster.bookies, running) as bookie:
        bookie.end()
        call = rng.choice(["pwrite64", "pwrite64", "pwrite64", "fdatasync", "fsync", "rename", "openat", "unlink", "ftruncate",
                           "fallocate"])
        what = rng.choice(["signal=SIGKILL", "signal=SIGKILL", f"error={rng.choice(['EIO', 'ENOSPC'])}"])
        nth = int(10 ** rng.uniform(0, 2.5))
        trace = cluster.lab.path("logs", f"strace-{bookie.name}")
        # Without io_uring, whose work no tracer sees, the bookie uses plain calls from threads.
        bookie.start("strace", "-f", "-qq", "-o", trace, "-e", f"trace={CALLS},io_uring_setup",
                     "-e", "inject=io_uring_setup:error=ENOSYS", "-e", f"inject={call}:{what}:when={nth}")
        cluster.lab.record("inject", bookie=bookie.name, call=call, what=what, nth=nth)
        end = time.monotonic() + rng.uniform(3, 8)
        while time.monotonic() < end and bookie.is_running():
            yield 0.1
        bookie.end()
        with open(trace, encoding="utf-8", errors="replace") as file:
            strikes = sum("(INJECTED)" in line and "io_uring" not in line or "killed by SIGKILL" in line for line in file)
        os.unlink(trace)
        yield rng.uniform(0, 1)
        bookie.start()
        return 1 if strikes else 0


# --- The metadata store.

@nemesis("N20", "store down", needs=["zookeeper"], weight=4)
def store_down(cluster, rng):
    store = cluster.store
    if rng.random() < 0.5:
        store.child.signal(signal.SIGSTOP)
        yield rng.choice([rng.uniform(0.2, 2), rng.uniform(4, 10)])
        store.child.signal(signal.SIGCONT)
        return 1
    store.child.kill()
    yield rng.uniform(0, 6)
    if not store.child.is_running():
        store.start()
    return 1


@nemesis("N21", "store reply lost", needs=["zookeeper"], weight=4)
def store_reply(cluster, rng):
    effects = Effects(cluster, "frames reset")
    for _ in range(rng.randint(1, 3)):
        cluster.proxy("rule", **{"from": "*", "to": "zk"}, direction=rng.choice(["in", "in", "out"]),
                      operation=rng.choice(["create", "set", "set", "multi", "delete", "*"]), nth=rng.randint(1, 3), act="reset")
    yield rng.uniform(2, 6)
    return effects.since()


@nemesis("N22", "session expiry", needs=["zookeeper"], weight=3)
def expiry(cluster, rng):
    sessions = cluster.store.sessions()
    strikes = 0
    for session in rng.sample(sessions, min(len(sessions), rng.randint(1, 3))):
        strikes += close_session(cluster.store, session)
        yield rng.uniform(0, 2)
    return strikes


def java_random_bytes(seed, count):
    """java.util.Random(seed).nextBytes(): the server makes passwords of it."""
    state = (seed ^ 0x5DEECE66D) & ((1 << 48) - 1)
    data = b""
    while len(data) < count:
        state = (state * 0x5DEECE66D + 0xB) & ((1 << 48) - 1)
        data += struct.pack("<I", state >> 16)
    return data[:count]


def close_session(store, session):
    """Attaches to somebody's session and closes it; its owner does not know. Gives whether the server did so."""
    password = java_random_bytes(session ^ 0xB3415C00, 16)
    request = struct.pack(">iqiqi", 0, 0, 10_000, session, 16) + password + b"\0"
    close = struct.pack(">ii", 1, -11)
    try:
        with store.connect() as sock:
            sock.sendall(struct.pack(">i", len(request)) + request + struct.pack(">i", len(close)) + close)
            answer = sock.recv(4096)
            return len(answer) >= 20 and struct.unpack_from(">q", answer, 12)[0] == session
    except OSError:
        return False
