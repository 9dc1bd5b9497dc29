#!/usr/bin/env python3
"""The page of the admin port in a real browser: a small cluster of real processes, one of which is killed, and what the page
must show of it, at the width of a desk and of a phone.

Usage: console_test.py STELE [--screenshots DIRECTORY]
"""
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

WAIT_SECONDS = 60
EVIL = "<img src=x onerror=document.title='owned'>"  # the name of who looks
EVIL_BOOKIE = "b<script>document.title=1<"  # the characters of a bookie's id


class Processes:
    """What was started, which ends with it."""

    def __init__(self, directory):
        self.directory, self.running = directory, {}

    def start(self, name, *argv, env=None):
        with open(os.path.join(self.directory, f"log-{name}"), "ab") as log:
            self.running[name] = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env,
                                                  start_new_session=True)

    def kill(self, name):
        process = self.running.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def kill_all(self):
        for name in list(self.running):
            self.kill(name)

    def log(self, name):
        with open(os.path.join(self.directory, f"log-{name}"), encoding="utf-8", errors="replace") as file:
            return file.read()


def wait_for(what, look):
    """The first answer of `look` that is not false. Ends the test when there is none in time."""
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError, urllib.error.URLError):
            found = look()
            if found:
                return found
        time.sleep(0.05)
    raise AssertionError(f"waited too long for {what}")


class Browser:
    """A headless Chromium, by WebDriver."""

    def __init__(self, processes):
        # It makes a socket there: the path of a test's own directory may be too long for that.
        self.directory = directory = tempfile.mkdtemp(prefix="stele-", dir="/tmp")
        env = dict(os.environ, HOME=directory, TMPDIR=directory)
        processes.start("chromedriver", "chromedriver", "--port=0", env=env)
        port = wait_for("chromedriver", lambda: re.search(r"started successfully on port (\d+)", processes.log("chromedriver")))
        self.base = f"http://127.0.0.1:{port.group(1)}/session"
        # Without a sandbox, because builders are often root; with nothing but what the test serves.
        options = {"binary": shutil.which("chromium"), "args": ["--headless", "--no-sandbox", "--disable-gpu",
                   "--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={directory}/profile"]}
        answer = self.call("POST", "", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options,
                                                                        "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base += "/" + answer["sessionId"]

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:2000]}") from error

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def scheme(self, name):
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def text(self, selector="body"):
        return self.run(f"return document.querySelector({json.dumps(selector)}).innerText")

    def complaints(self):
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def shoot(self, path):
        image = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(image))


class Cluster:
    """Bookies on an embedded store, and who looks after them."""

    def __init__(self, stele, processes, directory):
        self.stele, self.processes, self.directory = stele, processes, directory
        self.env = dict(os.environ, STELE_METADATA=f"sqlite://{directory}/metadata.db")
        self.command("cluster", "init")

    def command(self, *argv, stdin=b""):
        return subprocess.run([self.stele, *argv], env=self.env, input=stdin, check=True, capture_output=True).stdout

    def admin_of(self, name):
        return wait_for(f"the admin port of {name}", lambda: re.search(r"admin port.*port=(\d+)", self.processes.log(name)))

    def start_bookie(self, number, bookie_id):
        name = f"bookie-{number}"
        self.processes.start(name, self.stele, "bookie", "--data", f"{self.directory}/{name}", "--port", "0",
                             "--set", f"bookieId={bookie_id}", "--set", "httpServerEnabled=true", "--set", "httpServerPort=0",
                             "--ready-file", f"{self.directory}/ready-{name}", env=self.env)
        wait_for(name, lambda: os.path.exists(f"{self.directory}/ready-{name}"))
        return f"http://127.0.0.1:{self.admin_of(name).group(1)}/"

    def start_autorecovery(self):
        self.processes.start("autorecovery", self.stele, "autorecovery", "--name", EVIL, "--http", "127.0.0.1:0",
                             "--ready-file", f"{self.directory}/ready-ar", env=self.env)
        wait_for("autorecovery", lambda: os.path.exists(f"{self.directory}/ready-ar"))
        return f"http://127.0.0.1:{self.admin_of('autorecovery').group(1)}/"

    def write(self, count):
        lines = "".join(f"{i}\n" for i in range(200)).encode()
        for _ in range(count):
            self.command("ledger", "append", "--create", "-E", "3", "-W", "3", "-A", "2", stdin=lines)


def fits(browser, width):
    """Nothing sticks out to the right, not even inside of what is cut off."""
    browser.size(width, 800)
    wide = browser.run("return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > "
                       "innerWidth + 1).map(e => e.tagName + ' ' + e.textContent.slice(0, 40))")
    inner, scroll = browser.run("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width and scroll <= width and not wide, (width, inner, scroll, wide)


# On a busy machine a write of the journal may take longer than that, and then "good" would be wrong: what the page has to say
# is decided by the figures that the process gives to whoever asks, of which the page is one.
JOURNAL_SLOW_US = 50_000


def health_measured(page):
    with urllib.request.urlopen(page + "api/v1/stele/view") as answer:
        bookies = json.load(answer)["bookies"]
    return {bookie["id"]: ["journal writes take" if bookie.get("journal_sync_p99_us", 0) > JOURNAL_SLOW_US else "good"] for bookie in bookies}


def health_shown(browser):
    """By bookie: all that the page says of its health, without how long a write takes."""
    rows = browser.run("return [...document.querySelectorAll('#bookies tbody tr')].map(r => [r.querySelector('th').firstChild.textContent, "
                       "[...r.querySelectorAll('[data-label=Health] > :is(.good, .warn, .bad)')].map(e => e.innerText)])")
    return {bookie: [re.sub(r" [\d.]+ (ms|s) \(p99\)$", "", sentence) for sentence in health] for bookie, health in rows}


def check_markup(browser):
    """What those need who do not see it: headings, tables that stay tables, names of what is coloured."""
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    assert browser.run("return [...document.querySelectorAll('section:not([hidden])')].every(s => "
                       "document.getElementById(s.getAttribute('aria-labelledby')).textContent)")
    assert browser.run("return [...document.querySelectorAll('table')].every(t => t.caption && t.querySelector('thead th[scope=col]')"
                       " && t.getAttribute('role') == 'table' && [...t.querySelectorAll('tbody tr')].every(r => r.querySelector('th[scope=row]')))")
    assert browser.run("return document.querySelector('[role=status][aria-live=polite]') != null")


CONTRAST = """
const parse = (c) => c.match(/[\\d.]+/g).map(Number);
const light = (c) => { const [r, g, b] = c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } };
const low = [];
for (const e of document.querySelectorAll('body *')) {
  if (![...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim()) || !e.offsetParent) continue;
  const a = light(parse(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e).slice(0, 3));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) low.push(ratio.toFixed(2) + ' ' + e.textContent.slice(0, 30));
}
return low;
"""


def check_contrast(browser):
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        low = browser.run(CONTRAST)
        assert not low, (scheme, low)
    browser.scheme("light")


def main():
    stele = os.path.realpath(sys.argv[1])
    pictures = os.path.realpath(sys.argv[3]) if sys.argv[2:3] == ["--screenshots"] else None
    if pictures:
        os.makedirs(pictures, exist_ok=True)
    directory = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    processes = Processes(directory)
    browser = None

    def picture(name, width, height, scheme="light"):
        if pictures:
            browser.size(width, height)
            browser.scheme(scheme)
            browser.shoot(os.path.join(pictures, f"{name}.png"))
            browser.scheme("light")

    try:
        cluster = Cluster(stele, processes, directory)
        for number, bookie_id in enumerate(["bookie-1", "bookie-2", "bookie-3", EVIL_BOOKIE], 1):
            own_page = cluster.start_bookie(number, bookie_id)
        cluster.command("autorecovery", "delay", "600")
        page = cluster.start_autorecovery()
        browser = Browser(processes)

        # --- All is well, with figures of what is going on.
        browser.size(1280, 900)
        browser.open(page)
        wait_for("a cluster that is well", lambda: browser.text("#headline") == "All is well")
        cluster.write(10)
        wait_for("appends per second", lambda: re.search(r"appends stored per second\s+[1-9]", browser.text("#load")))
        wait_for("p99", lambda: re.search(r"p99 [\d.]+ (µs|ms)", browser.text("#bookies")))
        table = browser.text("#bookies table")
        assert EVIL_BOOKIE in table and table.count("writable") == 4, table
        wait_for("the health of each bookie as its figures say", lambda: health_shown(browser) == health_measured(page))
        assert "4 of 4" in browser.text("#load"), browser.text("#load")
        check_markup(browser)
        check_contrast(browser)
        picture("well", 1280, 900)
        fits(browser, 360)

        # --- A bookie is killed: it stays, with since when and what to do, and its ledgers lack copies.
        cluster.command("autorecovery", "limit", "--cluster", "1")
        processes.kill("bookie-2")
        wait_for("the bookie that is down", lambda: browser.text("#headline").startswith("bookie-2 is down"))
        assert re.search(r"since \d\d:\d\d:\d\d \(.*awaited for.*stele recover bookie-2", browser.text("#attention"), re.S), browser.text("#attention")
        rows = browser.run("return [...document.querySelectorAll('#bookies tbody tr')].map(r => r.innerText)")
        assert len(rows) == 4 and rows[0].startswith("bookie-2") and "down" in rows[0], rows
        cluster.command("autorecovery", "delay", "0")
        wait_for("ledgers that lack copies", lambda: re.search(r"ledgers lack copies\s+[1-9]", browser.text("#copies")))
        wait_for("their names", lambda: "bookie-2" in browser.text("#ledgers table"))
        cluster.command("node", "drain", "--no-wait", "bookie-3")
        wait_for("the drain", lambda: re.search(r"bookie-3\b.*since.*\b\d+\s+counted", browser.text("#drains"), re.S))
        check_markup(browser)
        check_contrast(browser)
        picture("down", 1280, 1400)
        picture("down-dark", 1280, 1400, "dark")
        picture("down-phone", 360, 2600)
        picture("down-phone-dark", 360, 2600, "dark")
        for width in (360, 700, 1280):
            fits(browser, width)
        browser.size(1280, 900)

        # --- They come back.
        cluster.command("node", "undrain", "bookie-3")
        cluster.command("autorecovery", "limit", "--cluster", "0")
        wait_for("the copies", lambda: re.search(r"ledgers lack copies\s+0\b", browser.text("#copies")))
        assert re.search(r"falling, from \d+ in \d+ s", browser.text("#copies")), browser.text("#copies")

        # --- Text stays text.
        assert EVIL in browser.text("footer") and EVIL in browser.text("#copies"), browser.text()
        assert browser.run("return document.title") == "Stele cluster"
        assert browser.run("return document.querySelectorAll('img, iframe, object').length") == 0
        assert browser.run("return document.scripts.length") == 1
        blocked = browser.run("const s = document.createElement('script'); s.textContent = 'document.title = 2';"
                              "document.body.append(s); s.remove(); return document.title")
        assert blocked == "Stele cluster", "the policy lets a strange script run"
        with urllib.request.urlopen(page) as answer:
            html, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy, policy
        assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//|@import|url\(", html), "something from elsewhere"
        strange = [line for line in browser.complaints() if "Content Security Policy" not in line]
        assert not strange, strange

        # --- A bookie's own page.
        browser.open(own_page)
        wait_for("its own page", lambda: browser.text("#headline") == "It is writable")
        assert EVIL_BOOKIE in browser.text("h1") and "Ledgers that lack" not in browser.text(), browser.text()
        picture("bookie", 1280, 700)
        fits(browser, 360)

        # --- Who made the page is gone: what it knew stays, and is called old.
        browser.open(page)
        wait_for("the page again", lambda: "writable" in browser.text("#bookies"))
        processes.kill("autorecovery")
        wait_for("that nobody answers", lambda: browser.text("#headline") == "This page gets no answer")
        assert "writable" in browser.text("#bookies") and "old" in browser.text("#asof"), browser.text()
        picture("no-answer-phone", 360, 900)
        browser.call("DELETE", "")
    except BaseException:
        for name in sorted(os.listdir(directory)):
            if name.startswith("log-"):
                print(f"--- {name}\n{processes.log(name[4:])[-2000:]}", file=sys.stderr)
        raise
    finally:
        processes.kill_all()
        shutil.rmtree(directory, ignore_errors=True)
        if browser is not None:
            shutil.rmtree(browser.directory, ignore_errors=True)
    print("ok")


main()
