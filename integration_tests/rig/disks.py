"""A bookie's disk: an ext4 file system on a loop device over a file in memory, and what can go wrong with it."""
import ctypes
import errno
import fcntl
import os
import random
import re
import subprocess
import time

EXT4_IOC_SHUTDOWN = 0x8004587d
GOING_DOWN_WITHOUT_FLUSH = 2
FIFREEZE, FITHAW = 0xc0045877, 0xc0045878
BLOCK_BYTES = 4096
UNMOUNT_S = 20
DISK_BYTES = 192 << 20


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


class PlainDirectory:
    """Where there are no loop devices: a directory in memory. Only processes can die on it."""

    has_device = False

    def __init__(self, lab, name):
        self.path = os.path.join(lab.memory, name)
        os.makedirs(self.path)


class Disk:
    has_device = True

    def __init__(self, lab, name, thin_bytes=0):
        """`thin_bytes`: the image can really hold only so much, and syncs fail beyond."""
        self._lab = lab
        self.name = name
        self.path = lab.path("disks", name)
        self.is_frozen = False
        self._home = lab.memory
        if thin_bytes:
            self._home = lab.path("thin", name)
            os.makedirs(self._home)
            run("mount", "-t", "tmpfs", "-o", f"size={thin_bytes}", f"thin-{name}", self._home)
        self.image = os.path.join(self._home, f"{name}.img")
        os.makedirs(self.path)
        with open(self.image, "wb") as image:
            image.truncate(DISK_BYTES)
        options = ["-O", "^has_journal"] if thin_bytes else []
        run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK_BYTES), "-E", "nodiscard,lazy_itable_init=1", *options, self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop,nodiscard", self.image, self.path)
        self.device = re.search(rf"^(\S+) {re.escape(self.path)} ", open("/proc/mounts").read(), re.M).group(1)
        self._lab.record("mount", disk=self.name, device=self.device)

    def unmount(self):
        give_up = time.monotonic() + UNMOUNT_S
        while subprocess.run(["umount", self.path], capture_output=True, check=False).returncode != 0:
            if time.monotonic() > give_up:
                raise OSError(errno.EBUSY, "somebody holds", self.path)
            time.sleep(0.02)  # a traced program ends a little later than its tracer
        self._lab.record("unmount", disk=self.name)

    def _ioctl(self, request, value):
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, request, value)
        finally:
            os.close(descriptor)

    # --- Power.

    def cut_power(self):
        """From here on nothing reaches the device; what the kernel had not written is lost. Then: kill, unmount, mount."""
        self._ioctl(EXT4_IOC_SHUTDOWN, ctypes.c_uint32(GOING_DOWN_WITHOUT_FLUSH))
        self._lab.record("power cut", disk=self.name)

    def restore_power(self):
        self.unmount()
        self.mount()

    # --- Hanging.

    def freeze(self):
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            self._lab.warden.note_frozen(descriptor)  # first: from now on somebody thaws it, whatever becomes of us
            fcntl.ioctl(descriptor, FIFREEZE, 0)
        finally:
            os.close(descriptor)
        self.is_frozen = True
        self._lab.record("freeze", disk=self.name)

    def thaw(self):
        if not self.is_frozen:
            return
        try:
            self._ioctl(FITHAW, 0)
        except OSError as error:
            if error.errno != errno.EINVAL:  # the warden was faster
                raise
        self.is_frozen = False
        self._lab.warden.note_thawed()
        self._lab.record("thaw", disk=self.name)

    # --- Space.

    def free_bytes(self):
        state = os.statvfs(self.path)
        return state.f_bavail * state.f_frsize

    def fill(self, leave_bytes=0):
        size = self.free_bytes() - leave_bytes
        with open(os.path.join(self.path, "filler"), "wb") as filler:
            if size > 0:
                os.posix_fallocate(filler.fileno(), 0, size - size // 64)
            try:
                while self.free_bytes() > leave_bytes:  # what is left beside the maps of the large one
                    filler.seek(0, os.SEEK_END)
                    filler.write(bytes(BLOCK_BYTES))
                    filler.flush()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        self._lab.record("full", disk=self.name, free_bytes=self.free_bytes())

    def empty(self):
        filler = os.path.join(self.path, "filler")
        if os.path.exists(filler):
            os.unlink(filler)
            descriptor = os.open(self.path, os.O_RDONLY)
            os.fsync(descriptor)  # else the next power cut brings it back
            os.close(descriptor)
        self._lab.record("space again", disk=self.name, free_bytes=self.free_bytes())

    def starve_device(self):
        """Of a thin disk: what holds the image is filled up, so that the next new block cannot be written."""
        path = os.path.join(self._home, "filler")
        with open(path, "wb") as filler:
            try:
                while True:
                    os.write(filler.fileno(), bytes(1 << 20))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        self._lab.record("device starved", disk=self.name)

    def feed_device(self):
        path = os.path.join(self._home, "filler")
        if os.path.exists(path):
            os.unlink(path)
        self._lab.record("device fed", disk=self.name)

    # --- Damage.

    def files(self):
        found = []
        for directory, _, names in os.walk(self.path):
            found += [os.path.join(directory, name) for name in names if name != "filler"]
        return sorted(found)

    def rot(self, path, rng):
        """Flips bits of one used block of the file, on the device, under the running system. Gives where, or None."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            extents = file_extents(path)
            if not extents:
                return None
            logical, physical, count = rng.choice(extents)
            block = rng.randrange(count)
            with open(self.image, "r+b") as image:
                image.seek((physical + block) * BLOCK_BYTES)
                old = bytearray(image.read(BLOCK_BYTES))
                used = [at for at in range(BLOCK_BYTES) if old[at]]
                if not used:
                    return None  # nothing was written there
                for at in rng.sample(used, min(len(used), rng.randint(1, 8))):
                    old[at] ^= 1 << rng.randrange(8)
                image.seek((physical + block) * BLOCK_BYTES)
                image.write(old)
            run("blockdev", "--flushbufs", self.device)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
        self._lab.record("rot", disk=self.name, file=os.path.relpath(path, self.path), block=logical + block)
        return logical + block


def file_extents(path):
    """(block of the file, block of the device, how many) of all that is allocated and written."""
    listed = run("filefrag", "-v", f"-b{BLOCK_BYTES}", path)
    extents = []
    for line in listed.splitlines():
        match = re.match(r"\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.\s*(\d+):\s*(\d+):(.*)", line)
        if match and "unwritten" not in match.group(6) and "inline" not in match.group(6):
            extents.append((int(match.group(1)), int(match.group(3)), int(match.group(5))))
    return extents


def random_file(disk, rng, pattern):
    chosen = [path for path in disk.files() if re.search(pattern, path) and os.path.getsize(path) > 0]
    return rng.choice(chosen) if chosen else None


def cut_file(disk, path, rng):
    """While nobody uses it: truncates, removes or zeroes a file."""
    size = os.path.getsize(path)
    kind = rng.choice(["truncate", "remove", "zero"])
    if kind == "remove":
        os.unlink(path)
    elif kind == "truncate":
        os.truncate(path, rng.randrange(size))
    else:
        with open(path, "r+b") as file:
            at = rng.randrange(size)
            file.seek(at)
            file.write(bytes(min(size - at, rng.randint(1, 64 * 1024))))
    return kind


def random_of(seed, label):
    return random.Random(f"{seed}/{label}")
