"""A cluster of real processes: bookies on disks of their own, a metadata store, applications, and a proxy between all.

Each node has a network of its own. A bookie listens there and says that it is at 127.0.1.<number>: in the network of each
application that address is a listening socket of the proxy, so who calls whom is known by construction.
"""
import os
import re
import signal
import subprocess
import sys
import time

from disks import Disk, PlainDirectory
from lab import Child, Network
from namespaces import socket_in
from proxy import ProxyControl

BOOKIE_PORT = 3181
ZOOKEEPER_PORT = 2181
PATIENCE_S = 60
RESTART_AFTER_S = 0.5
CALLS_PER_PROCESS = 1_000_000_000  # numbers, as the driver has it
HERE = os.path.dirname(os.path.abspath(__file__))


# A bookie whose syncs do nothing (those of its first start do): what the rig must find.
LIAR = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,io_uring_setup",
        "-e", "inject=io_uring_setup:error=ENOSYS", "-e", "inject=fsync,fdatasync:retval=0"]


class Gone(Exception):
    """Something that must serve does not."""


def wait_until(what, condition, seconds=PATIENCE_S):
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise Gone(f"waited {seconds} s for {what}")
        time.sleep(0.02)


class Bookie:
    def __init__(self, cluster, number, disk):
        self.cluster = cluster
        self.number = number
        self.name = f"b{number}"
        self.address = f"127.0.1.{number}"
        self.network = Network()
        self.disk = disk
        self.child = None
        self.is_wanted = False    # somebody ended it on purpose when not
        self.is_engaged = False   # a nemesis works on it
        # Something of its disk was destroyed, or its device may at any time have no room: it may refuse to start.
        self.is_damaged = number == cluster.shape.victim and cluster.shape.is_victim_thin
        self.starts = self.own_ends = 0
        self.restart_at = None
        self.log = cluster.lab.path("logs", self.name)
        self.ready_file = cluster.lab.path("memory", f"ready-{self.name}")

    def start(self, *prefix):
        if os.path.exists(self.ready_file):
            os.unlink(self.ready_file)
        shape = self.cluster.shape
        if shape.is_canary and self.starts > 0 and not prefix:
            prefix = LIAR
        argv = [self.cluster.programs.stele, "bookie", "--metadata", self.cluster.metadata, "--data", self.disk.path,
                "--port", str(BOOKIE_PORT), "--ready-file", self.ready_file, "--set", f"bookieId={self.name}",
                "--set", f"advertisedAddress={self.address}"]
        for key, value in shape.bookie_settings.items():
            argv += ["--set", f"{key}={value}"]
        self.child = Child(self.cluster.lab, self.name, [*prefix, *argv], self.network.descriptor, self.log)
        self.is_wanted = True
        self.restart_at = None
        self.starts += 1

    def is_running(self):
        return self.child is not None and self.child.is_running()

    def stop(self):
        """As a service manager does; it may take its time, and stays down until somebody starts it."""
        self.is_wanted = False
        self.child.signal(signal.SIGTERM)

    def is_ready(self):
        return self.is_running() and os.path.exists(self.ready_file)

    def end(self):
        """kill -9, and stays down until somebody starts it."""
        self.is_wanted = False
        if self.child is not None:
            self.child.kill()

    def look_after(self):
        """What a service manager does: starts again what ended by itself. Says what it saw."""
        if not self.is_wanted or self.is_running() or self.is_engaged:
            return None
        now = time.monotonic()
        if self.restart_at is None:
            self.restart_at = now + RESTART_AFTER_S
            self.own_ends += 1
            self.cluster.lab.record("ended by itself", bookie=self.name, code=self.child.exit_code())
            return self.child.exit_code()
        if now >= self.restart_at:
            self.start()
        return None


class Application:
    """A driver process in a network of its own."""

    def __init__(self, cluster, role, number, **arguments):
        self.cluster = cluster
        self.role = role
        self.name = f"{role}-{number}"
        self.is_engaged = False
        self.is_dead = False
        network = cluster.new_caller(self.name)
        settings = {"metadata": cluster.metadata, "history": cluster.lab.path("history", self.name), "process": self.name,
                    "first_number": number * CALLS_PER_PROCESS + 1, **arguments}
        argv = [cluster.programs.driver, role] + [f"{key}={value}" for key, value in settings.items()]
        self.child = Child(cluster.lab, self.name, argv, network.descriptor, cluster.lab.path("logs", self.name), pipes=True)
        os.set_blocking(self.child.stdout.fileno(), False)
        self._unread = b""
        self.reports = []  # of a recoverer
        self.ledgers = []  # of a writer

    def listen(self):
        """Takes in what it has printed since; gives the ledgers that it has made meanwhile."""
        try:
            self._unread += self.child.stdout.read() or b""
        except BlockingIOError:
            pass
        *whole, self._unread = self._unread.split(b"\n")
        lines = [line.decode() for line in whole]
        self.reports += [line for line in lines if line.startswith(("recovered ", "gone ", "failed "))]
        made = [int(line.split()[1]) for line in lines if line.startswith("ledger ")]
        self.ledgers += made
        return made

    def tell(self, line):
        try:
            self.child.stdin.write(line.encode() + b"\n")
            self.child.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def quit(self):
        self.tell("quit")

    def crash(self):
        """kill -9. Its calls never end."""
        self.child.kill()
        self.cluster.ledgers += self.listen()
        self.is_dead = True
        self.cluster.mark(f"{self.name} - crash")


class Programs:
    def __init__(self, stele, driver, checker):
        self.stele, self.driver, self.checker = (os.path.abspath(path) for path in (stele, driver, checker))


class Cluster:
    def __init__(self, lab, programs, shape):
        self.lab = lab
        self.programs = programs
        self.shape = shape
        self.applications = []
        self.ledgers = []
        self.violations = []  # seen by those who act on it
        self._application_count = 0
        for directory in ("logs", "history", "disks", "thin"):
            os.makedirs(lab.path(directory), exist_ok=True)
        self._marks = open(lab.path("history", "supervisor"), "a", buffering=1, encoding="utf-8")
        control = f"@proxy-{shape.seed}"
        self._proxy_process = Child(lab, "proxy", [sys.executable, os.path.join(HERE, "proxy.py"), control],
                                    output=lab.path("logs", "proxy"))
        wait_until("the proxy", lambda: ProxyControl.is_there(control))
        self.proxy = ProxyControl(control)
        self.store = None
        if shape.metadata == "zookeeper":
            self.store = ZooKeeper(self)
            self.metadata = f"zk+hierarchical://127.0.0.1:{ZOOKEEPER_PORT}/ledgers"
        else:
            self.metadata = f"sqlite://{lab.path('memory', 'metadata.db')}"
        self.bookies = [Bookie(self, number, self._new_disk(number)) for number in range(1, shape.bookies + 1)]
        for bookie in self.bookies:
            self._connect_store(bookie.name, bookie.network)
        self._admin = self.new_caller("admin")
        self.ask([programs.stele, "cluster", "init", "--metadata", self.metadata])
        for bookie in self.bookies:
            bookie.start()
        wait_until("the bookies", lambda: all(bookie.is_ready() for bookie in self.bookies))

    def _new_disk(self, number):
        if not self.shape.has_disks:
            return PlainDirectory(self.lab, f"b{number}")
        thin = self.shape.thin_bytes if number == self.shape.victim and self.shape.is_victim_thin else 0
        return Disk(self.lab, f"b{number}", thin)

    def _connect_store(self, name, network):
        if self.store is not None:
            self._pair(name, network, "zk", "zookeeper", "127.0.0.1", ZOOKEEPER_PORT, self.store.network)

    def _pair(self, caller, network, called, kind, address, port, to):
        listener = network.listen(address, port)
        self.proxy("pair", [listener.fileno(), to.descriptor],
                   **{"from": caller, "to": called, "kind": kind, "port": port})
        listener.close()

    def ask(self, command):
        """What a command prints that an administrator gives."""
        output = self.lab.path("memory", "answer")
        child = Child(self.lab, " ".join(command[1:3]), command, self._admin.descriptor, output)
        if not child.wait(PATIENCE_S) or child.exit_code() != 0:
            raise Gone(f"{' '.join(command[1:])}: exit code {child.exit_code()}")
        with open(output, encoding="utf-8") as file:
            answer = file.read()
        os.unlink(output)
        return answer

    # --- Who calls.

    def new_caller(self, name):
        network = Network()
        self._connect_store(name, network)
        for bookie in getattr(self, "bookies", []):
            self._pair(name, network, bookie.name, "bookie", bookie.address, BOOKIE_PORT, bookie.network)
        return network

    def start_application(self, role, **arguments):
        self._application_count += 1
        application = Application(self, role, self._application_count, **arguments)
        self.applications.append(application)
        for ledger in self.ledgers[-20:] if role != "recoverer" else []:
            application.tell(f"ledger {ledger}")
        return application

    def order_recovery(self, ledgers):
        """Somebody takes these over from whoever writes them."""
        for application in self.applications:
            if application.role == "recoverer" and not application.is_dead:
                for ledger in ledgers:
                    application.tell(f"ledger {ledger}")

    # --- What goes on.

    def mark(self, text):
        """A line of the history that is no call."""
        print(time.monotonic_ns(), text, file=self._marks)

    def look_around(self):
        """Passes news between the processes; restarts what ended. Gives (who, exit code) of what ended by itself."""
        ended = []
        for bookie in self.bookies:
            code = bookie.look_after()
            if code is not None:
                ended.append((bookie.name, code))
        for application in self.applications:
            if application.is_dead:
                continue
            for ledger in application.listen():
                self.ledgers.append(ledger)
                for reader in self.applications:
                    if reader.role in ("tailer", "reader", "deleter"):
                        reader.tell(f"ledger {ledger}")
        return ended

    def heal(self):
        """Everything that can be made well again is."""
        self.proxy("calm")
        if self.store is not None:
            self.store.heal()
        for application in self.applications:
            application.child.signal(signal.SIGCONT)
        for bookie in self.bookies:
            if bookie.disk.has_device:
                bookie.disk.thaw()
            if bookie.child is not None:
                bookie.child.signal(signal.SIGCONT)
            bookie.is_engaged = False
            if not bookie.is_running():
                bookie.start()

    def wait_until_well(self, seconds=PATIENCE_S):
        """All bookies serve; one whose disk was damaged may refuse to. Gives the names of those that do not."""
        def is_well():
            self.look_around()
            return all(bookie.is_ready() for bookie in self.bookies if not bookie.is_damaged)

        wait_until("the bookies after all faults were healed", is_well, seconds)
        return [bookie.name for bookie in self.bookies if not bookie.is_ready()]

    def stop(self):
        """Ends all processes and gives the disks back."""
        for application in self.applications:
            application.child.kill()
        for bookie in self.bookies:
            if bookie.disk.has_device:
                bookie.disk.thaw()
            bookie.end()
        if self.store is not None:
            self.store.child.kill()
        self.proxy.close()
        self._proxy_process.kill()
        for bookie in self.bookies:
            if bookie.disk.has_device:
                bookie.disk.unmount()


class ZooKeeper:
    """Debian's server, standalone."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.network = Network()
        self.child = None
        config = cluster.lab.path("zoo.cfg")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"dataDir={cluster.lab.path('memory', 'zookeeper')}\nclientPort={ZOOKEEPER_PORT}\n"
                       f"clientPortAddress=127.0.0.1\ntickTime=500\nmaxClientCnxns=0\nadmin.enableServer=false\n"
                       "4lw.commands.whitelist=*\n")
        self._argv = ["/usr/bin/java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx256m", "-cp",
                      "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
                      "org.apache.zookeeper.server.ZooKeeperServerMain", config]
        self.start()
        wait_until("ZooKeeper", lambda: b"Mode: standalone" in self.ask(b"srvr"))

    def start(self):
        self.child = Child(self.cluster.lab, "zk", self._argv, self.network.descriptor, self.cluster.lab.path("logs", "zk"))

    def heal(self):
        if self.child.is_running():
            self.child.signal(signal.SIGCONT)
        else:
            self.start()

    def connect(self):
        """A socket to the server, past the proxy."""
        sock = socket_in(self.network.descriptor)
        sock.settimeout(1)
        sock.connect(("127.0.0.1", ZOOKEEPER_PORT))
        return sock

    def ask(self, word):
        """The answer to a four-letter command; empty when there is none."""
        try:
            with self.connect() as sock:
                sock.sendall(word)
                answer = b""
                while True:
                    part = sock.recv(65536)
                    if not part:
                        return answer
                    answer += part
        except OSError:
            return b""

    def sessions(self):
        """Ids of the sessions that live."""
        return [int(found, 16) for found in re.findall(rb"sid=0x([0-9a-f]+)", self.ask(b"cons"))]


def has_zookeeper():
    return os.path.exists("/usr/share/java/zookeeper.jar") and os.path.exists("/usr/bin/java")


def version_of(program):
    return subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout.strip()
