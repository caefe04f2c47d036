# SPDX-License-Identifier: Apache-2.0
"""The comfyui workflow against a ComfyUI that works, and against one that does not: what comes out, and the words."""
import json
import threading

import pytest

from comfy_rig import (BADINPUT, FAIL, INVALID, LATER, NOMEM, NOTFOUND, OK, STOPPED, TIMEOUT, Driver, node, paint_graph, paint_settings, picture, shifted, wrong_settings)
from conftest import wait_until
from fakecomfy import FakeComfy


@pytest.fixture
def comfy(tmp_path):
    c = FakeComfy(tmp_path / "comfy").start()
    yield c
    c.die()


@pytest.fixture
def driver(build, tmp_path):
    return Driver(build, tmp_path)


# ---- what works ----

def test_a_photo_goes_in_and_the_output_nodes_file_comes_out(comfy, driver):
    r = driver.run(paint_settings(comfy.url), {"prompt": "two \"cats\" __SEED__", "seed": 5}, [picture()])
    assert r.rc == OK, r
    assert r.output == shifted(picture(), 5)
    sent = comfy.prompts[0]["prompt"]["3"]["inputs"]
    assert sent["seed"] == 5 and sent["text"] == "two \"cats\" __SEED__, masterpiece"
    assert comfy.all_sockets[0].closed == 1000


def test_progress_is_told_node_by_node_and_step_by_step(comfy, driver):
    settings = paint_settings(comfy.url)
    settings["graph"]["3"]["inputs"].update(steps=10, step_ms=30)
    r = driver.run(settings, {}, [picture()])
    told = r.progress()
    assert r.rc == OK and any(text.startswith("KSampler: 5 of 10") for _, text in told)
    assert [f for f, _ in told] == sorted(f for f, _ in told), "it never goes back"
    assert comfy.all_sockets[0].pongs > 0, "pings are answered"


def test_the_history_alone_is_enough(comfy, driver):
    comfy.script.no_ws = True
    r = driver.run(paint_settings(comfy.url), {"seed": 1}, [picture()])
    assert r.rc == OK and r.output == shifted(picture(), 1)
    assert "404" in r.logs() and "polled" in r.logs()


def test_a_websocket_that_drops_is_connected_again_and_nothing_is_lost(comfy, driver):
    comfy.script.ws_drops_after = 6
    settings = paint_settings(comfy.url)
    settings["graph"]["3"]["inputs"].update(steps=40, step_ms=100)
    r = driver.run(settings, {"seed": 2}, [picture()])
    assert r.rc == OK and r.output == shifted(picture(), 2)
    assert len(comfy.all_sockets) >= 2 and "polled meanwhile" in r.logs()


@pytest.mark.parametrize("bytes", [b"\x81\x85\x01\x02\x03\x04Hello", b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", b"\xff\xff\xff\xff", b"\x88\x02\x03\xe8"])
def test_a_websocket_that_talks_nonsense_costs_nothing_but_the_websocket(comfy, driver, bytes):
    comfy.script.ws_bytes = bytes
    r = driver.run(paint_settings(comfy.url), {"seed": 2}, [picture()])
    assert r.rc == OK and r.output == shifted(picture(), 2)


def test_a_websocket_that_says_nothing_does_not_hold_the_job_up_for_long(comfy, driver):
    comfy.script.mute_ws = True
    r = driver.run(paint_settings(comfy.url), {"seed": 2}, [picture()])
    assert r.rc == OK and r.output == shifted(picture(), 2)


def test_old_versions_whose_history_has_no_status_are_served(comfy, driver):
    comfy.script.old_history = True
    assert driver.run(paint_settings(comfy.url), {}, [picture()]).rc == OK


def test_an_entry_that_comes_late_is_waited_for(comfy, driver):
    comfy.script.history_delay_s = 0.5
    assert driver.run(paint_settings(comfy.url), {}, [picture()]).rc == OK


def test_videos_are_found_under_gifs(comfy, driver):
    settings = paint_settings(comfy.url)
    settings["graph"]["9"] = node("VHS_VideoCombine", images=["3", 0], filename_prefix="clips/of day/v")
    r = driver.run(settings, {"seed": 0}, [picture(64, 64)])
    assert r.rc == OK and r.output.startswith(b"\0\0\0\x18ftypmp42") and len(r.output) > 50000


def test_without_an_output_node_the_first_one_with_a_file_counts(comfy, driver):
    settings = paint_settings(comfy.url, output_node_id=None)
    settings["graph"]["10"] = node("ShowText", text="hello")
    assert driver.run(settings, {"seed": 4}, [picture()]).output == shifted(picture(), 4)


def test_the_same_photo_is_uploaded_once_and_another_is_never_mixed_up_with_it(comfy, driver):
    settings = paint_settings(comfy.url)
    for start in (0, 0, 1):
        assert driver.run(settings, {"seed": 1}, [picture(start=start)]).output == shifted(picture(start=start), 1)
    assert len(comfy.uploads) == 2 and len(set(comfy.uploads)) == 2
    half = comfy.dir / "input" / comfy.uploads[0]
    half.write_bytes(half.read_bytes()[:20])  # what a ComfyUI that died in the middle leaves
    assert driver.run(settings, {"seed": 9}, [picture()]).output == shifted(picture(), 9)
    assert len(comfy.uploads) == 3


def test_files_of_the_workflow_are_brought_or_found(comfy, driver, tmp_path):
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles" / "style.png").write_bytes(picture(start=50))
    (comfy.dir / "input" / "masks").mkdir()
    (comfy.dir / "input" / "masks" / "round mask.png").write_bytes(picture(start=90))
    graph = {"1": node("LoadImage", image="__STYLE__"), "2": node("LoadImage", image="__MASK__"), "8": node("SaveImage", images=["2", 0], filename_prefix="b"),
             "9": node("SaveImage", images=["1", 0], filename_prefix="a")}
    (tmp_path / "graph.json").write_text(json.dumps(graph))
    settings = {"url": comfy.url, "graph": "graph.json", "output_node_id": 9, "properties": [
        {"key": "style", "type": "image", "placeholder": "__STYLE__", "default_value": "styles/style.png", "user_configurable": False},
        {"key": "mask", "type": "image", "placeholder": "__MASK__", "in_comfyui": "masks/round mask.png", "user_configurable": False}]}
    r = driver.run(settings, settings_dir=tmp_path)
    assert r.rc == OK and r.output == picture(start=50), r
    r = driver.run({**settings, "output_node_id": 8}, settings_dir=tmp_path)
    assert r.output == picture(start=90) and len(comfy.uploads) == 1
    (comfy.dir / "input" / "masks" / "round mask.png").unlink()
    r = driver.run(settings, settings_dir=tmp_path)
    assert r.rc == FAIL and "masks/round mask.png (mask) is not in the input folder" in r.text


def test_the_fields_other_ways_to_place_the_input(comfy, driver):
    graph = {"1": node("LoadImage"), "9": node("SaveImage", images=["1", 0], filename_prefix="a")}
    graph["1"]["inputs"] = []  # what became of {} on its way through PHP
    r = driver.run({"url": comfy.url, "workflow": graph, "input_node_id": "1", "input_field": "image", "extra_data": {"extra_pnginfo": 5}}, {}, [picture()])
    assert r.rc == OK and r.output == picture(), r
    assert comfy.prompts[0]["extra_data"] == {"extra_pnginfo": 5}
    graph["1"]["inputs"] = {"image": "@photo"}
    r = driver.run({"url": comfy.url, "graph": graph, "input_path_placeholder": "@photo"}, {}, [picture(start=3)])
    assert r.rc == OK and r.output == picture(start=3)


def test_nothing_of_a_job_stays_in_the_history(comfy, driver):
    driver.run(paint_settings(comfy.url), {"prompt": "a secret"}, [picture()])
    driver.run(wrong_settings(comfy.url, "raise"))
    assert comfy.executor.history == {}


# ---- what does not: the graph and the settings, before ComfyUI is asked for anything ----

@pytest.mark.parametrize("change,words", [
    (lambda s: s["graph"]["1"]["inputs"].update(image="fixed.png"), "__INPUT_PATH__ of property photo is nowhere in the graph"),
    (lambda s: s["graph"]["3"]["inputs"].update(text="__MASK__"), "the placeholder __MASK__, and no property"),
    (lambda s: s.update(output_node_id="77"), "the graph has no node 77"),
    (lambda s: s.update(graph={"nodes": [], "links": []}), "Export (API)"),
    (lambda s: s.update(graph="missing.json"), "missing.json cannot be read"),
])
def test_a_graph_that_cannot_run_says_why_and_asks_nothing_of_comfyui(comfy, driver, change, words):
    settings = paint_settings(comfy.url)
    change(settings)
    r = driver.run(settings, {"prompt": "x"}, [picture()])
    assert r.rc == INVALID and words in r.text, r
    assert comfy.requests == []


def test_a_missing_photo_and_one_too_many_are_the_tenants_fault(comfy, driver):
    assert "photo is needed" in (r := driver.run(paint_settings(comfy.url))).text and r.rc == BADINPUT
    assert "2 files were given; this workflow takes at most 1" in (r := driver.run(paint_settings(comfy.url), {}, [picture(), picture()])).text and r.rc == BADINPUT


# ---- what ComfyUI says against it ----

def test_a_graph_that_comfyui_refuses_ends_the_job_and_names_the_node(comfy, driver):
    settings = paint_settings(comfy.url)
    settings["graph"]["4"] = node("CheckpointLoaderSimple", ckpt_name="flux.safetensors")
    settings["graph"]["10"] = node("ShowText", text=["4", 0])
    settings["graph"]["9"]["inputs"]["filename_prefix"] = ["4", 0]
    r = driver.run(settings, {}, [picture()])
    assert r.rc == INVALID and "node 4 (CheckpointLoaderSimple): ComfyUI has no ckpt_name flux.safetensors: list it in " in r.text, r
    settings["graph"]["4"]["class_type"] = "NoSuchNode"
    r = driver.run(settings, {}, [picture()])
    assert r.rc == INVALID and "NoSuchNode does not exist" in r.text


def test_an_output_that_comfyui_leaves_out_ends_the_job_and_its_prompt(comfy, driver):
    """ComfyUI runs what is right of a graph; if our output is not in that, there is no use in running it."""
    settings = paint_settings(comfy.url)
    settings["graph"]["9"]["inputs"]["images"] = ["77", 0]
    settings["graph"]["10"] = node("SaveImage", images=["3", 0], filename_prefix="other")
    settings["graph"]["3"]["inputs"].update(steps=1000, step_ms=20)
    r = driver.run(settings, {}, [picture()])
    assert r.rc == INVALID and "refuses node 9 (SaveImage)" in r.text, r
    wait_until("its prompt is gone", lambda: comfy.executor.remaining() == 0)


@pytest.mark.parametrize("how,rc,words", [
    ("raise", BADINPUT, "node 9 (Misbehave) failed: ValueError: the face is not a face"),
    ("oom", NOMEM, "the GPU has no room for node 9 (Misbehave): CUDA out of memory"),
    ("cuda", FAIL, "node 9 (Misbehave) failed: RuntimeError: CUDA error"),
    ("no_space", FAIL, "No space left on device"),
    ("odd_output", INVALID, "the output node 9 gave no file, but text, images"),
    ("gone_output", NOTFOUND, "answers 404 to /view of gone.png, which node 9 gave"),
    ("empty_output", FAIL, "empty.png, which node 9 gave, is empty"),
])
def test_each_way_to_fail_has_its_words_and_its_meaning(comfy, driver, how, rc, words):
    r = driver.run(wrong_settings(comfy.url, how, message="the face\nis not a face"))
    assert (r.rc, r.output) == (rc, None) and words in r.text, r
    assert comfy.freed == ([{"unload_models": True, "free_memory": True}] if how in ("oom", "gone_output") else [])


def test_a_photo_that_is_none_is_told_in_the_models_words(comfy, driver):
    r = driver.run(paint_settings(comfy.url), {}, [b"this is no picture"])
    assert r.rc == BADINPUT and "node 1 (LoadImage) failed: PIL.UnidentifiedImageError: cannot identify image file" in r.text, r


def test_a_result_that_comfyui_kept_without_its_file_is_made_anew_by_the_next_attempt(comfy, driver):
    """Old versions name no file of a node that did not run again; and the file may have been cleaned away meanwhile."""
    comfy.script.forgets_cached_output = True
    assert driver.run(paint_settings(comfy.url), {}, [picture()]).rc == OK
    r = driver.run(paint_settings(comfy.url), {}, [picture()])
    assert r.rc == NOTFOUND and "output node 9 gave no file" in r.text, r
    assert driver.run(paint_settings(comfy.url), {}, [picture()]).rc == OK
    comfy.script.forgets_cached_output = False
    for f in (comfy.dir / "output" / "out").iterdir():
        f.unlink()
    r = driver.run(paint_settings(comfy.url), {}, [picture()])
    assert r.rc == NOTFOUND and "404 to /view" in r.text, r
    assert driver.run(paint_settings(comfy.url), {"seed": 3}, [picture()]).output == shifted(picture(), 3)


def test_an_output_over_its_limit_is_refused_and_leaves_no_file(comfy, driver):
    r = driver.run(paint_settings(comfy.url, max_output_bytes=100), {}, [picture()])
    assert r.rc == INVALID and "more than 100 bytes (settings.max_output_bytes)" in r.text and r.output is None


def test_an_upload_over_comfyuis_limit_says_what_to_raise(comfy, driver):
    comfy.script.max_upload = 200
    r = driver.run(paint_settings(comfy.url), {}, [picture(64, 64)])
    assert r.rc == BADINPUT and "--max-upload-size" in r.text, r


# ---- a ComfyUI that is not there, or not well ----

def test_a_comfyui_that_is_down_has_a_message_of_its_own(comfy, driver):
    comfy.die()
    r = driver.run(paint_settings(comfy.url), {}, [picture()])
    assert r.rc == LATER and f"ComfyUI at {comfy.url} is down" in r.text, r
    assert ("waiting for ComfyUI") in [text for _, text in r.progress()]


def test_a_comfyui_that_comes_up_meanwhile_is_waited_for(comfy, driver):
    comfy.die()
    threading.Timer(0.7, comfy.start).start()
    r = driver.run(paint_settings(comfy.url, start_timeout_s=20), {"seed": 6}, [picture()])
    assert r.rc == OK and r.output == shifted(picture(), 6)


@pytest.mark.parametrize("path,rc,words", [
    ("/system_stats", LATER, "answers 503 to /system_stats"),
    ("/upload/image", FAIL, "answers 503 to the upload of photo"),
    ("/prompt", FAIL, "status 503"),
    ("/history", LATER, "went away while it ran the graph"),
    ("/view", FAIL, "answers 503 to /view"),
])
def test_each_call_that_is_refused_is_named_and_tried_again(comfy, driver, path, rc, words):
    comfy.script.answers[path] = 503
    comfy.script.no_ws = True
    if path == "/view":  # the look for the photo must not be what fails
        (comfy.dir / "input" / "p.png").write_bytes(picture())
        settings = {"url": comfy.url, "start_timeout_s": 1, "graph": {"1": node("LoadImage", image="p.png"), "9": node("SaveImage", images=["1", 0], filename_prefix="a")}}
        r = driver.run(settings)
    else:
        r = driver.run(paint_settings(comfy.url), {}, [picture()])
    assert r.rc == rc and words in r.text, r


@pytest.mark.parametrize("path", ["/system_stats", "/upload/image", "/prompt", "/history", "/view"])
def test_no_call_waits_for_ever(comfy, driver, path):
    comfy.script.hangs.add(path)
    r = driver.run(paint_settings(comfy.url, request_timeout_s=1, transfer_timeout_s=1), {}, [picture()])
    assert r.rc in (TIMEOUT, LATER) and ("in time" in r.text or "went away" in r.text), r


def test_an_output_that_breaks_off_is_no_output(comfy, driver):
    (comfy.dir / "input" / "p.png").write_bytes(picture())
    comfy.script.cuts.add("/view")
    r = driver.run({"url": comfy.url, "graph": {"1": node("LoadImage", image="p.png"), "9": node("SaveImage", images=["1", 0], filename_prefix="a")}})
    assert r.rc == LATER and "broke off GET /view" in r.text and r.output is None, r


def test_a_comfyui_that_dies_in_the_middle_and_stays_away(comfy, driver):
    r = driver.run(wrong_settings(comfy.url, "die"))
    assert r.rc == LATER and "went away while it ran the graph, and is not back after 1 s" in r.text, r


def test_a_comfyui_that_was_restarted_has_lost_the_prompt(comfy, driver):
    threading.Thread(target=lambda: (wait_until("it died", lambda: not comfy.alive), comfy.start()), daemon=True).start()
    r = driver.run(wrong_settings(comfy.url, "die", start_timeout_s=20))
    assert r.rc == FAIL and "has lost the prompt: it was restarted" in r.text, r


def test_a_prompt_that_somebody_interrupts_is_tried_again(comfy, driver):
    threading.Thread(target=lambda: (wait_until("it runs", lambda: comfy.executor.running), comfy.executor.interrupt(None)), daemon=True).start()
    r = driver.run(wrong_settings(comfy.url, "hang"))
    assert r.rc == FAIL and "somebody interrupted" in r.text, r


def test_an_upload_under_another_name_is_not_taken_for_ours(comfy, driver):
    comfy.script.other_name = "else.png"
    r = driver.run(paint_settings(comfy.url), {}, [picture()])
    assert r.rc == FAIL and 'took the file photo as "else.png"' in r.text


# ---- told to stop ----

def test_a_running_prompt_is_interrupted(comfy, driver):
    settings = paint_settings(comfy.url)
    settings["graph"]["3"]["inputs"].update(steps=1000, step_ms=20)
    r = driver.run(settings, {}, [picture()], stop_at="KSampler: ")
    assert r.rc == STOPPED and r.output is None
    assert comfy.asked("POST", "/interrupt") and comfy.executor.remaining() == 0
    assert comfy.executor.history == {}


def test_a_waiting_prompt_is_taken_out_of_the_queue_and_nobody_elses_is_interrupted(comfy, driver):
    other = comfy.executor.put({"9": node("Misbehave", how="hang")}, {"client_id": "somebody"}, ["9"])
    wait_until("the other runs", lambda: comfy.executor.running)
    r = driver.run(paint_settings(comfy.url), {}, [picture()], stop_at="in ComfyUI's queue, 1 before it")
    assert r.rc == STOPPED, r
    assert comfy.executor.pending == [] and comfy.executor.running[1] == other[1] and not comfy.asked("POST", "/interrupt")


def test_a_wait_for_comfyui_ends_when_told(comfy, driver):
    comfy.die()
    r = driver.run(paint_settings(comfy.url, start_timeout_s=600), {}, [picture()], stop_at="waiting for ComfyUI")
    assert r.rc == STOPPED


def test_before_the_deadline_the_prompt_is_interrupted_and_the_time_is_named(comfy, driver):
    r = driver.run(wrong_settings(comfy.url, "hang"), limit_ms=2000)
    assert r.rc == TIMEOUT and "needs longer for the graph than timeoutSeconds allows" in r.text, r
    assert comfy.asked("POST", "/interrupt") and comfy.executor.remaining() == 0


def test_a_prompt_whose_answer_never_came_is_found_by_its_client_and_stopped(comfy, driver):
    """The graph may be in the queue though POST /prompt failed: it must not run for nobody."""
    comfy.script.cuts.add("/prompt")
    settings = paint_settings(comfy.url)
    settings["graph"]["3"]["inputs"].update(steps=1000, step_ms=20)
    r = driver.run(settings, {}, [picture()])
    assert r.rc == LATER and "broke off POST" in r.text, r
    assert comfy.prompts and comfy.executor.remaining() == 0


def test_what_an_attempt_left_behind_is_taken_back_by_the_next(comfy, driver):
    """Of a runner that was killed: its prompt is still at work, and another waits."""
    at, process = driver.start(wrong_settings(comfy.url, "hang"))
    first = wait_until("it runs", lambda: comfy.executor.running)
    process.kill()
    process.wait()
    comfy.executor.put(first[2], first[3], first[4])
    stranger = comfy.executor.put({"9": node("ShowText", text="x")}, {"client_id": "bpd-77-1-x"}, ["9"])
    r = driver.run(paint_settings(comfy.url), {"seed": 5}, [picture()])
    assert r.rc == OK and r.output == shifted(picture(), 5), r
    assert stranger[1] in comfy.executor.history and first[1] in comfy.executor.history and len(comfy.executor.history) == 2
