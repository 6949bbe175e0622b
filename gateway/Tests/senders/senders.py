#!/usr/bin/env python3
"""Real senders against the real gateway and daemon, both killed while they send.

Each sender repeats what got no 2xx, as such senders do. In the end every reading that was answered with 2xx is there exactly once:
the daemon's count of every stream is the number of readings that were made for it.

    senders.py DAEMON GATEWAY [--rounds N] [--only NAME]
"""
import argparse
import datetime
import os
import random
import subprocess
import threading
import time

import requests

from plant import Laws, Plant, free_port

T0 = 1_750_000_000


def persist(send, laws, name):
    """Repeats `send` until it is answered well. Returns the number of attempts."""
    for attempt in range(1, 400):
        try:
            send()
            return attempt
        except Exception as error:  # noqa: BLE001 every client has errors of its own
            persist.last = f"{name}: {type(error).__name__} {str(error)[:120]}"
            time.sleep(0.1)
    raise SystemExit("no answer: " + persist.last)


def influx1(plant, rounds, laws):
    from influxdb import InfluxDBClient
    client = InfluxDBClient("127.0.0.1", plant.port, database="x", timeout=40, retries=1)
    persist(lambda: client.create_database("x"), laws, "influxdb")
    for i in range(rounds):
        points = [{"measurement": "v1", "tags": {"n": str(n)}, "time": (T0 + i) * 1000, "fields": {"value": float(i), "state": "on"}} for n in range(5)]
        persist(lambda: client.write_points(points, time_precision="ms"), laws, "influxdb")
    return {f"v1,n={n}": rounds for n in range(5)}


def influx2(plant, rounds, laws):
    from influxdb_client import InfluxDBClient, Point
    from influxdb_client.client.write_api import SYNCHRONOUS
    with InfluxDBClient(plant.url, token="any", org="o", timeout=40_000, enable_gzip=True) as client:
        write = client.write_api(write_options=SYNCHRONOUS)
        for i in range(rounds):
            points = [Point("v2").tag("n", str(n)).field("a", i + 0.5).field("b", i).time((T0 + i) * 10**9) for n in range(5)]
            persist(lambda: write.write("bucket", record=points), laws, "influxdb-client")
    return {f"v2,n={n}": rounds for n in range(5)}


def influx3(plant, rounds, laws):
    from influxdb_client_3 import InfluxDBClient3, SYNCHRONOUS, WriteOptions, write_client_options
    client = InfluxDBClient3(host=plant.url, token="any", database="d", write_client_options=write_client_options(
        write_options=WriteOptions(write_type=SYNCHRONOUS.write_type)))
    for i in range(rounds):
        lines = [f"v3,n={n} value={i}i {(T0 + i) * 10**9}" for n in range(5)]
        persist(lambda: client.write(record=lines), laws, "influxdb3-python")
    return {f"v3,n={n}": rounds for n in range(5)}


def otlp(plant, rounds, laws):
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import Gauge, Metric, MetricExportResult, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    exporter = OTLPMetricExporter(endpoint=plant.url + "/v1/metrics", timeout=40)
    resource = Resource({"service.name": "shop"})

    def export(data):
        if exporter.export(data) is not MetricExportResult.SUCCESS:
            raise RuntimeError("not exported")

    for i in range(rounds):
        points = [NumberDataPoint(attributes={"n": n}, start_time_unix_nano=T0 * 10**9, time_unix_nano=(T0 + i) * 10**9, value=i * 0.5) for n in range(5)]
        data = MetricsData([ResourceMetrics(resource, [ScopeMetrics(InstrumentationScope("t"), [Metric("otlp", "", "", Gauge(points))], "")], "")])
        persist(lambda: export(data), laws, "otlp")
    return {f"otlp,n={n},service.name=shop": rounds for n in range(5)}


def lines(plant, rounds, laws):
    session = requests.Session()
    for i in range(rounds):
        body = "".join('{"stream":"json,n=%d","time":%d,"x":%d}\n' % (n, T0 + i, i) for n in range(5))
        persist(lambda: session.post(plant.url + "/lines", data=body, timeout=40).raise_for_status(), laws, "lines")
    return {f"json,n={n}": rounds for n in range(5)}


def remote_write(plant, rounds, laws):
    import cramjam

    def varint(n):
        out = b""
        while n >= 0x80:
            out += bytes([n & 0x7F | 0x80])
            n >>= 7
        return out + bytes([n])

    def field(number, data):
        return varint(number << 3 | 2) + varint(len(data)) + data

    def label(name, value):
        return field(1, field(1, name.encode()) + field(2, value.encode()))

    import struct
    session = requests.Session()
    for i in range(rounds):
        body = b"".join(
            field(1, label("__name__", "rw") + label("n", str(n)) + field(2, b"\x09" + struct.pack("<d", i) + b"\x10" + varint((T0 + i) * 1000)))
            for n in range(5))
        packed = bytes(cramjam.snappy.compress_raw(body))
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
        persist(lambda: session.post(plant.url + "/api/v1/write", data=packed, headers=headers, timeout=40).raise_for_status(), laws, "remote write")
    return {f"rw,n={n}": rounds for n in range(5)}


SENDERS = {"influx1": influx1, "influx2": influx2, "influx3": influx3, "otlp": otlp, "lines": lines, "remote_write": remote_write}


def kills(plant, senders, laws, seed):
    """Kills daemon and gateway in turn while anybody sends."""
    random.seed(seed)
    count = 0
    while any(t.is_alive() for t in senders):
        time.sleep(random.uniform(0.4, 1.2))
        which = "daemon" if count % 2 == 0 else "gateway"
        plant.kill(which)
        time.sleep(random.uniform(0, 0.3))
        getattr(plant, "start_" + which)()
        count += 1
    return count


def prometheus(plant, laws):
    """Debian's Prometheus scrapes itself and the gateway, and writes on; the gateway is restarted below it."""
    port = free_port()
    with open(plant.path("prometheus.yml"), "w") as f:
        f.write(f"global:\n  scrape_interval: 1s\nscrape_configs:\n- job_name: gw\n  static_configs:\n  - targets: ['127.0.0.1:{plant.port}']\n"
                f"remote_write:\n- url: {plant.url}/api/v1/write\n")
    process = subprocess.Popen(["prometheus", "--config.file", plant.path("prometheus.yml"), "--storage.tsdb.path", plant.path("tsdb"),
                                f"--web.listen-address=127.0.0.1:{port}"], stdout=plant.log, stderr=plant.log)
    try:
        time.sleep(8)
        plant.kill("gateway")
        plant.start_gateway()
        time.sleep(8)
        # The number of scrapes so far, as Prometheus has them itself, against the readings of the same series here.
        answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": "count_over_time(up{job=\"gw\"}[5m])"}, timeout=10).json()
        own = int(answer["data"]["result"][0]["value"][1])
        time.sleep(5)
        here = {k: v for k, v in plant.readings().items() if k.startswith("up,")}
        laws.check(own >= 10 and sum(here.values()) >= own, "Prometheus: every scrape that it has is here", f"{own} against {here}")
        failed = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        rows = [line for line in failed.splitlines() if line.startswith("prometheus_remote_storage_samples_failed_total{")]
        laws.check(rows and all(float(r.rsplit(" ", 1)[1]) == 0 for r in rows), "Prometheus: no sample failed for good", str(rows))
    finally:
        process.terminate()
        process.wait()


def collectd(plant, laws):
    for form in ("JSON", "Command"):
        conf = plant.path("collectd.conf")
        with open(conf, "w") as f:
            f.write(f'Hostname "box{form}"\nFQDNLookup false\nInterval 1\nBaseDir "{plant.folder}"\nPIDFile "{plant.path("c.pid")}"\n'
                    f'TypesDB "/usr/share/collectd/types.db"\nLoadPlugin load\nLoadPlugin write_http\n<Plugin write_http>\n<Node "gw">\n'
                    f'URL "{plant.url}/collectd"\nFormat "{form}"\nStoreRates true\nBufferSize 1024\n</Node>\n</Plugin>\n')
        process = subprocess.Popen(["collectd", "-f", "-C", conf], stdout=plant.log, stderr=plant.log)
        time.sleep(6)
        process.terminate()
        process.wait()
        here = {k: v for k, v in plant.readings().items() if f"host=box{form}" in k}
        laws.check(sum(here.values()) >= 4, f"collectd write_http, {form}", str(here))


def mosquitto(plant, laws, broker_port):
    """QoS 1 messages through Debian's broker while the daemon is killed; retained ones without a time are no readings."""
    def publish(topic, text, *flags):
        subprocess.run(["mosquitto_pub", "-p", str(broker_port), "-q", "1", "-t", topic, *flags, "-l"], input=text, text=True, check=True)

    with open(plant.path("mosquitto.conf"), "w") as f:
        f.write(f"listener {broker_port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    # Kept by the broker before anybody subscribed: who subscribes later gets it as retained.
    plant.kill("gateway", 15)
    broker = subprocess.Popen(["mosquitto", "-c", plant.path("mosquitto.conf")], stdout=plant.log, stderr=plant.log)
    try:
        time.sleep(1)
        publish("sensors/kept", "42\n", "-r")
        plant.start_gateway()
        time.sleep(2)
        for part in range(4):
            publish("sensors/hall", "".join('{"time":%d,"t":%d}\n' % (T0 + part * 50 + i, i) for i in range(50)))
            if part == 1:
                plant.kill("daemon")
                time.sleep(0.5)
                plant.start_daemon()
            if part == 2:
                plant.kill("gateway", 15)
                publish("sensors/away", "".join('{"time":%d,"t":1}\n' % (T0 + i) for i in range(20)))
                plant.start_gateway()
        publish("sensors/plain", "1.5\n2.5\n")
        here = {}
        for _ in range(40):
            time.sleep(0.5)
            here = {k: v for k, v in plant.readings().items() if k.startswith("sensors")}
            if here.get("sensors/plain", 0) >= 2 and here.get("sensors/away", 0) >= 20 and here.get("sensors/hall", 0) >= 200:
                break
        laws.check(here.get("sensors/hall") == 200, "mosquitto: 200 messages, each once, over a kill of the daemon and a restart of the gateway", here)
        laws.check(here.get("sensors/away") == 20, "mosquitto: what came while the gateway was away", here)
        laws.check(here.get("sensors/plain") == 2, "mosquitto: numbers alone belong to their topic", here)
        laws.check("sensors/kept" not in here, "mosquitto: a retained message without a time is no reading", here)
    finally:
        broker.terminate()
        broker.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("daemon")
    parser.add_argument("gateway")
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print("seed", options.seed)
    laws = Laws()
    broker_port = free_port()
    plant = Plant(options.daemon, options.gateway, extra=f'[[mqtt]]\nhost = "127.0.0.1"\nport = {broker_port}\ntopics = ["sensors/#"]\n')
    keep = True
    try:
        plant.start_daemon()
        plant.start_gateway()
        expected = {}
        threads = []
        for name, send in SENDERS.items():
            if options.only and name not in options.only.split(","):
                continue
            threads.append(threading.Thread(target=lambda s=send: expected.update(s(plant, options.rounds, laws)), name=name, daemon=True))
        for thread in threads:
            thread.start()
        count = kills(plant, threads, laws, options.seed)
        here = plant.readings()
        for stream, number in sorted(expected.items()):
            laws.check(here.get(stream) == number, f"{stream}: {number} readings, each once", f"got {here.get(stream)}")
        laws.check(len(expected) == 5 * len(threads), "every sender came to its end", persist.last if hasattr(persist, "last") else "")
        laws.check(count >= 2 or not threads, f"{count} kills while they sent")
        status = plant.ask("status")
        print("   dropped:", status["readings_dropped"], "refused:", status["lines_refused"])
        if not options.only:
            prometheus(plant, laws)
            collectd(plant, laws)
        if not options.only or "mosquitto" in options.only:
            mosquitto(plant, laws, broker_port)
        keep = laws.bad > 0
    finally:
        plant.stop(keep)
    laws.end()


if __name__ == "__main__":
    main()
