# SPDX-License-Identifier: Apache-2.0
"""Assets: files that a workflow needs, kept in objects, fetched once a machine, proven before a job may see them."""
import hashlib
import http.server
import json
import pathlib
import re
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from conftest import SLOW, wait_until

FAST = {"dispatch.leaseTtlSeconds": "10", "dispatch.sweepMilliseconds": "100", "dispatch.retryBaseSeconds": "0.1",
        "plugin.local.bootDelaySeconds": "0"}
MODEL = bytes(range(256)) * 4000


class Bench:
    """A daemon whose workflows are commands, and workers that are started one by one."""

    def __init__(self, daemon, build):
        self.build = build
        self.d = daemon(start=False, settings=FAST, extra_plugins=[build / "plugins" / "exec.so"])
        self.dir = self.d.dir / "workflows.d"
        self.dir.mkdir(mode=0o755)
        self.cache = self.d.dir / "cache"
        self.workers = {}

    def define(self, slug, assets, command=("sh", "-c", "sha256sum < {asset.model.bin} > $BP_OUTPUT; echo no > $BP_ASSETS_DIR/model.bin || :")):
        text = {"plugin": "exec", "maxSize": 0, "produces": "text/plain", "accepts": [], "assets": assets, "settings": {"command": list(command)}}
        part = self.dir / f".{slug}.part"
        part.write_text(json.dumps(text))
        part.rename(self.dir / f"{slug}.json")
        wait_until(f"{slug} is served", lambda: slug in [w["workflow"] for w in self.d.ctl("workflows")])
        wait_until("with these assets", lambda: [a["object"] for a in self.d.ctl("asset", "check", slug)["assets"]] == [a["object"] for a in assets])

    def put(self, data, name="model.bin"):
        """`bpctl asset put`: the manifest's entry."""
        path = self.d.dir / name
        path.write_bytes(data)
        return self.d.ctl("asset", "put", str(path))

    def start_worker(self, id, **settings):
        sets = {"state.dir": self.d.dir / id, "worker.url": f"http://127.0.0.1:{self.d.port}", "worker.id": id,
                "worker.fleetSecret": self.d.secret(), "worker.waitSeconds": "1", "worker.assetCacheDir": self.cache, **settings}
        command = [str(self.build / "bin" / "bpd"), "--role", "worker", "--plugins-dir", str(self.d.plugins)]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        with open(self.d.dir / f"{id}.log", "ab") as log:
            self.workers[id] = subprocess.Popen(command, stdout=log, stderr=log)

    def stop_worker(self, id):
        worker = self.workers.pop(id)
        worker.terminate()
        worker.wait(30 * SLOW)

    def log(self, id):
        return (self.d.dir / f"{id}.log").read_text(errors="replace")

    def fetches(self, *ids):
        return sum(self.log(id).count("fetched model.bin") for id in ids)

    def submit(self, slug):
        return self.d.http.submit(slug, {}, [])["id"]

    def output(self, id):
        job = wait_until(f"job {id} ends", lambda: (j := self.d.http.job(id))["status"] in ("completed", "failed", "cancelled") and j, timeout=60)
        assert job["status"] == "completed", job["error"]
        return self.d.http.get_url(job["output"]["url"]).body.decode()

    def fault(self, id):
        return next((w["fault"] for w in self.d.ctl("workers")["workers"] if w["worker_id"] == id), None)


@pytest.fixture
def bench(daemon, build):
    b = Bench(daemon, build)
    yield b
    for id in list(b.workers):
        b.stop_worker(id)


def sha(data):
    return hashlib.sha256(data).hexdigest()


def entry(data, name="model.bin"):
    return {"name": name, "object": f"assets/{sha(data)}", "sha256": sha(data), "bytes": len(data)}


def test_an_asset_is_fetched_once_for_many_jobs_and_outlives_its_worker(bench):
    b = bench
    b.d.start()
    asset = b.put(MODEL)
    assert asset == entry(MODEL)
    assert b.put(MODEL) == asset  # the same content is the same object
    b.define("model", [asset])
    b.start_worker("one")
    assert [b.output(b.submit("model")) for _ in range(4)] == [f"{sha(MODEL)}  -\n"] * 4
    assert b.fetches("one") == 1
    assert (b.cache / sha(MODEL)).read_bytes() == MODEL  # no job could write to it
    b.stop_worker("one")
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert b.fetches("one") == 1
    checked = b.d.ctl("asset", "check", "model")
    assert [a["state"] for a in checked["assets"]] == ["there"] and checked["workers_lacking"] == 0


def test_what_was_changed_in_the_cache_is_found_before_a_job_sees_it(bench):
    b = bench
    b.d.start()
    b.define("model", [b.put(MODEL)])
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    file = b.cache / sha(MODEL)
    file.chmod(0o644)
    file.write_bytes(MODEL[:-1] + b"!")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert b.fetches("one") == 2 and "is corrupt in the asset cache" in b.log("one")
    b.stop_worker("one")
    file.chmod(0o644)
    file.write_bytes(MODEL[:1000])  # while no worker runs
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert b.fetches("one") == 3


def test_two_workers_of_a_machine_fetch_once(bench):
    b = bench
    b.d.start()
    b.define("model", [b.put(MODEL)])
    b.start_worker("one")
    b.start_worker("two")
    ids = [b.submit("model") for _ in range(8)]
    assert [b.output(id) for id in ids] == [f"{sha(MODEL)}  -\n"] * 8
    for id in ("one", "two"):
        wait_until(f"{id} is registered", lambda: f"registered as {id}" in b.log(id))
    wait_until("both could", lambda: len([w for w in b.d.ctl("workers")["workers"] if w["fault"] is None]) == 2)
    assert b.fetches("one", "two") == 1


def test_a_worker_without_an_asset_takes_other_jobs_says_so_and_goes_on_when_it_is_there(bench):
    b = bench
    b.d.start()
    wrong = {**entry(MODEL), "object": "assets/hand-made"}
    b.define("model", [wrong])
    b.define("plain", [], ["sh", "-c", "echo plain > $BP_OUTPUT"])
    b.start_worker("one")
    waits = b.submit("model")
    said = wait_until("it says what it lacks", lambda: b.fault("one"))
    assert said == "no job of model: model.bin: there is no object assets/hand-made: put it there with bpctl asset put"
    assert b.output(b.submit("plain")) == "plain\n"
    assert b.d.http.job(waits)["status"] == "queued"
    told = b.d.ctl("explain", "job", str(waits))
    assert any(w["what"] == "assets" and "hand-made" in w["text"] for w in told["because"]), told
    assert [(e["worker"], e["workflow"]) for e in b.d.ctl("events", "worker.assets_missing")] == [("one", "model")]
    checked = b.d.ctl("asset", "check", "model")
    assert checked["assets"][0]["state"].startswith("missing") and checked["workers_lacking"] == 1
    # An object that is there, but not what the manifest says.
    objects = b.d.state / "plugin" / "local"
    b.define("model", [{**entry(MODEL), "object": b.put(MODEL[::-1], "other.bin")["object"]}])
    wait_until("it says that", lambda: "is not what it should be: its SHA-256 is" in (b.fault("one") or ""))
    assert b.d.http.job(waits)["status"] == "queued"
    assert not (b.cache / sha(MODEL)).exists() and not list(b.cache.glob("*.part"))
    # Repaired.
    b.define("model", [b.put(MODEL)])
    assert b.output(waits) == f"{sha(MODEL)}  -\n"
    wait_until("nothing is wrong any more", lambda: b.fault("one") is None)
    assert [(e["worker"], e["workflow"]) for e in b.d.ctl("events", "worker.assets_ready")][-1:] == [("one", "model")]
    assert objects.exists()


def test_an_asset_with_a_place_is_where_a_server_looks_for_its_models(bench):
    b = bench
    b.d.start()
    models = b.d.dir / "models"
    models.mkdir()
    placed = {**b.put(MODEL), "place": "checkpoints/sd15.safetensors"}
    b.define("model", [placed])
    waits = b.submit("model")
    b.start_worker("one")
    wait_until("it says that it knows no folder", lambda: "its place is checkpoints/sd15.safetensors, but worker.modelsDir does not say" in (b.fault("one") or ""))
    b.stop_worker("one")
    b.start_worker("two", **{"worker.modelsDir": models})
    assert b.output(waits) == f"{sha(MODEL)}  -\n"
    assert (models / "checkpoints" / "sd15.safetensors").read_bytes() == MODEL
    # Another version of it: jobs of the new list find the new one.
    b.define("model", [{**b.put(MODEL[::-1]), "place": "checkpoints/sd15.safetensors"}])
    assert b.output(b.submit("model")) == f"{sha(MODEL[::-1])}  -\n"
    assert (models / "checkpoints" / "sd15.safetensors").read_bytes() == MODEL[::-1]


def test_a_cache_keeps_to_its_limit_and_drops_what_no_worker_needs(bench):
    b = bench
    b.d.start()
    old, new = MODEL, MODEL[::-1]
    b.define("model", [b.put(old)])
    b.start_worker("one", **{"worker.assetCacheBytes": str(len(MODEL) * 3 // 2)})
    assert b.output(b.submit("model")) == f"{sha(old)}  -\n"
    b.define("second", [b.put(new)])  # both do not fit, and the first is in use
    wait_until("it says so", lambda: "no job of second: model.bin: 1024000 bytes do not fit" in (b.fault("one") or ""))
    assert b.output(b.submit("model")) == f"{sha(old)}  -\n"
    (b.dir / "model.json").unlink()  # nobody needs it now
    assert b.output(b.submit("second")) == f"{sha(new)}  -\n"
    assert not (b.cache / sha(old)).exists()


class Cutter(http.server.ThreadingHTTPServer):
    """Stands between workers and the daemon. Of objects it gives at most `piece` bytes an answer, then cuts the connection."""
    daemon_threads = True

    def __init__(self, piece, etags):
        super().__init__(("127.0.0.1", 0), Pass)
        self.behind, self.piece, self.etags, self.asked = None, piece, etags, []
        self.given, self.held = 0, None  # bytes of objects; an event to be waited for before the cut
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Pass(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def forward(self):
        s, wish = self.server, {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "if-range")}
        is_object = self.command == "GET" and "/assets/" in self.path
        if is_object:
            s.asked.append((self.headers.get("Range"), self.headers.get("If-Range")))
            tag = s.etags[min(len(s.asked), len(s.etags)) - 1] if s.etags else None
            if self.headers.get("If-Range") and self.headers["If-Range"] != tag:
                wish.pop("Range", None)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        r = urllib.request.Request(f"http://127.0.0.1:{s.behind}{self.path}", body or None, wish, method=self.command)
        try:
            answer = urllib.request.urlopen(r, timeout=70)
        except urllib.error.HTTPError as e:
            answer = e
        with answer:
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "date", "server"):
                    self.send_header(name, value)
            if is_object and tag:
                self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(data[:s.piece] if is_object else data)
            if is_object:
                self.wfile.flush()
                s.given += len(data[:s.piece])
                if s.held:
                    s.held.wait(60)
            self.close_connection = is_object or self.close_connection

    do_GET = do_POST = do_PUT = forward


@pytest.fixture
def cutter(bench):
    made = []

    def make(piece, etags=None):
        c = Cutter(piece, etags)
        made.append(c)
        bench.d.settings["http.url"] = c.url
        bench.d.start()
        c.behind = bench.d.port
        return c
    yield make
    for c in made:
        c.shutdown()


def ranges(cutter):
    return [int(re.fullmatch(r"bytes=(\d+)-", r)[1]) if r else 0 for r, _ in cutter.asked]


def test_a_fetch_goes_on_where_its_connection_was_cut(bench, cutter):
    b = bench
    c = cutter(len(MODEL) // 3)
    b.define("model", [b.put(MODEL)])
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    at = ranges(c)
    assert at[0] == 0 and at == sorted(set(at)) and len(at) == 4, at  # no byte came twice
    assert "broke off after" in b.log("one") and b.fault("one") is None
    assert (b.cache / sha(MODEL)).read_bytes() == MODEL


@pytest.mark.parametrize("end", ["kill -9", "stop"])
def test_a_fetch_goes_on_after_its_worker_was_ended_in_the_middle(bench, cutter, end):
    b = bench
    c = cutter(len(MODEL) * 2 // 5)
    c.held = threading.Event()
    b.define("model", [b.put(MODEL)])
    part = b.cache / f"{sha(MODEL)}.part"
    b.start_worker("one")
    wait_until("two fifths came", lambda: part.exists() and part.stat().st_size == c.piece)
    if end == "stop":
        b.stop_worker("one")
    else:
        worker = b.workers.pop("one")
        worker.kill()
        worker.wait()
    assert part.stat().st_size == c.piece
    c.held.set()
    first, c.held, c.piece = c.piece, None, len(MODEL)
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert c.asked == [(None, None), (f"bytes={first}-", None)] and c.given == len(MODEL)  # no byte came twice
    assert (b.cache / sha(MODEL)).read_bytes() == MODEL and not part.exists()
    assert f"{first} of {len(MODEL)} bytes are there from an earlier fetch" in b.log("one")


def test_a_part_that_was_changed_or_is_whole_is_proven(bench, cutter):
    b = bench
    c = cutter(len(MODEL))
    b.define("model", [b.put(MODEL)])
    b.cache.mkdir(mode=0o700)
    part = b.cache / f"{sha(MODEL)}.part"
    part.write_bytes(MODEL)
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert c.given == 0
    b.stop_worker("one")
    (b.cache / sha(MODEL)).unlink()
    part.write_bytes(b"not" + MODEL[3:5000])
    b.start_worker("two")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert c.given == 2 * len(MODEL) - 5000 and "and is not what it should be: it is fetched anew" in b.log("two")


def test_an_object_that_changed_meanwhile_is_fetched_from_its_beginning(bench, cutter):
    b = bench
    c = cutter(len(MODEL) * 2 // 3, ['"one"', '"two"'])
    b.define("model", [b.put(MODEL)])
    b.start_worker("one")
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    third = ranges(c)[2]
    assert c.asked[0] == (None, None) and c.asked[1][1] == '"one"' and c.asked[2] == (f"bytes={third}-", '"two"'), c.asked
    assert third == len(MODEL) * 2 // 3  # the second answer was the whole again, and cut there


def test_what_was_put_together_of_two_objects_is_fetched_anew(bench, cutter):
    b = bench
    cutter(len(MODEL) // 2)
    b.define("model", [b.put(MODEL)])
    file = next(p for p in b.d.state.rglob("*") if p.is_file() and p.stat().st_size == len(MODEL))
    file.chmod(0o644)
    file.write_bytes(MODEL[::-1])  # and no ETag tells
    b.start_worker("one")
    wait_until("half of it came", lambda: "broke off after" in b.log("one"))
    file.write_bytes(MODEL)
    assert b.output(b.submit("model")) == f"{sha(MODEL)}  -\n"
    assert "and is not what it should be: it is fetched anew" in b.log("one")


def test_bpctl_asset_put_says_what_is_wrong(bench, tmp_path):
    b = bench
    b.d.start()
    empty = tmp_path / "empty"
    empty.touch()
    for args, word in (([], "usage: bpctl asset put FILE"), ([tmp_path / "none"], "cannot read"), ([empty], "is empty"), ([tmp_path], "no regular file")):
        r = b.d.ctl("asset", "put", *map(str, args), json_form=False)
        assert r.returncode != 0 and word in r.stderr, r
    assert "no workflow none" in b.d.ctl("asset", "check", "none", json_form=False).stderr
