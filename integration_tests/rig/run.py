"""One run: a cluster by a seed, faults by the same seed, and the verdict of those who remember everything."""
import os
import random
import re
import subprocess
import time
from collections import Counter

from cluster import Cluster, Gone
from namespaces import socket_in
from nemeses import NEMESES, Engaged
from prober import Prober
from raw_client import BookieConnection, Digest, read_back

PASSWORD = b"rig"
WARM_UP_S = 1.5
FAULTS_AT_ONCE = 3
MUST_S = 60           # so much longer faults go on until those that must take effect did
SETTLE_S = 1.0
QUIT_S = 150          # a driver waits 120 s for its calls
# After everything is healed all must succeed again within this time.
RECOVERY_S = 60
PATIENT_TIMEOUT_MS = 5000  # as clients have it who want no faults
# No call takes longer, whatever is broken (a pause of its process included); a tail waits for as long as it takes.
CALL_MAX_S = 60
# Below these a run has shown nothing.
APPENDS_MIN, READS_MIN = 100, 20
# A restart of a bookie whose disk was not touched should be rare after the faults: this is a crash loop.
OWN_ENDS_MAX = 20
DIGEST_BUDGET_BYTES = 1 << 20
PROBER_NUMBERS = 1 << 60  # far from those of the drivers
ABORTED = (-6, 134)


class Shape:
    """What a run is like, all of it drawn from the seed."""

    def __init__(self, seed, works, only, seconds, is_canary=False, must=(), settings=None):
        rng = random.Random(f"{seed}/shape")
        self.seed = seed
        self.seconds = seconds
        self.is_canary = is_canary
        self.must = [NEMESES[number] for number in must if all(works(need) for need in NEMESES[number].needs)]
        self.has_disks = works("disks")
        self.replication = rng.choice([(3, 3, 2), (3, 3, 2), (3, 3, 2), (3, 2, 2), (4, 3, 2), (3, 3, 3), (2, 2, 2), (5, 3, 2)])
        self.bookies = max(self.replication[0], rng.choice([3, 4, 4, 5])) + (rng.random() < 0.5)
        self.metadata = "zookeeper" if works("zookeeper") and rng.random() < 0.5 else "sqlite"
        self.digest = rng.choice(["crc32", "crc32", "crc32c", "mac"])
        self.bookie_settings = {
            "flushInterval": rng.choice([100, 500, 2000, 10000]), "journalMaxSizeMB": rng.choice([6, 8, 16]),
            "journalMaxBackups": rng.choice([0, 1, 5]), "logSizeLimit": rng.choice([1 << 20, 4 << 20]),
            "skipListSizeLimit": rng.choice([1 << 20, 4 << 20]), "gcWaitTime": rng.choice([500, 2000, 10000]),
            "openFileLimit": rng.choice([2, 16, 512]), "diskCheckInterval": rng.choice([200, 1000]),
            "zkTimeout": rng.choice([3000, 6000]),
            # Compaction whenever garbage is collected, and of nearly everything; or hardly ever.
            "minorCompactionInterval": rng.choice([1, 3600]), "minorCompactionThreshold": "0.7",
            "majorCompactionInterval": rng.choice([2, 7200]), "majorCompactionThreshold": "0.95", **(settings or {})}
        self.client = {"replication": "/".join(map(str, self.replication)), "digest": self.digest,
                       "timeout_ms": rng.choice([500, 1000, 2000]), "delay_ensemble_change": int(rng.random() < 0.25),
                       "explicit_lac_ms": rng.choice([0, 0, 100])}
        self.load = {"entries": rng.choice([50, 400, 2000]), "window": rng.choice([1, 8, 64]),
                     "payload": rng.choice([300, 4096, 20000]), "pause_ms": rng.choice([2, 4, 8])}
        chosen = [nemesis for nemesis in NEMESES.values() if nemesis.number in only] if only else list(NEMESES.values())
        self.nemeses = [nemesis for nemesis in chosen
                        if all(works(need) for need in nemesis.needs if need != "zookeeper" or self.metadata == "zookeeper")
                        and ("zookeeper" not in nemesis.needs or self.metadata == "zookeeper")
                        and (only or rng.random() < 0.5)]
        destroying = [nemesis for nemesis in self.nemeses if nemesis.destroys]
        # One bookie may lose data, never two: the budget of an ack quorum of two.
        self.victim = rng.randint(1, self.bookies) if destroying else 0
        self.is_victim_thin = any(nemesis.number == "N14" for nemesis in destroying)
        self.thin_bytes = 96 << 20
        if not self.nemeses:
            self.nemeses = [NEMESES["N1"]]

    def arguments_of(self, role, rng):
        arguments = dict(self.client, seed=rng.randrange(1 << 30))
        if role.endswith("writer"):
            arguments.update(self.load, threads=2)
        elif role == "tailer":
            arguments["threads"] = 2
        elif role == "recoverer":
            arguments["threads"] = 4
        return arguments

    def __str__(self):
        return (f"{self.bookies} bookies on {self.metadata}, {'/'.join(map(str, self.replication))} {self.digest}, "
                f"{' '.join(nemesis.number for nemesis in self.nemeses)}"
                + (f", b{self.victim} may lose data" if self.victim else ""))


class Result:
    def __init__(self, seed):
        self.seed = seed
        self.applied = Counter()
        self.effects = Counter()
        self.calls = Counter()     # (operation, "ok" | "error" | "pending")
        self.violations = []
        self.notes = []
        self.own_ends = Counter()  # why bookies ended by themselves
        self.longest = {}          # operation -> seconds of the longest call that was answered
        self.memory = Counter()    # "bookie", "application" -> MiB of the largest one at its peak
        self.silence = 0.0         # the longest time in which nobody's append was acknowledged
        self.copies = self.digests = self.adds_found = 0

    def ok(self, *operations):
        return sum(self.calls[operation, "ok"] for operation in operations)


class Run:
    def __init__(self, lab, programs, shape, throttle, say):
        self.lab = lab
        self.programs = programs
        self.shape = shape
        self.result = Result(shape.seed)
        self.rng = random.Random(f"{shape.seed}/faults")
        self._throttle = throttle
        self._say = say
        self.cluster = None
        self._prober = None

    def go(self):
        try:
            self.cluster = Cluster(self.lab, self.programs, self.shape)
            self.cluster.throttle = self._throttle
            self._prober = Prober(self.cluster, self.shape.seed, PROBER_NUMBERS)
            self._start_applications()
            self._torment()
            self._heal()
            self._prober.stop()
            self._reckon("after the faults")
            self._restart_all()
            self._reckon("after a restart of everything")
            self._read_back()
            losses, self.result.adds_found = self._prober.find_losses()
            self.result.violations += losses
            self.cluster.mark("- - end")
        except Gone as gone:
            self.result.violations.append(f"liveness: {gone}")
        self._judge()
        if self._prober is not None:
            self._prober.stop()
        if self.cluster is not None:
            self.cluster.stop()
        return self.result

    def _start_applications(self):
        for role in ("writer", "writer", "caller-id-writer", "deferred-writer", "tailer", "reader", "deleter", "recoverer"):
            self.cluster.start_application(role, **self.shape.arguments_of(role, self.rng))

    # --- Safety: anything may happen, as long as nothing untrue is said.

    def _torment(self):
        start = time.monotonic() + WARM_UP_S
        end = start + self.shape.seconds
        next_fault = start
        active = []  # (when it goes on, nemesis, generator)
        while active or time.monotonic() < end:
            now = time.monotonic()
            self._look_around()
            missing = [nemesis for nemesis in self.shape.must if not self.result.effects[nemesis.number]]
            if missing and now < start + self.shape.seconds + MUST_S:
                end = max(end, now + 1)
            for item in [item for item in active if item[0] <= now]:
                active.remove(item)
                self._step(item[1], item[2], active)
            if now >= next_fault and now < end and len(active) < FAULTS_AT_ONCE:
                next_fault = now + self.rng.expovariate(1.2)
                chosen = self.rng.choice(missing) if missing else self._draw()
                self._step(chosen, chosen.action(self.cluster, self.rng), active, is_first=True)
                if self.rng.random() < 0.3 and self.cluster.ledgers:
                    self.cluster.order_recovery([self.rng.choice(self.cluster.ledgers[-6:])])
            time.sleep(0.02)

    def _draw(self):
        nemeses = self.shape.nemeses
        return self.rng.choices(nemeses, [nemesis.weight for nemesis in nemeses])[0]

    def _step(self, nemesis, generator, active, is_first=False):
        try:
            if is_first:
                self.lab.record("begin", nemesis=nemesis.name)
            wait = next(generator)
            if is_first:
                self.result.applied[nemesis.number] += 1
            active.append((time.monotonic() + wait, nemesis, generator))
        except StopIteration as ended:
            if is_first:
                self.result.applied[nemesis.number] += 1
            self.lab.record("end", nemesis=nemesis.name, effects=ended.value)
            self.result.effects[nemesis.number] += ended.value or 0
        except Engaged:
            pass

    def _look_around(self):
        for name, code in self.cluster.look_around():
            bookie = next(bookie for bookie in self.cluster.bookies if bookie.name == name)
            self.result.own_ends[reason(bookie.log)] += 1
            if code in ABORTED:
                self.result.violations.append(f"{name} aborted: {last_lines(bookie.log, 3)}")
            elif code is not None and code < 0:
                self.result.violations.append(f"{name} died of signal {-code}")

    # --- Liveness: all is well again, so everything must work.

    def _heal(self):
        self.cluster.heal()
        down = self.cluster.wait_until_well()
        if down:
            self.result.notes.append(f"{' '.join(down)} does not start after damage: "
                                     + last_lines(self.cluster.bookies[self.shape.victim - 1].log, 1))
        self._wait(SETTLE_S)
        for kind, processes in (("bookie", self.cluster.bookies), ("application", self.cluster.applications)):
            self.result.memory[kind] = max(peak_mib(process.child.pid) for process in processes)
        applications = [application for application in self.cluster.applications if not application.is_dead]
        for application in applications:
            application.quit()
        give_up = time.monotonic() + QUIT_S
        for application in applications:
            while application.child.is_running() and time.monotonic() < give_up:
                self._wait(0.02)
            code = application.child.exit_code()
            if code in ABORTED:
                self.result.violations.append(f"{application.name} aborted: "
                                              + last_lines(self.lab.path("logs", application.name), 3))
            elif code == 3:
                self.result.violations.append(f"{application.name}: "
                                              + last_lines(self.lab.path("logs", application.name), 1))
            elif code != 0:
                self.result.violations.append(f"{application.name} ended with {code}")
            self.cluster.ledgers += application.listen()

    def _wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._look_around()
            time.sleep(0.02)

    def _reckon(self, when):
        """A client that was not there before recovers and reads everything."""
        self.cluster.mark("- - reckoning")
        left = list(dict.fromkeys(self.cluster.ledgers))
        self.ends = {}
        give_up = time.monotonic() + (0 if self.shape.is_canary else RECOVERY_S)
        failures, gone = {}, set()
        while left:
            patient = dict(self.shape.arguments_of("recoverer", self.rng), timeout_ms=PATIENT_TIMEOUT_MS)
            reader = self.cluster.start_application("recoverer", **patient)
            for ledger in left:
                reader.tell(f"ledger {ledger}")
            reader.quit()
            while reader.child.is_running():
                self._wait(0.02)
                if time.monotonic() > give_up + QUIT_S:
                    raise Gone(f"reading everything {when}: it does not end")
            reader.listen()
            for line in reader.reports:
                word = line.split()
                if word[0] == "recovered":
                    self.ends[int(word[1])] = int(word[2])
                elif word[0] == "gone":
                    gone.add(int(word[1]))  # whether it may be is for the checker to say
                else:
                    failures[int(word[1])] = line
            left = [ledger for ledger in left if ledger not in self.ends and ledger not in gone]
            if left and time.monotonic() > give_up:
                self.result.violations.append(f"liveness: {when} {len(left)} ledgers cannot be recovered and read")
                self.result.violations += [failures.get(ledger, f"ledger {ledger}: the reader ended before it")
                                           for ledger in left[:5]]
                return
            if left:
                self._wait(0.5)

    def _restart_all(self):
        """What is not on the disks is gone now."""
        bookies = [bookie for bookie in self.cluster.bookies if bookie.is_running()]
        for bookie in bookies:
            bookie.is_wanted = False
            if bookie.disk.has_device:
                bookie.disk.cut_power()
        for bookie in bookies:
            bookie.end()
            if bookie.disk.has_device:
                bookie.disk.restore_power()
            bookie.start()
        self.cluster.wait_until_well()

    def _read_back(self):
        connections = {}
        for bookie in self.cluster.bookies:
            if bookie.is_ready():
                connections[bookie.name] = BookieConnection(socket_in(bookie.network.descriptor), ("127.0.0.1", 3181),
                                                            2 if bookie.number % 2 else 3)
        damaged = {bookie.name for bookie in self.cluster.bookies if bookie.is_damaged}
        copies_min = self.shape.replication[2] - len(damaged)
        try:
            findings = read_back(connections, self.ends, self._appended(), Digest(self.shape.digest, PASSWORD), damaged,
                                 copies_min, DIGEST_BUDGET_BYTES)
        except (OSError, ValueError, KeyError, IndexError) as error:
            self.result.violations.append(f"the second client: {error!r}")
            return
        self.result.copies, self.result.digests = findings.copies, findings.digests
        self.result.violations += [f"the second client: {problem}" for problem in findings.problems[:10]]

    # --- The verdict.

    def _history(self):
        """All lines of all processes, in the order of their times. A killed process may have left half a line."""
        lines = []
        for name in os.listdir(self.lab.path("history")):
            with open(self.lab.path("history", name), encoding="utf-8") as file:
                lines += [line for line in file if line.endswith("\n")]
        lines.sort(key=lambda line: int(line[:line.index(" ")]))
        return lines

    def _appended(self):
        """What is acknowledged under which id: the name of its payload as numbers."""
        waiting, appended = {}, {}
        for line in self._history():
            word = line.split()
            if word[3] == "invoke" and word[4] == "append":
                values = dict(part.split("=") for part in word[5:])
                payload = values["payload"].split("/")
                numbers = (int(payload[2]),) if payload[0] == "raw" else tuple(map(int, payload))
                waiting[word[2]] = (int(values["ledger"]), int(values["entry"])), numbers
            elif word[3] == "ok" and word[2] in waiting:
                key, numbers = waiting.pop(word[2])
                appended[key] = numbers
        return appended

    def _judge(self):
        result = self.result
        lines = self._history()
        history = self.lab.path("history.txt")
        with open(history, "w", encoding="utf-8") as file:
            file.writelines(lines)
        self._count(lines)
        checked = subprocess.run([self.programs.checker, history], capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            result.violations += (checked.stdout + checked.stderr).splitlines()[:30]
        for operation, seconds in result.longest.items():
            if seconds > CALL_MAX_S and operation != "tail":
                result.violations.append(f"liveness: a call of {operation} took {seconds:.0f} s")
        if result.ok("append") < APPENDS_MIN or result.ok("read", "tail", "wait") < READS_MIN:
            result.violations.append(f"nothing was shown: {result.ok('append')} appends, "
                                     f"{result.ok('read', 'tail', 'wait')} reads succeeded")
        if self.cluster is not None:
            result.violations += self.cluster.violations
            for bookie in self.cluster.bookies:
                if bookie.own_ends > OWN_ENDS_MAX and not bookie.is_damaged:
                    result.violations.append(f"{bookie.name} ended {bookie.own_ends} times by itself: "
                                             + last_lines(bookie.log, 1))


    def _count(self, lines):
        result, begun, last_ok = self.result, {}, None
        for line in lines:
            word = line.split(None, 5)
            if word[3] == "invoke":
                begun[word[2]] = word[4], int(word[0])
            elif word[3] in ("ok", "error"):
                operation, at = begun.pop(word[2])
                result.calls[operation, word[3]] += 1
                took = (int(word[0]) - at) / 1e9
                result.longest[operation] = max(result.longest.get(operation, 0), took)
                if operation == "append" and word[3] == "ok":
                    if last_ok is not None:
                        result.silence = max(result.silence, (int(word[0]) - last_ok) / 1e9)
                    last_ok = int(word[0])
        for operation, _ in begun.values():
            result.calls[operation, "pending"] += 1


def peak_mib(pid):
    """Of resident memory; 0 of a process that is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return next((int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def reason(log):
    """Why a bookie ended, without what differs from one end to the next."""
    return re.sub(r"/\S*/|\d+", "*", last_lines(log, 1))[:160]


def last_lines(path, count):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return " | ".join(line.strip() for line in file.readlines()[-count:])
    except OSError:
        return "no log"
