# SPDX-License-Identifier: Apache-2.0
"""An AWS (moto) that can go away and come back, and calls of the plugin's metrics, logs and notify."""
import http.server
import json
import socket
import threading
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from conftest import wait_until
from objects_rig import Caller, environment

STAGE = {"_bpd": {"stage": "prod"}}


class Moto:
    """Its port is its own for good: while it is down, what is sent there finds nobody. What it holds it keeps."""

    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.server = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()

    def stop(self):
        self.server.stop()

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y",
                            config=Config(retries={"max_attempts": 1}))


class Recorder:
    """Passes what it is sent on to moto, and keeps (headers, body) of each request. Set `answer` (body -> (status, body) or
    None) to answer some itself, (None, None) to hang up."""

    def __init__(self, moto):
        self.requests, self.answer, lock = [], lambda body: None, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    outer.requests.append((dict(self.headers), body))
                said = outer.answer(body)
                if said is None:
                    q = urllib.request.Request(moto.url + self.path, body, dict(self.headers), method="POST")
                    try:
                        with urllib.request.urlopen(q) as r:
                            said = r.status, r.read()
                    except urllib.error.HTTPError as e:
                        said = e.code, e.read()
                if said[0] is None:
                    self.close_connection = True
                    return
                self.send_response(said[0])
                self.send_header("content-length", str(len(said[1])))
                self.end_headers()
                self.wfile.write(said[1])

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def server():
    m = Moto()
    yield m
    m.stop()


@pytest.fixture
def moto(server):
    """It, and nothing in it."""
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/moto-api/reset", method="POST")).read()
    return server


@pytest.fixture
def recorder(moto):
    r = Recorder(moto)
    yield r
    r.close()


def watcher(build, dir, url, settings=None):
    return Caller(build, dir, environment(url), {**STAGE, **(settings or {})}, program="aws_watch_call")


def aws_daemon(daemon, moto, monkeypatch, service, plugin=None, **settings):
    """bpd in stage prod whose `service` is AWS', all else local; ready."""
    for k, v in environment(moto.url).items():
        monkeypatch.setenv(k, v)
    services = {f"services.{s}": "local" for s in ("fleet", "objects", "params", "metrics", "logs", "notify", "node")}
    extra = settings.pop("extra_plugins", [])
    d = daemon(start=False, plugins=("sqlite", "local", "aws"), extra_plugins=extra,
               settings={**services, f"services.{service}": "aws", "stage": "prod", "scale.dryRun": "true", **settings,
                         "plugin": json.dumps({"aws": {"region": "eu-central-1", **(plugin or {})}})})
    d.start(ready=False)
    wait_until("ready", lambda: d.http.get("/readyz").status == 200)
    return d
