#!/usr/bin/env bash
# demo-page.sh BINDIR GATEWAY: a week of a simulated plant, then its present, on the page until Ctrl-C. DEMO_PORT (8087).
set -euo pipefail
bin=$1 gateway=$2 port=${DEMO_PORT:-8087}
dir=$(mktemp -d "${TMPDIR:-/tmp}/rnn-watchd-page.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
"$bin/rnn-watchd" --state-dir "$dir/state" --ingest-socket "$dir/ingest.sock" --control-socket "$dir/control.sock" \
  --set log_level=error --set ingest_datagram_socket= &
printf 'listen = ["127.0.0.1:%s"]\ningest_socket = "%s"\ncontrol_socket = "%s"\nrnnctl = "%s"\n' "$port" "$dir/ingest.sock" "$dir/control.sock" \
  "$(realpath "$bin")/rnnctl" > "$dir/gateway.toml"
"$gateway" --config "$dir/gateway.toml" &
for _ in $(seq 100); do [ -S "$dir/control.sock" ] && curl -s -o /dev/null "http://127.0.0.1:$port/health" && break; sleep 0.1; done
echo "a week of six machines ..."
"$bin/rnnctl" simulate --hours 192 --streams 6 --seed 1 --start "$(date -u -d '7 days ago' +%Y-%m-%dT%H:%M:%SZ)" --fast > "$dir/plant.lp"
now=$(date +%s)
awk -v now="$now" -v dir="$dir" '{ print > (substr($NF, 1, 10) <= now ? dir "/past" : dir "/to-come") }' "$dir/plant.lp"
split -l 20000 "$dir/past" "$dir/part."
for part in "$dir"/part.*; do curl -sf --data-binary "@$part" "http://127.0.0.1:$port/write"; done
echo "the page: http://127.0.0.1:$port/   (Ctrl-C ends it)"
# The plant goes on in its own time, a reading of each machine a minute, for a day.
while sleep 5; do
  before=$now now=$(date +%s)
  awk -v from="$before" -v to="$now" '{ t = substr($NF, 1, 10); if (t > from && t <= to) print }' "$dir/to-come" |
    curl -s --data-binary @- "http://127.0.0.1:$port/write" > /dev/null
done
