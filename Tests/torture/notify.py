#!/usr/bin/env python3
"""rnn-notify against real receivers, killed again and again.

usage: notify.py BINDIR [--seed S] [--kills N] [--keep]

A fleet with faults, the real daemon, the real rnn-notify; receivers: a small webhook server that refuses at random, hangs, and is away for a while, a
mosquitto and an Alertmanager where Debian has them installed, a program, and a sendmail that writes a file. Daemon and rnn-notify are killed at
random moments, alerts are acknowledged and silenced. At the end:
  - every key that the webhook took was taken once, or again with the very same content (a kill between taking and noting)
  - for each alert what the webhook heard is: open, then perhaps worse, then over; never over before open, nothing after over
  - who heard of a problem heard that it is over, and what is open now is what the receiver believes to be open
  - retained MQTT states and Alertmanager's alerts say what the daemon says
Exit 0: all held. 1: something did not.
"""
import argparse, json, os, random, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from people import ask
from torture import Daemon, Failure, Sender, workload


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Receiver:
    def __init__(self, rng):
        self.taken, self.refuses, self.away = [], 0.2, False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.away:
                    self.close_connection = True
                    self.connection.close()
                    return
                if rng.random() < outer.refuses:
                    self.send_response(503)
                    self.end_headers()
                    self.wfile.write(b"busy")
                    return
                outer.taken.append((self.headers["Idempotency-Key"], body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def judge(taken, rows):
    """What the webhook heard, against what the daemon says. Returns how many messages came twice."""
    seen, twice, believed, over = {}, 0, {}, set()
    for key, body in taken:
        if not key:
            raise Failure("a message without Idempotency-Key")
        if key in seen:
            if seen[key] != body:
                raise Failure(f"key {key} came twice with different contents")
            twice += 1
            continue
        seen[key] = body
        document = json.loads(body)
        if document["version"] != "4":
            raise Failure(f"version {document['version']}")
        for alert in document["alerts"]:
            id, severity = alert["labels"]["alert_id"], alert["labels"]["severity"]
            if id in over:
                raise Failure(f"{id} was heard of after it was over")
            if alert["status"] == "firing":
                rank = ["info", "warning", "critical"].index(severity)
                if rank < believed.get(id, -1):
                    raise Failure(f"{id}: severity fell")
                believed[id] = rank
            else:
                if id not in believed:
                    raise Failure(f"{id} is over but was never told")
                del believed[id]
                over.add(id)
    should = {r["id"] for r in rows if r["state"] == "open" and (r["attention"] == "new" or r["id"] in believed)}
    if set(believed) != should:
        raise Failure(f"the receiver believes {sorted(believed)} to be open, it should {sorted(should)}")
    return twice, len(over)


def wait_port(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failure(f"nobody serves port {port}")


def run(arguments, root):
    rng = random.Random(arguments.seed)
    receiver = Receiver(random.Random(arguments.seed + 1))
    programs = []
    sections = f'''
[[sinks]]
type = "webhook"
name = "hook"
url = "http://127.0.0.1:{receiver.port}/hook"
group_wait = "0"
group_interval = "0"
timeout = "5s"
flap_max = 0

[[sinks]]
type = "exec"
name = "program"
command = ["/bin/sh", "-c", "cat > /dev/null; echo $RNN_STATUS $RNN_KEY >> {root}/program.txt"]
group_wait = "0"

[[sinks]]
type = "email"
name = "mail"
to = ["ops@localhost"]
from = "rnn@localhost"
sendmail = "{root}/sendmail"
messages_per_hour = 0
group_wait = "0"
'''
    with open(f"{root}/sendmail", "w") as f:
        f.write(f"#!/bin/sh\ncat >> {root}/mail.txt\n")
    os.chmod(f"{root}/sendmail", 0o755)
    broker = shutil.which("mosquitto") or (os.path.exists("/usr/sbin/mosquitto") and "/usr/sbin/mosquitto")
    mqtt = manager = None
    if broker and shutil.which("mosquitto_sub"):
        mqtt = free_port()
        with open(f"{root}/mosquitto.conf", "w") as f:
            f.write(f"listener {mqtt} 127.0.0.1\nallow_anonymous true\n")
        programs.append(subprocess.Popen([broker, "-c", f"{root}/mosquitto.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_port(mqtt)
        sections += f'\n[[sinks]]\ntype = "mqtt"\nname = "home"\nurl = "mqtt://127.0.0.1:{mqtt}"\ngroup_wait = "0"\ngroup_interval = "0"\nflap_max = 0\n'
    am = shutil.which("prometheus-alertmanager")
    if am:
        manager = free_port()
        with open(f"{root}/am.yml", "w") as f:
            f.write("route:\n  receiver: none\nreceivers:\n- name: none\n")
        programs.append(subprocess.Popen(
            [am, f"--config.file={root}/am.yml", f"--storage.path={root}/am", f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_port(manager)
        sections += f'\n[[sinks]]\ntype = "alertmanager"\nname = "manager"\nurl = "http://127.0.0.1:{manager}"\ngroup_wait = "0"\ngroup_interval = "0"\nresend = "1s"\nflap_max = 0\n'
    with open(f"{root}/notify.toml", "w") as f:
        f.write(f'state_dir = "{root}/notify"\nlog_level = "error"\n{sections}')
    lines = workload(random.Random(arguments.seed), 20, 1200)
    # Where some alerts are open.
    lines = lines[:len(lines) * 7 // 10]
    settings = {"streams_evict": "false", "streams_max": "1000", "alert_close_after": "5min"}
    daemon = Daemon(arguments.bindir, root, 1, settings=settings)
    sender = Sender(lines, random.Random(1))

    def notify():
        return subprocess.Popen([os.path.join(arguments.bindir, "rnn-notify"), "--config", f"{root}/notify.toml", "--control-socket", f"{root}/c"])

    teller, kills = notify(), 0
    pieces = arguments.kills * 2
    try:
        for piece in range(pieces):
            goal = len(lines) * (piece + 1) // pieces
            while not sender.run(daemon, goal, time.monotonic() + 60, True):
                if not daemon.alive():
                    daemon.kill()
                    daemon = Daemon(arguments.bindir, root, 1, settings=settings)
            receiver.away = pieces // 3 < piece < pieces // 2
            time.sleep(rng.uniform(0, 0.5))
            if piece % 5 == 2:
                ids = [r["id"] for r in ask(daemon, "alerts.query", state="open")["rows"]]
                if ids:
                    ask(daemon, "alerts.ack", ids=[rng.choice(ids)], by="ada")
            if piece == pieces // 2:
                ask(daemon, "silence.add", streams=["*unit=u1*"], text="x", **{"for": 3_600_000_000_000})
            if piece == pieces * 3 // 4:
                ask(daemon, "silence.end", ids=[r["id"] for r in ask(daemon, "silence.list")["rows"]])
            if piece % 2:
                way = rng.random()
                if way < 0.7:
                    teller.send_signal(signal.SIGKILL)
                    teller.wait()
                    teller, kills = notify(), kills + 1
                if way > 0.5:
                    daemon.kill()
                    daemon, kills = Daemon(arguments.bindir, root, 1, settings=settings), kills + 1
        receiver.away, receiver.refuses = False, 0
        until = time.monotonic() + 60
        while True:
            time.sleep(1)
            rows = ask(daemon, "alerts.query")["rows"]
            try:
                twice, over = judge(list(receiver.taken), rows)
                report = ask(daemon, "notify.status")
                if any(s["waiting"] for s in report.get("sinks", [])) or len(report.get("sinks", [])) < 3:
                    raise Failure(f"something waits: {report}")
                break
            except Failure:
                if time.monotonic() > until:
                    raise
        told = {json.loads(b)["groupKey"] for _, b in receiver.taken}
        print(f"{len(rows)} alerts, {len(receiver.taken)} messages taken ({twice} again with the same key and content), {over} told to be over,"
              f" {len(told)} groups, {kills} kills")
        if over < 3:
            raise Failure("too few alerts to prove anything")
        keys = [line.split()[1] for line in open(f"{root}/program.txt")]
        print(f"program: {len(keys)} runs, {len(keys) - len(set(keys))} again; mail: {open(f'{root}/mail.txt').read().count('Message-ID:')}")
        open_streams = {r["stream"] for r in rows if r["state"] == "open" and r["attention"] == "new"}
        if mqtt:
            time.sleep(2)
            heard = subprocess.run(["mosquitto_sub", "-p", str(mqtt), "-t", "rnn-watchd/#", "-t", "homeassistant/#", "-v", "-W", "2"], capture_output=True, text=True).stdout
            topics = dict(line.split(" ", 1) for line in heard.splitlines() if " " in line)
            if topics.get("rnn-watchd/status") != "online":
                raise Failure(f"availability is {topics.get('rnn-watchd/status')}")
            states = {}
            for topic, payload in topics.items():
                if topic.endswith("/config"):
                    config = json.loads(payload)
                    states[config["name"]] = topics.get(config["state_topic"])
            on = {stream for stream, state in states.items() if state == "ON"}
            if not open_streams <= on or None in states.values():
                raise Failure(f"MQTT says {sorted(on)}, open are {sorted(open_streams)}")
            print(f"mosquitto: {len(states)} streams retained, {len(on)} of them ON")
            teller.send_signal(signal.SIGKILL)
            teller.wait()
            time.sleep(1)
            last = subprocess.run(["mosquitto_sub", "-p", str(mqtt), "-t", "rnn-watchd/status", "-C", "1", "-W", "2"], capture_output=True, text=True).stdout
            if last.strip() != "offline":
                raise Failure(f"after a kill the availability is {last!r}, expected offline by the last will")
            teller = notify()
        if manager:
            time.sleep(3)
            alerts = json.load(urllib.request.urlopen(f"http://127.0.0.1:{manager}/api/v2/alerts"))
            ids = [a["labels"]["alert_id"] for a in alerts]
            wanted = {r["id"] for r in rows if r["state"] == "open" and r["attention"] == "new"}
            if len(ids) != len(set(ids)) or not wanted <= set(ids) or set(ids) - {r["id"] for r in rows if r["state"] == "open"}:
                raise Failure(f"Alertmanager has {ids}, open are {wanted}")
            print(f"Alertmanager: {len(ids)} open alerts, each once")
        teller.send_signal(signal.SIGTERM)
        if teller.wait(60) != 0:
            raise Failure(f"rnn-notify ended with {teller.returncode}")
    finally:
        for program in programs + [teller]:
            if program.poll() is None:
                program.kill()
                program.wait()
        daemon.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bindir")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    root = tempfile.mkdtemp(prefix="rnn-notify-")
    try:
        run(arguments, root)
    except Failure as failure:
        print(f"FAILED: {failure}\nseed {arguments.seed}, directory {root}", file=sys.stderr)
        return 1
    if not arguments.keep:
        shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
