# SPDX-License-Identifier: Apache-2.0
"""A ComfyUI for tests: its HTTP routes, its WebSocket, its queue, cache and history, and a few nodes that make real files.

    comfy = FakeComfy(directory).start()    # http://127.0.0.1:comfy.port
    comfy.die()                             # as kill -9: every connection breaks, queue and history are lost
    comfy.start()                           # again, on the same port; files are still there

What goes wrong on purpose is either a node of the graph (nodes.Misbehave) or a word of comfy.script (server.Script).
"""
from .server import FakeComfy, Script

__all__ = ["FakeComfy", "Script"]
