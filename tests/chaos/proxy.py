# SPDX-License-Identifier: Apache-2.0
"""Proxies that cut: between the clients and bpd, and between bpd and its database. Each in a thread of its own."""
import asyncio
import random
import socket
import struct
import threading


class Relay:
    """Passes bytes on, both ways, between a listening socket and a target, until it is told to cut."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.cuts = 0
        self.open = set()
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._listen())
        ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        self.open.add(writer)
        up = None
        try:
            up_reader, up = await self._connect()
            self.open.add(up)
            await asyncio.gather(self._up(reader, up, (writer, up)), self._down(up_reader, writer, (writer, up)))
        except OSError:
            pass
        finally:
            for w in (writer, up):
                if w:
                    self.open.discard(w)
                    w.close()

    @staticmethod
    async def _end(writer):
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


class Proxy(Relay):
    """Before bpd's HTTP door. `cutting` is the probability that a stretch of bytes ends in a cut; a cut falls at a random
    byte of it, in either direction, so requests and answers break anywhere."""

    def __init__(self, target_port, seed):
        self.target_port, self.cutting = target_port, 0.0
        super().__init__(seed)

    async def _listen(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]

    def _connect(self):
        return asyncio.open_connection("127.0.0.1", self.target_port)

    async def _pump(self, reader, writer, both):
        while data := await reader.read(65536):
            if self.cutting and self.rng.random() < self.cutting:
                writer.write(data[: self.rng.randrange(len(data))])
                await asyncio.sleep(0.001)
                self._cut(both)
                return
            writer.write(data)
            await writer.drain()
        await self._end(writer)

    _up = _down = _pump


class CommitProxy(Relay):
    """Between bpd and MariaDB: cuts in the middle of a commit. `armed` says how, once for each value put in:

    "before"  the commit never reaches the server
    "within"  it does, and the connection is gone before anybody knows what came of it
    "after"   the server has answered, and the answer is lost
    """

    WORD = b"COMMIT"
    EXECUTE = b"\x17"  # a prepared statement: a transaction with its end, or all of it but that

    def __init__(self, target, path, seed):
        self.target, self.path = str(target), path
        self.armed = None
        self.losing = set()  # connections whose answers are read and not passed on
        super().__init__(seed)

    async def _listen(self):
        await asyncio.start_unix_server(self._serve, str(self.path), backlog=64)

    def _connect(self):
        return asyncio.open_unix_connection(self.target)

    async def _up(self, reader, up, both):
        tail = b""
        while data := await reader.read(1 << 20):
            commits = self.WORD in tail + data or (data[4:5] == self.EXECUTE and self.rng.random() < 0.5)
            tail = data[-len(self.WORD) + 1:]
            how, self.armed = (self.armed, None) if commits and self.armed else (None, self.armed)
            if how == "after":
                self.losing.add(up)
            if how != "before":
                up.write(data)
                await up.drain()
            if how == "within":
                await asyncio.sleep(self.rng.choice([0, 0.001, 0.003]))
            if how in ("before", "within"):
                self._cut(both)
                return
        await self._end(up)

    async def _down(self, reader, writer, both):
        up = both[1]
        while True:
            try:  # the answers of one text come in a row: silence means that its last one, the commit's, is there
                data = await asyncio.wait_for(reader.read(1 << 20), 0.05 if up in self.losing else None)
            except asyncio.TimeoutError:
                break
            if not data:
                await self._end(writer)
                return
            if up in self.losing:
                continue
            writer.write(data)
            await writer.drain()
        self.losing.discard(up)
        self._cut(both)
