# SPDX-License-Identifier: Apache-2.0
"""The nodes, and the checks ComfyUI makes of a graph before it takes it."""
import pathlib
import time

from . import png

INT, FLOAT, STRING, IMAGE = "INT", "FLOAT", "STRING", "IMAGE"


class OutOfMemoryError(Exception):
    """torch.OutOfMemoryError"""


class Interrupted(Exception):
    """InterruptProcessingException"""


class Node:
    inputs = {}    # name -> type; a tuple is a list to choose from
    optional = {}
    output = False  # whether it is an output node

    def check(self, comfy, values):
        """What VALIDATE_INPUTS says: True, or words."""
        return True

    def changed(self, comfy, values):
        """What IS_CHANGED says: part of the key of the cache."""
        return None

    def run(self, run, values):
        """(value, ui): ui is what goes into the history, None: nothing."""
        raise NotImplementedError


class LoadImage(Node):
    inputs = {"image": STRING}

    @staticmethod
    def path(comfy, name):
        return comfy.dir / "input" / name

    def check(self, comfy, values):
        name = values["image"]
        return True if self.path(comfy, name).is_file() else f"Invalid image file: {name}"

    def changed(self, comfy, values):
        return self.path(comfy, values["image"]).read_bytes()

    def run(self, run, values):
        return png.decode(self.path(run.comfy, values["image"]).read_bytes(), values["image"]), None


class KSampler(Node):
    """Adds the seed to every byte of the picture, in as many steps as it is told, with a preview each."""
    inputs = {"image": IMAGE, "seed": INT, "steps": INT, "cfg": FLOAT, "text": STRING}
    optional = {"step_ms": INT}

    def run(self, run, values):
        width, height, pixels = values["image"]
        for step in range(values["steps"]):
            run.progress(step, values["steps"])
            run.preview(b"\xff\xd8" + bytes(3000))
            time.sleep(values.get("step_ms", 0) / 1000)
        run.progress(values["steps"], values["steps"])
        return (width, height, bytes((b + values["seed"]) & 255 for b in pixels)), None


class CheckpointLoaderSimple(Node):
    inputs = {"ckpt_name": ("sd15.safetensors", "sdxl.safetensors")}

    def run(self, run, values):
        return values["ckpt_name"], None


class SaveImage(Node):
    inputs = {"images": IMAGE, "filename_prefix": STRING}
    output, folder, key = True, "output", "images"

    def content(self, values):
        return png.encode(*values["images"]), ".png"

    def run(self, run, values):
        data, ending = self.content(values)
        folder, _, prefix = values["filename_prefix"].rpartition("/")
        at = run.comfy.dir / self.folder / folder
        at.mkdir(parents=True, exist_ok=True)
        name = f"{prefix}_{len(list(at.iterdir())) + 1:05}_{ending}"
        (at / name).write_bytes(data)
        return None, {self.key: [{"filename": name, "subfolder": folder, "type": self.folder}]}


class PreviewImage(SaveImage):
    folder = "temp"


class VHS_VideoCombine(SaveImage):
    key = "gifs"

    def content(self, values):
        return b"\0\0\0\x18ftypmp42" + png.encode(*values["images"]) * 200, ".mp4"


class ShowText(Node):
    inputs = {"text": STRING}
    output = True

    def run(self, run, values):
        return values["text"], {"text": [values["text"]]}


class Misbehave(Node):
    """An output node that goes wrong as `how` says."""
    inputs = {"how": ("raise", "oom", "cuda", "die", "hang", "no_space", "odd_output", "gone_output", "empty_output", "ok")}
    optional = {"image": IMAGE, "message": STRING}
    output = True

    def run(self, run, values):
        how, message = values["how"], values.get("message", "the model said no")
        if how == "raise":
            raise ValueError(message)
        if how == "oom":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 14.58 GiB")
        if how == "cuda":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if how == "no_space":
            raise OSError(28, "No space left on device")
        if how == "die":
            run.comfy.die()
        while how == "hang" or run.dead:
            run.check()
            time.sleep(0.02)
        if how == "odd_output":
            return None, {"text": ["words"], "images": []}
        name = "gone.png"
        if how == "empty_output":
            name = "empty.png"
            (run.comfy.dir / "output" / name).write_bytes(b"")
        return None, {"images": [{"filename": name, "subfolder": "", "type": "output"}]}


CLASSES = {c.__name__: c for c in (LoadImage, KSampler, CheckpointLoaderSimple, SaveImage, PreviewImage, VHS_VideoCombine, ShowText, Misbehave)}


# ---- checks ----

def is_link(value):
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def error(kind, message, details, **extra):
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def convert(kind, name, value):
    """(value, error)"""
    if isinstance(kind, tuple):
        return (value, None) if value in kind else (None, error("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {list(kind)}"))
    try:
        return {INT: int, FLOAT: float, STRING: str}.get(kind, lambda v: v)(value), None
    except (TypeError, ValueError) as e:
        return None, error("invalid_input_type", f"Failed to convert an input value to a {kind} value", f"{name}, {value}, {e}")


def check_node(comfy, graph, id):
    """Errors of one node; its values are converted in place."""
    node, errors, plain = graph[id], [], {}
    kind = CLASSES[node["class_type"]]
    for name, type in {**kind.inputs, **kind.optional}.items():
        if name not in node["inputs"]:
            if name in kind.inputs:
                errors.append(error("required_input_missing", "Required input is missing", name))
            continue
        value = node["inputs"][name]
        if is_link(value):
            if value[0] not in graph:
                errors.append(error("exception_during_validation", "Exception when validating node", f"'{value[0]}'"))
            continue
        value, wrong = convert(type, name, value)
        if wrong:
            errors.append(wrong)
        else:
            node["inputs"][name] = plain[name] = value
    said = kind().check(comfy, plain) if not errors else True
    if said is not True:
        errors.append(error("custom_validation_failed", "Custom validation failed for node", f"{next(iter(kind.inputs))} - {said}"))
    return errors


def needs(graph, id, seen=None):
    """The ids of a node and of all it depends on."""
    seen = set() if seen is None else seen
    if id in graph and id not in seen:
        seen.add(id)
        for value in graph[id]["inputs"].values():
            if is_link(value):
                needs(graph, value[0], seen)
    return seen


def validate(comfy, graph):
    """(outputs to run, error, node_errors)"""
    for id, node in graph.items():
        if node.get("class_type") not in CLASSES:
            return [], error("invalid_prompt", f"Cannot execute because node {node.get('class_type')} does not exist.", f"Node ID '#{id}'"), {}
    outputs = [id for id, node in graph.items() if CLASSES[node["class_type"]].output]
    if not outputs:
        return [], error("prompt_no_outputs", "Prompt has no outputs", ""), {}
    wrong = {id: errors for id in graph if (errors := check_node(comfy, graph, id))}
    good = [o for o in outputs if not needs(graph, o) & set(wrong)]
    node_errors = {id: {"errors": errors, "dependent_outputs": [o for o in outputs if id in needs(graph, o)], "class_type": graph[id]["class_type"]}
                   for id, errors in wrong.items()}
    if not good:
        return [], error("prompt_outputs_failed_validation", "Prompt outputs failed validation", ""), node_errors
    return good, None, node_errors


def safe(root, subfolder, name):
    """A path below root, or None."""
    path = (pathlib.Path(root) / subfolder / name).resolve()
    return path if path.is_relative_to(pathlib.Path(root).resolve()) else None
