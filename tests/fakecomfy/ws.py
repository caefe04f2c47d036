# SPDX-License-Identifier: Apache-2.0
"""The server's end of a WebSocket (RFC 6455) on a socket whose handshake is done."""
import base64
import hashlib
import struct
import threading

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def head(opcode, n, fin=True):
    first = (0x80 if fin else 0) | opcode
    if n < 126:
        return struct.pack(">BB", first, n)
    return struct.pack(">BBH", first, 126, n) if n < 65536 else struct.pack(">BBQ", first, 127, n)


class Socket:
    def __init__(self, connection, stream):
        self.connection, self.stream = connection, stream
        self.lock = threading.Lock()
        self.pongs = 0  # how many the client sent
        self.closed = None  # the code the client closed with

    def send(self, opcode, data, fin=True):
        try:
            with self.lock:
                self.connection.sendall(head(opcode, len(data), fin) + data)
        except OSError:
            pass  # its reader will see the end

    def send_text(self, text):
        """In two fragments, with a ping between, where it is long enough: a client has to bear that."""
        data = text.encode()
        if len(data) < 200:
            self.send(TEXT, data)
            return
        self.send(TEXT, data[:100], fin=False)
        self.send(PING, b"are you there")
        self.send(0, data[100:])

    def receive(self):
        """(opcode, payload); ConnectionError at the end. A frame that is not masked is an error: clients must."""
        first, second = self.exactly(2)
        n = second & 127
        if n > 125:
            n = int.from_bytes(self.exactly(2 if n == 126 else 8), "big")
        if not second & 128:
            raise ConnectionError("a client's frame without a mask")
        mask, data = self.exactly(4), self.exactly(n)
        return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(data))

    def exactly(self, n):
        data = self.stream.read(n)
        if len(data) < n:
            raise ConnectionError("the end")
        return data

    def serve(self):
        """Reads until the client is gone."""
        try:
            while True:
                opcode, data = self.receive()
                if opcode == PONG:
                    self.pongs += 1
                elif opcode == PING:
                    self.send(PONG, data)
                elif opcode == CLOSE:
                    self.closed = int.from_bytes(data[:2], "big")
                    self.send(CLOSE, data[:2])
                    return
        except (OSError, ConnectionError, ValueError):
            pass
