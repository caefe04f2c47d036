# SPDX-License-Identifier: Apache-2.0
"""What bad input gets: the right status, and words that name the field and the remedy."""
import http.client
import socket

import pytest


@pytest.fixture
def d(daemon, test_copy, noop):
    return daemon(extra_plugins=[test_copy, noop], settings={"scale.dryRun": "true"})


def test_malformed_json_is_400(d):
    a = d.http.request("POST", "/api/jobs", body=b'{"workflow": ', headers={"Content-Type": "application/json"})
    assert a.status == 400 and a.json["success"] is False and "line" in a.json["message"].lower()


def test_wrong_missing_and_unknown_fields_are_422_and_named(d):
    a = d.http.post("/api/jobs", {"params": 5, "priorty": 1, "priority": "high"})
    assert a.status == 422
    assert {"workflow", "params", "priorty", "priority"} <= set(a.json["data"])
    assert "priority" in " ".join(a.json["data"]["priorty"])


def test_an_unknown_workflow_is_404_with_the_nearest_name(d):
    a = d.http.post("/api/jobs", {"workflow": "test-cop", "params": {}})
    assert a.status == 404 and "test-copy" in a.json["message"]


def test_params_outside_their_schema_are_422(d):
    a = d.http.post("/api/jobs", {"workflow": "test-copy", "params": {"steps": -1, "nonsense": 1},
                                  "inputs": [d.http.upload(b"x")]})
    assert a.status == 422 and "params.steps" in a.json["data"] and "params.nonsense" in a.json["data"]


def test_another_tenants_input_key_is_422(d):
    a = d.http.post("/api/jobs", {"workflow": "test-copy", "params": {}, "inputs": [{"key": "tenants/other/uploads/1/a", "mime": "image/png"}]})
    assert a.status == 422


def test_a_body_too_large_is_413_before_it_is_read(d):
    c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=20)
    c.putrequest("POST", "/api/jobs")
    c.putheader("Authorization", f"Bearer {d.http.token}")
    c.putheader("Content-Type", "application/json")
    c.putheader("Content-Length", str(64 * 1024 * 1024 * 1024))
    c.endheaders()
    assert c.getresponse().status == 413


def test_a_body_that_is_no_json_is_415(d):
    a = d.http.request("POST", "/api/jobs", body=b"workflow=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert a.status == 415


def test_wrong_method_is_405_with_allow_and_unknown_path_404(d):
    a = d.http.request("PUT", "/api/jobs", body={})
    assert a.status == 405 and "POST" in a.headers["Allow"]
    assert d.http.get("/api/nothing").status == 404


def test_no_token_is_401(d):
    assert d.http.request("GET", "/api/jobs", token=False).status == 401
    assert d.http.request("GET", "/api/jobs", headers={"Authorization": "Bearer wrong"}).status == 401


def test_a_job_of_nobody_is_404(d):
    assert d.http.get("/api/jobs/999999").status == 404
    assert d.http.get("/api/jobs/abc").status in (404, 422)


def test_the_same_idempotency_key_is_the_same_job_and_other_content_is_409(d):
    one = d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {"a": 1}, "idempotency_key": "k"})
    two = d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {"a": 1}, "idempotency_key": "k"})
    other = d.http.post("/api/jobs", {"workflow": "bench-noop", "params": {"a": 2}, "idempotency_key": "k"})
    assert (one.status, two.status, other.status) == (201, 200, 409)
    assert one.data["id"] == two.data["id"]


def test_garbage_on_the_http_port_does_not_disturb(d):
    for junk in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100000, b"\r\n\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", d.port), timeout=10) as s:
            s.sendall(junk)
            s.settimeout(2)
            try:
                s.recv(4096)
            except (TimeoutError, ConnectionResetError):
                pass
    assert d.http.get("/healthz").status == 200


def test_who_ends_its_side_after_the_request_gets_the_answer(d):
    """The controller reads on while a call is at work: the end of the input is no reason to drop the answer."""
    for more in (b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"):
        body = b'{"workflow": "bench-noop"}'
        head = (f"POST /api/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {d.http.token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        with socket.create_connection(("127.0.0.1", d.port), timeout=60) as s:
            s.sendall(head.encode() + body + more)
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert answer.count(b"HTTP/1.1 200 ") == (1 if more else 0)
    assert len(d.http.get("/api/jobs").data["jobs"]) == 2
