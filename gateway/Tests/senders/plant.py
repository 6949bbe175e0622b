"""A daemon and a gateway in a folder of their own, killed and started again at will."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Plant:
    def __init__(self, daemon, gateway, durability="always", extra=""):
        self.daemon_program, self.gateway_program = daemon, gateway
        self.folder = tempfile.mkdtemp(prefix="rnn-gateway-test-")
        self.port = free_port()
        self.daemon = self.gateway = None
        with open(self.path("daemon.toml"), "w") as f:
            f.write(f'state_dir = "{self.path("state")}"\ningest_socket = "{self.path("ingest.sock")}"\n'
                    f'ingest_datagram_socket = ""\ncontrol_socket = "{self.path("control.sock")}"\n'
                    f'durability = "{durability}"\nprofile = "light"\n')
        with open(self.path("gateway.toml"), "w") as f:
            f.write(f'listen = ["127.0.0.1:{self.port}", "unix:{self.path("http.sock")}"]\n'
                    f'ingest_socket = "{self.path("ingest.sock")}"\ncontrol_socket = "{self.path("control.sock")}"\n' + extra)
        self.log = open(self.path("log"), "ab")

    def path(self, name):
        return os.path.join(self.folder, name)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start_daemon(self):
        self.daemon = subprocess.Popen([self.daemon_program, "--config", self.path("daemon.toml")], stdout=self.log, stderr=self.log)
        self.wait("control.sock")

    def start_gateway(self):
        self.gateway = subprocess.Popen([self.gateway_program, "--config", self.path("gateway.toml")], stdout=self.log, stderr=self.log)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the gateway does not listen: see " + self.path("log"))

    def wait(self, name):
        for _ in range(400):
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.path(name))
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"nobody serves {name}: see " + self.path("log"))

    def kill(self, which, how=signal.SIGKILL):
        process = getattr(self, which)
        process.send_signal(how)
        process.wait()

    def ask(self, command, **arguments):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path("control.sock"))
            s.sendall(json.dumps({"v": 1, "command": command, "arguments": arguments}).encode() + b"\n")
            with s.makefile() as f:
                answer = json.loads(f.readline())
        if not answer["ok"]:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def readings(self):
        """Stream to number of its readings."""
        return {row["stream"]: row["readings"] for row in self.ask("streams.list")["rows"]}

    def resident(self):
        with open(f"/proc/{self.gateway.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) // 1024

    def stop(self, keep=False):
        for process in (self.gateway, self.daemon):
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
        if keep:
            print("kept", self.folder)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Laws:
    """Counts what holds and what does not."""
    def __init__(self):
        self.good = self.bad = 0

    def check(self, holds, law, seen=""):
        if holds:
            self.good += 1
            print("  ok  ", law)
        else:
            self.bad += 1
            print("  FAIL", law, seen)

    def end(self):
        print(f"{self.good} passed, {self.bad} failed")
        raise SystemExit(1 if self.bad else 0)
