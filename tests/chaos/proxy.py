# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that cuts: between the clients and bpd, on a port of its own, in a thread of its own."""
import asyncio
import random
import socket
import struct
import threading


class Proxy:
    """Passes bytes on until told to cut. `cutting` is the probability that a stretch of bytes ends in a cut; a cut falls
    at a random byte of it, in either direction, so requests and answers break anywhere."""

    def __init__(self, target_port, seed):
        self.target_port, self.rng = target_port, random.Random(seed)
        self.cutting = 0.0
        self.cuts = 0
        self.open = set()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        self.open.add(writer)
        up = None
        try:
            up_reader, up = await asyncio.open_connection("127.0.0.1", self.target_port)
            self.open.add(up)
            await asyncio.gather(self._pump(reader, up, (writer, up)), self._pump(up_reader, writer, (writer, up)))
        except OSError:
            pass
        finally:
            for w in (writer, up):
                if w:
                    self.open.discard(w)
                    w.close()

    async def _pump(self, reader, writer, both):
        while data := await reader.read(65536):
            if self.cutting and self.rng.random() < self.cutting:
                writer.write(data[: self.rng.randrange(len(data))])
                await asyncio.sleep(0.001)
                self._cut(both)
                return
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()

    def _cut(self, writers):
        self.cuts += 1
        for w in writers:
            sock = w.get_extra_info("socket")
            if sock and self.rng.random() < 0.5:  # a reset as well as an end
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
            w.transport.abort()

    def cut_all(self):
        """Cuts every connection there is."""
        self.loop.call_soon_threadsafe(lambda: self._cut(list(self.open)))

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
