# SPDX-License-Identifier: Apache-2.0
"""The queue of prompts and the thread that runs them, one after another, as ComfyUI's does."""
import json
import struct
import threading
import time
import traceback
import uuid

from . import nodes


class Dead(BaseException):
    """Ends what its ComfyUI did when that died."""


class Run:
    """What a node may do while it runs."""

    def __init__(self, executor, item):
        self.executor, self.comfy = executor, executor.comfy
        self.number, self.prompt_id, self.graph, self.extra, self.outputs = item
        self.client_id = self.extra.get("client_id")
        self.node, self.messages, self.ui, self.values, self.done = None, [], {}, {}, []
        self.states = {}  # node -> (state, value, max)

    @property
    def dead(self):
        return self.executor.dead

    def check(self):
        if self.dead:
            raise Dead
        if self.executor.interrupted:
            raise nodes.Interrupted

    def progress(self, value, most):
        self.check()
        self.tell_state("running", value, most)
        self.send("progress", {"value": value, "max": most, "prompt_id": self.prompt_id, "node": self.node})

    def tell_state(self, state, value=0.0, most=1.0):
        """What versions since 2025 say besides, to all clients."""
        if self.comfy.script.old_history:
            return
        self.states[self.node] = (state, value, most)
        nodes = {id: {"value": v, "max": m, "state": s, "node_id": id, "prompt_id": self.prompt_id, "display_node_id": id,
                      "parent_node_id": None, "real_node_id": id} for id, (s, v, m) in self.states.items()}
        self.send("progress_state", {"prompt_id": self.prompt_id, "nodes": nodes}, broadcast=True)

    def preview(self, picture):
        self.comfy.send_binary(struct.pack(">II", 1, 1) + picture, self.client_id)

    def send(self, kind, data, broadcast=False):
        self.comfy.send(kind, data, None if broadcast else self.client_id)

    def status(self, kind, data, broadcast=False):
        """A message that is kept in the history too."""
        data = {**data, "prompt_id": self.prompt_id, "timestamp": int(time.time() * 1000)}
        self.messages.append([kind, data])
        self.send(kind, data, broadcast)

    # ---- the graph ----

    def key(self, id):
        """What a node's result depends on."""
        node = self.graph[id]
        kind = nodes.CLASSES[node["class_type"]]()
        plain = {k: v for k, v in node["inputs"].items() if not nodes.is_link(v)}
        links = {k: self.key(v[0]) for k, v in node["inputs"].items() if nodes.is_link(v)}
        return json.dumps([node["class_type"], plain, links, repr(kind.changed(self.comfy, plain))], sort_keys=True)

    def run_node(self, id):
        if id in self.values:
            return
        node = self.graph[id]
        for value in node["inputs"].values():
            if nodes.is_link(value):
                self.run_node(value[0])
        cached = self.executor.cache.get(self.key(id))
        if cached:
            self.values[id], ui = cached
        else:
            self.check()
            self.node = id
            self.tell_state("running")
            self.send("executing", {"node": id, "display_node": id, "prompt_id": self.prompt_id})
            given = {k: self.values[v[0]] if nodes.is_link(v) else v for k, v in node["inputs"].items()}
            self.values[id], ui = nodes.CLASSES[node["class_type"]]().run(self, given)
            self.executor.cache[self.key(id)] = (self.values[id], ui)
            self.tell_state("finished", *self.states.get(id, (0, 1.0, 1.0))[2:] * 2)
        self.done.append(id)
        if ui is not None and not (cached and self.comfy.script.forgets_cached_output):
            self.ui[id] = ui
            self.send("executed", {"node": id, "display_node": id, "output": ui, "prompt_id": self.prompt_id})

    def cached_nodes(self):
        needed = set().union(*(nodes.needs(self.graph, o) for o in self.outputs))
        return [id for id in self.graph if id in needed and self.key(id) in self.executor.cache]

    def fail(self, e):
        name = type(e).__name__ if type(e).__module__ == "builtins" else ("torch." if isinstance(e, nodes.OutOfMemoryError) else "PIL.") + type(e).__name__
        self.status("execution_error", {"node_id": self.node, "node_type": self.graph[self.node]["class_type"], "executed": self.done,
                                        "exception_message": str(e), "exception_type": name, "traceback": traceback.format_exception(e),
                                        "current_inputs": {}, "current_outputs": []})

    def run(self):
        """True: it succeeded"""
        self.status("execution_start", {})
        try:
            self.status("execution_cached", {"nodes": self.cached_nodes()})
            for id in self.outputs:
                self.run_node(id)
        except nodes.Interrupted:
            self.status("execution_interrupted", {"node_id": self.node, "node_type": "", "executed": self.done}, broadcast=True)
            return False
        except Exception as e:
            self.fail(e)
            return False
        self.status("execution_success", {})
        return True


class Executor(threading.Thread):
    """One life of ComfyUI: what it knows is gone when it dies."""

    def __init__(self, comfy):
        super().__init__(daemon=True)
        self.comfy = comfy
        self.changed = threading.Condition()
        self.pending, self.running, self.history, self.cache = [], None, {}, {}
        self.number, self.interrupted, self.dead = 0, False, False

    def put(self, graph, extra, outputs):
        with self.changed:
            item = (self.number, str(uuid.uuid4()), graph, extra, outputs)
            self.number += 1
            self.pending.append(item)
            self.changed.notify_all()
        self.tell_status()
        return item

    def remaining(self):
        return len(self.pending) + (self.running is not None)

    def tell_status(self):
        self.comfy.send("status", {"status": {"exec_info": {"queue_remaining": self.remaining()}}}, None)

    def delete(self, prompt_id):
        with self.changed:
            self.pending = [i for i in self.pending if i[1] != prompt_id]
        self.tell_status()

    def interrupt(self, prompt_id):
        """Of a prompt, or (None) of the one that runs."""
        with self.changed:
            if self.running and prompt_id in (None, self.running[1]):
                self.interrupted = True

    def die(self):
        with self.changed:
            self.dead = True
            self.changed.notify_all()

    def next(self):
        with self.changed:
            while not self.dead and (not self.pending or self.comfy.script.holds_queue):
                self.changed.wait(0.05)
            self.running = None if self.dead else self.pending.pop(0)
            self.interrupted = False
            return self.running

    def keep(self, item, run, ok):
        with self.changed:
            self.running = None
            status = {"status_str": "success" if ok else "error", "completed": ok, "messages": run.messages}
            self.history[item[1]] = {"prompt": list(item), "outputs": run.ui, "meta": {},
                                     "status": None if self.comfy.script.old_history else status}

    def run(self):
        while item := self.next():
            run = Run(self, item)
            try:
                ok = run.run()
            except Dead:
                return
            if self.dead:
                return
            time.sleep(self.comfy.script.history_delay_s)
            self.keep(item, run, ok)
            run.send("executing", {"node": None, "prompt_id": run.prompt_id})
            self.tell_status()
