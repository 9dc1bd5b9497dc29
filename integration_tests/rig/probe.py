"""Which of the ways to break things work on this machine. Each is tried, not looked up."""
import os
import shutil
import subprocess
import time
import zlib

from disks import Disk
from cluster import has_zookeeper


# Of a group that nobody is in: whoever made it is gone.
STALE_GROUP_S = 3600


class Throttle:
    """A block-device limit for chosen processes (control groups, version 1). The group is there while somebody is slowed."""

    def __init__(self, lab):
        self._root = lab.path("blkio")
        os.makedirs(self._root, exist_ok=True)
        subprocess.run(["mount", "-t", "cgroup", "-o", "blkio", "blkio", self._root], check=True, capture_output=True)
        self._group = os.path.join(self._root, f"stele-rig-{zlib.crc32(lab.directory.encode()):08x}")
        self.is_used = False
        for name in os.listdir(self._root):
            group = os.path.join(self._root, name)
            if name.startswith("stele-rig-") and time.time() - os.stat(group).st_mtime > STALE_GROUP_S:
                self._remove(group)

    @staticmethod
    def _remove(group):
        try:
            os.rmdir(group)
        except OSError:
            pass  # somebody is in it

    def _write(self, name, text):
        with open(os.path.join(self._group, name), "w", encoding="utf-8") as file:
            file.write(text)

    def slow(self, disk, pid, bytes_per_second, operations_per_second):
        self.is_used = True
        os.makedirs(self._group, exist_ok=True)
        device = os.stat(disk.device).st_rdev
        number = f"{os.major(device)}:{os.minor(device)}"
        self._write("blkio.throttle.write_bps_device", f"{number} {bytes_per_second}")
        self._write("blkio.throttle.write_iops_device", f"{number} {operations_per_second}")
        for thread in os.listdir(f"/proc/{pid}/task"):
            self._write("tasks", thread)

    def release(self):
        self.is_used = False
        with open(os.path.join(self._group, "tasks"), encoding="utf-8") as file:
            threads = file.read().split()
        for thread in threads:
            try:
                with open(os.path.join(self._root, "tasks"), "w", encoding="utf-8") as file:
                    file.write(thread)
            except OSError:
                pass  # it ended
        self._remove(self._group)


class Mechanisms:
    """name -> "" when it works, else why not."""

    def __init__(self, lab):
        self.why_not = {}
        self.throttle = None
        self._lab = lab
        os.makedirs(lab.path("disks"), exist_ok=True)
        os.makedirs(lab.path("thin"), exist_ok=True)
        disk = self._try("disks", lambda: Disk(lab, "probe"))
        for name, trial in (("power cut", self._power_cut), ("hung disk", self._hung_disk), ("rot", self._rot),
                            ("slow disk", self._slow_disk)):
            if disk is None:
                self.why_not[name] = "no disks"
            else:
                self._try(name, lambda trial=trial: trial(disk))
        if disk is not None:
            disk.unmount()
        self._try("thin disk", self._thin_disk)
        self._try("system calls", self._system_calls)
        self.why_not["zookeeper"] = "" if has_zookeeper() else "the package zookeeper is not installed"

    def works(self, name):
        return self.why_not.get(name) == ""

    def _try(self, name, trial):
        try:
            result = trial()
            self.why_not[name] = ""
            return result
        except (OSError, subprocess.CalledProcessError, AssertionError, AttributeError) as error:
            detail = getattr(error, "stderr", None)
            self.why_not[name] = (str(detail).strip() if detail else "") or str(error) or type(error).__name__
            return None

    @staticmethod
    def _power_cut(disk):
        with open(f"{disk.path}/synced", "wb") as file:
            file.write(b"kept")
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(disk.path, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        with open(f"{disk.path}/unsynced", "wb") as file:
            file.write(b"lost")
        disk.cut_power()
        disk.restore_power()
        assert open(f"{disk.path}/synced", "rb").read() == b"kept", "synced bytes are gone"
        assert not os.path.exists(f"{disk.path}/unsynced"), "unsynced bytes are still there"

    @staticmethod
    def _hung_disk(disk):
        disk.freeze()
        writer = subprocess.Popen(["dd", "if=/dev/zero", f"of={disk.path}/hung", "bs=4096", "count=1", "conv=fsync"],
                                  stderr=subprocess.DEVNULL)
        time.sleep(0.2)
        is_blocked = writer.poll() is None
        disk.thaw()
        writer.wait()
        assert is_blocked, "writes went on"

    @staticmethod
    def _rot(disk):
        import random
        path = f"{disk.path}/rotten"
        with open(path, "wb") as file:
            file.write(b"x" * 8192)
        assert disk.rot(path, random.Random(1)) is not None, "no block of the file was found"
        assert open(path, "rb").read() != b"x" * 8192, "the damage is not seen"

    def _slow_disk(self, disk):
        self.throttle = Throttle(self._lab)
        writer = subprocess.Popen(["sh", "-c", f"read go && dd if=/dev/zero of={disk.path}/slow bs=4096 count=10 "
                                   "oflag=direct,dsync"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.throttle.slow(disk, writer.pid, 1 << 20, 10)
        started = time.monotonic()
        writer.communicate(b"go\n")
        took = time.monotonic() - started
        self.throttle.release()
        assert took > 0.5, "writes were not slowed"

    def _thin_disk(self):
        disk = Disk(self._lab, "thin-probe", thin_bytes=16 << 20)
        try:
            disk.starve_device()
            with open(f"{disk.path}/lost", "wb") as file:
                file.write(b"x" * (8 << 20))
                file.flush()
                try:
                    os.fsync(file.fileno())
                    raise AssertionError("the sync did not fail")
                except OSError:
                    pass
        finally:
            disk.feed_device()
            disk.unmount()
            subprocess.run(["umount", disk._home], check=True)

    @staticmethod
    def _system_calls():
        if shutil.which("strace") is None:
            raise OSError("the package strace is not installed")
        ended = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync",
                                "-e", "inject=fsync:error=EIO:when=1", "dd", "if=/dev/zero", "of=/dev/shm/.rig-probe", "count=1",
                                "conv=fsync"], capture_output=True, check=False)
        if os.path.exists("/dev/shm/.rig-probe"):
            os.unlink("/dev/shm/.rig-probe")
        assert ended.returncode == 1, "no error was injected"
