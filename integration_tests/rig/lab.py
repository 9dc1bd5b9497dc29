"""A place where things are broken on purpose, and of which nothing is left.

Everything runs inside namespaces of its own: processes, mounts and networks. When the supervisor dies, however it dies, the
kernel kills what it started and takes the mounts and loop devices away. What the kernel cannot do, a warden does: a process
outside, which learns of the supervisor's death by the end of a socket. It thaws file systems that were left frozen (nobody
on them can be killed before), and removes the directory.
"""
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from namespaces import CLONE_NEWNET, enter

FITHAW = 0xc0045878
FREEZE_MAX_S = 120
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


# --- Outside: what starts the supervisor, and what survives it.

def run_inside(program, arguments, directory, keep):
    """Runs `program` as the first process of new namespaces and gives its exit code."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        watch(theirs, directory, keep)
        os._exit(0)
    theirs.close()
    isolate = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child=SIGKILL", "--mount-proc",
               "--propagation", "private"]
    if os.geteuid() != 0:
        isolate[1:1] = ["--user", "--map-root-user"]
    # A signal to the group of the terminal reaches only us: we say how it ends.
    supervisor = subprocess.Popen(
        isolate + [sys.executable, program, "--inside", directory, "--warden", str(ours.fileno())] + arguments,
        pass_fds=[ours.fileno()], preexec_fn=die_with_parent, start_new_session=True)
    ours.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.kill())
    code = supervisor.wait()
    return code if code >= 0 else 128 - code


def watch(supervisor, directory, keep):
    """The warden."""
    frozen = {}  # descriptor -> when it is thawed whatever happens
    while True:
        now = time.monotonic()
        for descriptor in [d for d, end in frozen.items() if end <= now]:
            thaw(descriptor)
            os.close(descriptor)
            del frozen[descriptor]
        supervisor.settimeout(max(min(frozen.values()) - now, 0.01) if frozen else None)
        try:
            message, descriptors, _, _ = socket.recv_fds(supervisor, 4096, 1)
        except TimeoutError:
            continue
        if not message:
            break
        if message == b"frozen":
            frozen[descriptors[0]] = now + FREEZE_MAX_S
        elif message == b"thawed":
            for descriptor in frozen:
                os.close(descriptor)
            frozen.clear()
        elif message == b"keep":
            keep = True
    for descriptor in frozen:
        thaw(descriptor)
        os.close(descriptor)
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)


def thaw(descriptor):
    try:
        fcntl.ioctl(descriptor, FITHAW, 0)
    except OSError:
        pass  # it was thawed before


# --- Inside.

class Child:
    """A process of the lab: in a network namespace of its node, its output in a file, ended with the lab."""

    def __init__(self, lab, name, argv, namespace=None, output=None, pipes=False, environment=None):
        self.name = name
        self._lab = lab

        def prepare():
            if namespace is not None:
                enter(namespace)
            die_with_parent()

        with open(output or os.devnull, "ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE if pipes else subprocess.DEVNULL, stdout=subprocess.PIPE if pipes else log,
                stderr=log, preexec_fn=prepare, start_new_session=True, env=environment)
        self.stdin, self.stdout = self._process.stdin, self._process.stdout
        lab.record("start", process=name, pid=self._process.pid)

    @property
    def pid(self):
        return self._process.pid

    def is_running(self):
        return self._process.poll() is None

    def exit_code(self):
        return self._process.poll()

    def signal(self, number):
        """To the whole group: a traced program has its tracer beside it."""
        self._lab.record("signal", process=self.name, signal=signal.Signals(number).name)
        if self.is_running():
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait(30)

    def wait(self, seconds):
        """Whether it ended in time."""
        try:
            self._process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False


class Warden:
    """How the supervisor speaks to the warden."""

    def __init__(self, descriptor):
        self._socket = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)

    def keep(self):
        """The directory stays: something in it is to be looked at."""
        self._socket.send(b"keep")

    def note_frozen(self, descriptor):
        socket.send_fds(self._socket, [b"frozen"], [descriptor])

    def note_thawed(self):
        self._socket.send(b"thawed")


class Lab:
    """The directory of one run."""

    def __init__(self, directory, warden):
        self.directory = directory
        self.warden = warden
        self.is_kept = False
        self.memory = self.path("memory")
        os.makedirs(self.memory)
        self._actions = open(self.path("actions"), "a", buffering=1, encoding="utf-8")
        # Disk images live here: a sync of theirs costs the machine nothing, and they vanish with the mount.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12g", "memory", self.memory], check=True)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def record(self, action, **what):
        print(json.dumps({"t": round(time.monotonic(), 6), "action": action, **what}), file=self._actions)

    def keep(self):
        self.is_kept = True
        self.warden.keep()

    def close(self):
        """All processes of it have ended."""
        self._actions.close()
        for mount in reversed(mounts_below(self.directory)):
            subprocess.run(["umount", "--lazy", mount], check=False)
        if not self.is_kept:
            shutil.rmtree(self.directory)


def mounts_below(directory):
    with open("/proc/mounts", encoding="utf-8") as mounts:
        points = [line.split()[1] for line in mounts]
    return [point for point in points if point.startswith(directory + "/")]


def bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(sock, SIOCGIFFLAGS, request))
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


class Network:
    """A network namespace: the loopback interface of one node, where all of 127.0.0.0/8 is its own."""

    def __init__(self):
        made = []
        # The namespace belongs to the thread that makes it; the descriptor keeps it.
        thread = threading.Thread(target=self._make, args=(made,))
        thread.start()
        thread.join()
        (self.descriptor,) = made

    @staticmethod
    def _make(made):
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        bring_loopback_up()
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    def listen(self, address, port):
        """A listening socket in here."""
        listeners = []

        def make():
            enter(self.descriptor)
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(128)
            listeners.append(listener)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return listeners[0]
