#!/usr/bin/env bash
# walk.sh BINDIR [COLUMNS]: walks every command for people as a new user would, in a terminal of 80 columns (tmux), and prints the screens to be read.
set -euo pipefail
bin=$(readlink -f "$1") columns=${2:-80}
command -v tmux > /dev/null || { echo "wants tmux: apt install tmux" >&2; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/rnn-walk.XXXXXX")
daemon=
trap '[ -z "$daemon" ] || kill "$daemon" 2> /dev/null; tmux -L "rnn-walk-$$" kill-server 2> /dev/null || true; rm -rf "$work"' EXIT
"$bin/rnn-watchd" --state-dir "$work/state" --ingest-socket "$work/i" --control-socket "$work/c" --set log_level=error & daemon=$!
for _ in $(seq 200); do [ -S "$work/c" ] && break; sleep 0.05; done
# Two machines for fifty minutes; one goes wrong at the end, another falls silent.
perl -e 'srand 7; my $t = time - 3000; for my $i (0..2990) { for my $s ("north", "south") { next if $s eq "south" && $i > 2700;
  my $v = 20 + 3 * sin($i / 60) + rand; $v = 90 if $s eq "north" && $i > 2985; printf "pump,site=$s pressure=%.2f %d000000000\n", $v, $t + $i } }' > "$work/lines"
"$bin/rnnctl" send --ingest-socket "$work/i" --producer walk --quiet "$work/lines"
sleep 2
ask() { "$bin/rnnctl" --control-socket "$work/c" "$@"; }
id=$(ask alerts query --kind anomaly --format jsonl | tail -n 1 | sed 's/.*"id":"\([^"]*\)".*/\1/')
[ -n "$id" ] || { echo "no alert opened: there is nothing to walk" >&2; exit 1; }
tmux -L "rnn-walk-$$" -f /dev/null new-session -d -s keep 'sleep 900'
failed=0
screen() { # COMMAND...: one screen, and whether a line is longer than the terminal
  local shown="rnnctl $*" out
  tmux -L "rnn-walk-$$" -f /dev/null new-session -d -x "$columns" -y 60 -s walk \
    "TERM=screen '$bin/rnnctl' --control-socket '$work/c' $(printf ' %q' "$@") 2>&1; echo \"-- exit \$?\"; sleep 30"
  for _ in $(seq 100); do out=$(tmux -L "rnn-walk-$$" capture-pane -p -t walk); grep -q '^-- exit' <<< "$out" && break; sleep 0.05; done
  tmux -L "rnn-walk-$$" kill-session -t walk
  printf '\n\033[1m$ %s\033[0m\n%s\n' "$shown" "$(sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' <<< "$out")"
  grep -qE '^-- exit [012]' <<< "$out" || { echo "!! $shown: it did not end well" >&2; failed=1; }
}
screen alerts
screen alerts list -n 2
screen alerts show "$id"
screen alerts ack "$id" -m "on my way"
screen alerts shelve "$id" --for 2h
screen alerts unshelve "$id"
screen alerts comment "$id" -m "the valve was shut"
screen alerts
screen alerts feedback "$id" false
screen streams
screen streams show pump,site=north
screen why-not pump,site=south
screen silence add --stream 'pump,*' --every 'Mon..Fri 22:00' --for 1h
screen silence
screen streams mute pump,site=south
screen streams rename pump,site=south pump,site=east
screen alerts close "$id"
screen alerts follow --once --after 0
screen budget
screen doctor
screen notify status
screen status
screen alerts lst
screen streams forget pump,site=east --dry-run
exit $failed
