#!/usr/bin/env python3
"""What a hostile or broken sender may do: a defined answer each, memory bounded, everybody else served meanwhile.

    hostile.py DAEMON GATEWAY
"""
import gzip
import socket
import sys
import time
import zlib

import requests

from plant import Laws, Plant


def raw(plant, data, timeout=5):
    """Sends bytes, returns the first line of the answer ('' when the connection was closed without one)."""
    with socket.create_connection(("127.0.0.1", plant.port), timeout) as s:
        try:
            s.sendall(data)
            out = b""
            while b"\r\n" not in out:
                part = s.recv(4096)
                if not part:
                    break
                out += part
            return out.split(b"\r\n")[0].decode(errors="replace")
        except (ConnectionError, socket.timeout) as error:
            return type(error).__name__


def main():
    laws = Laws()
    plant = Plant(sys.argv[1], sys.argv[2], extra='connections_max = 300\nhead_timeout = "2s"\nbody_timeout = "4s"\n')
    keep = True
    try:
        plant.start_daemon()
        plant.start_gateway()
        session = requests.Session()

        def post(path, data, **headers):
            return session.post(plant.url + path, data=data, headers=headers, timeout=20)

        def served():
            return requests.post(plant.url + "/lines", data="ok v=1", timeout=10).status_code == 204

        laws.check(served(), "a good sender is served")
        before = plant.resident()

        bomb = gzip.compress(b"\0" * (1 << 30), 9)
        laws.check(post("/write", bomb, **{"Content-Encoding": "gzip"}).status_code == 413, f"a gzip bomb (1 GiB in {len(bomb) >> 10} KiB) is 413")
        deflate = zlib.compress(b"\0" * (1 << 28), 9)
        laws.check(post("/write", deflate, **{"Content-Encoding": "deflate"}).status_code == 413, "a zlib bomb is 413")
        nested = gzip.compress(gzip.compress(b"\0" * 1000))
        laws.check(post("/write", nested, **{"Content-Encoding": "gzip"}).status_code == 400, "gzip in gzip is no lines")
        proto = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        for name, data in {"4 GiB declared in 10 bytes": b"\xff\xff\xff\xff\x0f\0\0\0\0\0", "over the bound": b"\x80\x80\x80\x80\x01" + b"\0" * 99,
                           "empty": b"", "a copy from before the beginning": b"\x08\x05\x01", "random": bytes(range(256))}.items():
            laws.check(post("/api/v1/write", data, **proto).status_code == 400, f"snappy, {name}, is 400")
        laws.check(post("/v1/metrics", b"[" * 100_000, **{"Content-Type": "application/json"}).status_code == 400, "JSON nested 100,000 deep is 400")
        laws.check(post("/lines", b"[" * 100_000, **{"Content-Type": "application/json"}).status_code == 400, "the same as lines is 400")
        laws.check(post("/write", b"x" * (33 << 20)).status_code == 413, "33 MiB are 413")
        laws.check(raw(plant, b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n").startswith("HTTP/1.1 413"),
                   "a declared 99 GB is 413 before a byte of it came")
        laws.check(raw(plant, b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n").startswith("HTTP/1.1 400"), "a negative length is 400")
        laws.check(raw(plant, b"POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").startswith("HTTP/1.1 400"),
                   "two ways to say the length are 400")
        laws.check(raw(plant, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n").startswith(("HTTP/1.1 4", "Conn")), "a header of 100 KB is refused")
        laws.check(raw(plant, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: a\r\n" % i for i in range(5000)) + b"\r\n").startswith(("HTTP/1.1 4", "Conn")),
                   "5,000 headers are refused")
        laws.check(raw(plant, b"\x16\x03\x01\x02\x00" + b"\0" * 600).startswith(("HTTP/1.1 400", "Conn", "timeout", "Timeout")) , "TLS on a plain port is answered or closed")
        laws.check(raw(plant, b"GET / HTTP/9.9\r\n\r\n").startswith(("HTTP/1.1 4", "HTTP/1.1 5", "Conn")), "HTTP/9.9 is refused")
        for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/style.css/../../x", "//etc/passwd", "/alert?id=../../x", "/\0"):
            line = raw(plant, b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            laws.check(" 404" in line or " 400" in line or " 421" in line, f"{path!r} is not found", line)
        laws.check(session.post(plant.url + "/lines", data="a v=1", headers={"Origin": "http://evil.example"}).status_code == 403, "a post of another origin is 403")
        laws.check(session.post(plant.url + "/lines", data="a v=1", headers={"Host": "evil.example"}).status_code == 421, "a name that resolves here is 421")
        laws.check(session.get(plant.url + "/", headers={"Host": "evil.example"}).status_code == 421, "and reads nothing")

        # Slow senders: heads that trickle, bodies that trickle.
        begin = time.time()
        slow = [socket.create_connection(("127.0.0.1", plant.port)) for _ in range(100)]
        for s in slow:
            s.sendall(b"POST /lines HTTP/1.1\r\nHost: localhost\r\n")
        closed = 0
        while time.time() - begin < 8 and closed < 100:
            for s in slow:
                try:
                    s.sendall(b"X: y\r\n")
                except OSError:
                    pass
            closed = 0
            for s in slow:
                s.setblocking(False)
                try:
                    closed += s.recv(1) == b""
                except BlockingIOError:
                    pass
                except OSError:
                    closed += 1
            time.sleep(0.3)
        laws.check(closed == 100, f"100 trickling heads are closed after the time for a head ({time.time() - begin:.1f} s)", closed)
        for s in slow:
            s.close()
        s = socket.create_connection(("127.0.0.1", plant.port), 20)
        s.sendall(b"POST /lines HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        begin, answer = time.time(), b""
        try:
            while time.time() - begin < 12 and not answer:
                s.sendall(b"a")
                s.settimeout(0.3)
                try:
                    answer = s.recv(100)
                except socket.timeout:
                    pass
        except OSError:
            answer = b"closed"
        laws.check(answer.startswith((b"HTTP/1.1 408", b"closed")), f"a trickling body ends after the time for a body ({time.time() - begin:.1f} s)", answer)
        laws.check(served(), "a good sender is served after the slow ones")

        # Many connections.
        many, refused = [], 0
        for _ in range(10_000 // 10):
            try:
                c = socket.create_connection(("127.0.0.1", plant.port), 2)
                many.append(c)
            except OSError:
                refused += 1
        told = ended = 0
        for c in many:
            c.settimeout(5)
            try:
                answer = c.recv(100)
                told += answer.startswith(b"HTTP/1.1 503")
                ended += 1
            except ConnectionError:
                ended += 1
            except OSError:
                pass
        # Silent ones make room after the time for a head, which later ones may take.
        laws.check(told >= 100 and ended == len(many), f"of {len(many)} silent connections {told} are told 503, and each one ends ({ended})", refused)
        for c in many:
            c.close()
        for _ in range(9):
            for c in [socket.create_connection(("127.0.0.1", plant.port), 5) for _ in range(250)]:
                c.close()
        time.sleep(1)
        laws.check(served(), "a good sender is served after them")
        after = plant.resident()
        laws.check(after < before + 250, f"memory is bounded: {before} MiB before, {after} MiB after")
        laws.check(plant.gateway.poll() is None and plant.daemon.poll() is None, "both programs live")
        keep = laws.bad > 0
    finally:
        plant.stop(keep)
    laws.end()


if __name__ == "__main__":
    main()
