#!/usr/bin/env python3
"""The page and /api against their description: schemathesis over openapi.json, every view, acts refused to other sites.

    api.py DAEMON GATEWAY RNNCTL
"""
import os
import re
import subprocess
import sys

import requests

from plant import Laws, Plant


def main():
    laws = Laws()
    plant = Plant(sys.argv[1], sys.argv[2], extra=f'rnnctl = "{os.path.abspath(sys.argv[3])}"\n')
    keep = True
    try:
        plant.start_daemon()
        plant.start_gateway()
        lines = subprocess.run([sys.argv[3], "simulate", "--hours", "170", "--streams", "3", "--fast"], capture_output=True, text=True).stdout.splitlines()
        for i in range(0, len(lines), 5000):
            requests.post(plant.url + "/write", data="\n".join(lines[i:i + 5000]), timeout=60).raise_for_status()
        alerts = requests.get(plant.url + "/api/alerts", timeout=10).json()["rows"]
        streams = requests.get(plant.url + "/api/streams", timeout=10).json()["rows"]
        laws.check(len(streams) >= 3, "the streams that were sent are there")
        pages = ["/", "/alerts", "/alerts?state=open&min_severity=warning", "/streams", "/streams?match=m*", "/budget", "/budget?rate=4", "/ingest", "/try",
                 "/stream?stream=" + requests.utils.quote(streams[0]["stream"], safe="")]
        judged = [a for a in alerts if a["kind"] == "anomaly"]
        laws.check(judged, "the plant has an anomaly")
        pages += ["/alert?id=" + a["id"] for a in alerts[-1:]] + ["/explain?id=" + a["id"] for a in judged[-1:]]
        for path in pages:
            page = requests.get(plant.url + path, timeout=20)
            again = requests.get(plant.url + path, headers={"If-None-Match": page.headers.get("ETag", "")}, timeout=20)
            csp = page.headers.get("Content-Security-Policy", "")
            outside = re.findall(r'(?:src|href|action)="(?:[a-z]+:)?//', page.text)
            inline = re.findall(r'<script(?! src)|\sstyle="|\son[a-z]+="', page.text)
            laws.check(page.status_code == 200 and "default-src 'self'" in csp and not outside and not inline, f"{path[:60]} is a page without outside or inline parts",
                       (page.status_code, outside, inline))
            laws.check(again.status_code in (200, 304), f"{path[:60]} may be 304")
            laws.check(page.text.count("<h1>") == 1 and 'lang="en"' in page.text and "<main" in page.text, f"{path[:60]} has one heading and a main part")
        evil = requests.post(plant.url + "/act", data={"id": "x", "act": "ack"}, headers={"Origin": "http://evil.example"}, timeout=10)
        laws.check(evil.status_code == 403, "another site cannot act")
        laws.check(requests.get(plant.url + "/act", timeout=10).status_code in (404, 405), "GET does not act")
        text = requests.get(plant.url + "/stream", params={"stream": "<script>alert(1)</script>"}, timeout=10).text
        laws.check("<script>alert" not in text, "what is asked for is escaped")
        result = subprocess.run([os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", plant.url + "/api/openapi.json", "--max-examples", "25",
                                 "--seed", "1", "--exclude-checks", "positive_data_acceptance,unsupported_method,use_after_free", "--request-timeout", "20"],
                                capture_output=True, text=True)
        if result.returncode:
            print("\n".join(line[:300] for line in result.stdout.splitlines())[-9000:])
        laws.check(result.returncode == 0, "schemathesis finds no answer that the description does not have")
        laws.check(plant.gateway.poll() is None and plant.daemon.poll() is None, "both programs live")
        keep = laws.bad > 0
    finally:
        plant.stop(keep)
    laws.end()


if __name__ == "__main__":
    main()
