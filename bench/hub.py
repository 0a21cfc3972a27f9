"""Uploads and downloads of one large file: depickle's client and huggingface_hub, with the embedded Hub on loopback."""
import atexit
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request

import machine
from sides import HERE, NATIVE_FILE, PROGRAM, Side

LIMIT_MIB = 64
REPO, FILE = "me/bench", "model.safetensors"


class Server:
    """Runs `depickle serve` with a user and, in a new data folder, a repository. `path` is the file to transfer."""

    def __init__(self, path, name):
        self.data, self.process = path.with_name(name), None
        atexit.register(self.stop)
        shutil.rmtree(self.data, ignore_errors=True)
        with open(path, "rb") as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def start(self):
        add_user = [PROGRAM, "user", "add", "me", "--data", self.data]
        token = subprocess.run(add_user, capture_output=True, text=True, check=True).stdout.strip()
        serve = [PROGRAM, "serve", "--port", "0", "--data", self.data]
        self.process = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
        url = self.process.stdout.readline().split()[-1]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        self.environment = kept | {
            "HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONDONTWRITEBYTECODE": "1",
        }
        if not (self.data / "made").exists():
            body = json.dumps({"name": REPO.split("/")[1], "type": "model"})
            self.request("/api/repos/create", body.encode()).close()
            (self.data / "made").touch()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.communicate()
            self.process = None

    def request(self, path, body=None):
        headers = {"Authorization": "Bearer " + self.environment["HF_TOKEN"], "Content-Type": "application/json"}
        return urllib.request.urlopen(urllib.request.Request(self.environment["HF_ENDPOINT"] + path, body, headers))


class Client(Side):
    """A process that uses the server. `command` is timed from its start to its end or, if it `waits`, from the line
    that it waits for. Each sample has a new server and a new home: nothing from earlier samples is there."""

    def __init__(self, name, server, command, waits=False, **environment):
        super().__init__(name)
        self.server, self.command, self.waits, self.environment = server, list(map(str, command)), waits, environment
        self.home = server.data.with_name("hub-home")
        self.process, self.peaks = None, {}

    def prepare(self):
        self.server.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        self.prepare_server()
        os.sync()
        self.server.start()
        if self.waits:
            self.process = self.popen(stdin=subprocess.PIPE)
            self.process.stdout.readline()

    def prepare_server(self):
        pass

    def popen(self, **options):
        environment = self.server.environment | {"HF_HOME": str(self.home)} | self.environment
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        return subprocess.Popen(self.command, env=environment, **pipes, **options)

    def sample(self):
        start = time.perf_counter()
        if not self.waits:
            self.process = self.popen()
        said, _ = self.process.communicate("go\n" if self.waits else None)
        seconds = time.perf_counter() - start
        if self.process.returncode != 0:
            raise SystemExit(f"error: {self.command} ended with {self.process.returncode}")
        return float(said) if self.waits else seconds

    def result(self):
        with self.arrived() as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.server.digest:
            raise SystemExit(f"error: {self.name}: received other bytes than were sent")
        self.server.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        self.process = None
        return digest

    def peak_mib(self):
        """Returns the peak of the client. `peaks` contains (RssAnon, VmHWM) of client and server."""
        self.prepare()
        client = lambda: {"client": self.process} if self.process else {}
        self.peaks = machine.Watch(lambda: client() | {"server": self.server.process}).run(self.sample)
        self.result()
        return self.peaks["client"][1]


class Download(Client):
    """A download into an empty cache."""

    def arrived(self):
        (path,) = self.home.glob(f"hub/models--{REPO.replace('/', '--')}/snapshots/*/{FILE}")
        return open(path, "rb")


class Upload(Client):
    """An upload to an empty Hub."""

    def prepare_server(self):
        shutil.rmtree(self.server.data, ignore_errors=True)

    def arrived(self):
        return self.server.request(f"/{REPO}/resolve/main/{FILE}")


def call(name, *words, whole=False):
    """Returns the command for a call in a new process, and whether it waits."""
    return [sys.executable, HERE / "hub_calls.py", "now" if whole else "wait", name, *words, REPO, FILE], not whole


def stored(path):
    """Returns a stopped server that has the file, and the path of the file in its data folder."""
    server = Server(path, "hub-down")
    filling = Upload("filling", server, *call("upload_native", NATIVE_FILE, path))
    filling.prepare()
    filling.sample()
    filling.result()
    (kept,) = (file for file in server.data.rglob("*") if file.is_file() and file.stat().st_size == path.stat().st_size)
    machine.settle(kept)
    return server, kept


def download_sides(server):
    return [
        Download("depickle download", server, [PROGRAM, "download", f"hf://{REPO}/{FILE}"]),
        Download("hf_hub_download, first call", server, *call("download")),
        Download("hf_hub_download, whole program", server, *call("download", whole=True)),
    ]


def upload_sides(path):
    server = Server(path, "hub-up")
    return [
        Upload("depickle::hub::commit", server, *call("upload_native", NATIVE_FILE, path)),
        Upload("upload_file, by LFS, first call", server, *call("upload", path), HF_HUB_DISABLE_XET="1"),
        Upload("upload_file, by LFS, whole program", server, *call("upload", path, whole=True), HF_HUB_DISABLE_XET="1"),
        Upload("upload_file, by xet, first call", server, *call("upload", path)),
    ]


def memory_rows(case):
    """Yields (process, whether it is ours, peak of RssAnon, peak of VmHWM), in MiB."""
    for side in case.sides:
        for who, (anonymous_mib, resident_mib) in sorted(side.peaks.items()):
            is_ours = who == "server" or "depickle" in side.name
            yield f"{case.title}, {side.name}: {who}", is_ours, anonymous_mib, resident_mib
