#!/usr/bin/env bash
# demo.sh BINDIR: four weeks of a simulated plant through the daemon, then 30 seconds of this machine's own readings.
set -euo pipefail
bin=$1
seconds=${DEMO_SAMPLE_SECONDS:-30}
dir=$(mktemp -d "${TMPDIR:-/tmp}/rnn-watchd-demo.XXXXXX")
# What was learned stays here, to look at.
keep=$(cd "$(dirname "$0")/.." && mkdir -p out && pwd)/out/demo
trap 'kill %1 2>/dev/null || true; rm -rf "$dir"' EXIT
rm -rf "$keep" && mkdir -p "$keep"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. A plant of 6 machines, four weeks of readings every minute, with injected faults"
"$bin/rnnctl" simulate --hours 672 --streams 6 --seed 1 --start 2026-01-05T00:00:00Z --fast --labels "$keep/labels.csv" > "$dir/plant.lp"
echo "$(wc -l < "$dir/plant.lp") lines, $(($(wc -l < "$keep/labels.csv") - 1)) faults; the first line:"
head -n 1 "$dir/plant.lp"
begin=$(date +%s.%N)
"$bin/rnn-watchd" --stdin --state-dir "$keep/plant" --set log_level=error < "$dir/plant.lp" 2> "$dir/plant.log" || { cat "$dir/plant.log"; exit 1; }
echo "read and judged in $(awk "BEGIN{printf \"%.1f\", $(date +%s.%N)-$begin}") s"

say "2. rnnctl alerts query (the last 15)"
"$bin/rnnctl" --state-dir "$keep/plant" alerts query --limit 15 | cut -c "1-${COLUMNS:-160}"

say "3. What was found, how late, and what was false"
"$bin/rnnctl" --state-dir "$keep/plant" alerts query --format json > "$dir/alerts.json"
"$bin/rnnctl" simulate-report --labels "$keep/labels.csv" --alerts "$dir/alerts.json"

say "4. One alert in full"
id=$("$bin/rnnctl" --state-dir "$keep/plant" alerts query --min-severity critical --kind anomaly --limit 1 --format csv | sed -n '2s/,.*//p')
[ -z "$id" ] || "$bin/rnnctl" --state-dir "$keep/plant" alerts show "$id"

say "5. $seconds seconds of this machine's own readings over the socket"
"$bin/rnn-watchd" --state-dir "$keep/own" --ingest-socket "$dir/ingest.sock" --control-socket "$dir/control.sock" --set log_level=warning &
for _ in $(seq 100); do [ -S "$dir/control.sock" ] && break; sleep 0.1; done
echo "reading ..."
"$bin/rnnctl" sample --interval 1s --count "$seconds" > "$dir/sample.lp"
"$bin/rnnctl" send "$dir/sample.lp" --ingest-socket "$dir/ingest.sock" --producer demo
"$bin/rnnctl" --control-socket "$dir/control.sock" streams list
"$bin/rnnctl" --control-socket "$dir/control.sock" status | head -n 14
kill -TERM %1; wait %1 || true

say "Next"
cat <<TXT
  $bin/rnnctl --state-dir out/demo/plant alerts query --format json    the plant is kept there; out/demo/labels.csv says what was injected
  make install                     put the programs, units and configuration in place (or build a package: make deb)
  systemctl start rnn-watchd       then pipe lines into /run/rnn-watchd/ingest.sock
  rnnctl alerts query --since 2h   and see what was unusual
  docs/INTEGRATIONS.md             collectd, Telegraf, rsyslog, MQTT, shell
TXT
