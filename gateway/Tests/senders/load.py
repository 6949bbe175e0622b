#!/usr/bin/env python3
"""Readings a second and processor time per reading of the gateway, beside Debian's Prometheus (remote-write receiver) and InfluxDB
taking the very same bodies in the same run. Processor time is the kernel's count of each process.

    load.py DAEMON GATEWAY [--seconds 10] [--streams 2000]
"""
import argparse
import gzip
import http.client
import os
import shutil
import struct
import subprocess
import threading
import time

import cramjam

from plant import Plant, free_port

T0 = int(time.time()) - 3000


CONNECTIONS = 4


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def remote_write(streams, step):  # `streams` is a range
    def label(name, value):
        return field(1, field(1, name.encode()) + field(2, value.encode()))
    body = b"".join(
        field(1, label("__name__", "node_cpu_seconds_total") + label("cpu", str(n % 8)) + label("instance", f"host-{n:05d}:9100") + label("job", "node")
              + label("mode", "idle") + field(2, b"\x09" + struct.pack("<d", n + step * 0.37) + b"\x10" + varint((T0 + step) * 1000)))
        for n in streams)
    return bytes(cramjam.snappy.compress_raw(body)), {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                                                      "X-Prometheus-Remote-Write-Version": "0.1.0", "User-Agent": "load"}


def lines(streams, step):
    body = "".join(f"cpu,cpu=cpu{n % 8},host=host-{n:05d} usage_idle={(n + step * 0.37) % 100:.3f} {(T0 + step) * 10**9}\n" for n in streams)
    return body.encode(), {"User-Agent": "load"}


def packed_lines(streams, step):
    body, headers = lines(streams, step)
    return gzip.compress(body, 5), headers | {"Content-Encoding": "gzip"}


def seconds_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        parts = f.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def run(port, path, bodies, streams, pids):
    """Each connection sends the bodies of a share of the streams in order of time. Returns rate, seconds of each process per million readings."""
    before = [seconds_of(p) for p in pids]
    begin = time.time()
    failures = []

    def send(own):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for body, headers in own:
            while True:
                c.request("POST", path, body, headers)
                r = c.getresponse()
                text = r.read()
                if r.status in (200, 204):
                    break
                failures.append((r.status, text[:100]))
                if r.status not in (429, 503) or len(failures) > 100:
                    return
                time.sleep(0.2)

    threads = [threading.Thread(target=send, args=(own,)) for own in bodies]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.time() - begin
    readings = sum(len(own) for own in bodies) * streams
    cost = [(seconds_of(p) - b) / readings * 1e6 for p, b in zip(pids, before)]
    return readings / took, cost, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("daemon")
    parser.add_argument("gateway")
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    n, steps = options.streams, options.steps
    print(f"{n} streams a connection, {steps} readings each, {CONNECTIONS} connections, bodies of {n} readings\n")
    print("| what | door | readings/s | processor s per million readings | readings per processor second |")
    print("|---|---|---:|---:|---:|")
    kinds = [("remote write", remote_write, "/api/v1/write"), ("line protocol", lines, "/write?db=d"), ("line protocol, gzip", packed_lines, "/write?db=d")]
    prometheus, influxd = shutil.which("prometheus"), shutil.which("influxd")
    for name, make, path in kinds:
        # Each connection has streams of its own: their readings come in order.
        bodies = [[make(range(k * n, (k + 1) * n), step) for step in range(steps)] for k in range(CONNECTIONS)]
        plant = Plant(options.daemon, options.gateway, durability="always")
        try:
            plant.start_daemon()
            plant.start_gateway()
            rate, cost, failures = run(plant.port, path, bodies, n, [plant.gateway.pid, plant.daemon.pid])
            print(f"| rnn-gateway | {name} | {rate:,.0f} | {cost[0]:.2f} (daemon beside it {cost[1]:.2f}) | {1e6 / cost[0]:,.0f} |", flush=True)
            if failures:
                print("  failures:", failures[:3])
        finally:
            plant.stop()
        other(plant, name, path, bodies, n, prometheus, influxd)


def other(plant, name, path, bodies, n, prometheus, influxd):
    port = free_port()
    folder = plant.folder + "-other"
    os.makedirs(folder)
    try:
        if name == "remote write" and prometheus:
            with open(folder + "/p.yml", "w") as f:
                f.write("global: {}\n")
            process = subprocess.Popen([prometheus, "--config.file", folder + "/p.yml", "--storage.tsdb.path", folder + "/tsdb", "--web.enable-remote-write-receiver",
                                        f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            title = "Prometheus"
        elif name.startswith("line protocol") and influxd:
            with open(folder + "/i.conf", "w") as f:
                f.write(f'bind-address = "127.0.0.1:{free_port()}"\nreporting-disabled = true\n[meta]\n  dir = "{folder}/meta"\n[data]\n  dir = "{folder}/data"\n'
                        f'  wal-dir = "{folder}/wal"\n[http]\n  bind-address = "127.0.0.1:{port}"\n  log-enabled = false\n[monitor]\n  store-enabled = false\n')
            process = subprocess.Popen([influxd, "-config", folder + "/i.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            title = "InfluxDB 1.6"
        else:
            return
        for _ in range(100):
            try:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                c.request("POST" if title != "Prometheus" else "GET", "/query?q=CREATE+DATABASE+d" if title != "Prometheus" else "/-/ready")
                if c.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        rate, cost, failures = run(port, path, bodies, n, [process.pid])
        print(f"| {title} | {name} | {rate:,.0f} | {cost[0]:.2f} | {1e6 / cost[0]:,.0f} |", flush=True)
        if failures:
            print("  failures:", failures[:3])
        process.terminate()
        process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
