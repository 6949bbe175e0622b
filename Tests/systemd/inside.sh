#!/usr/bin/env bash
# inside.sh: the checks, run by a booted systemd in a clean Debian (see run.sh). Every line is a law; the first that fails
# shows what came instead. All are run; the exit code is 1 when one failed.
set -uo pipefail
cd /test
# A clean Debian has neither DNS nor a terminal.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
passed=0 failed=0
law() { printf '  ok    %s\n' "$1"; passed=$((passed + 1)); }
broken() { printf '  FAIL  %s\n        %s\n' "$1" "${2:-}"; failed=$((failed + 1)); }
# is LAW GOT EXPECTED
is() { if [ "$2" = "$3" ]; then law "$1"; else broken "$1" "got \"$2\", expected \"$3\""; fi; }
# holds LAW COMMAND...
holds() { local name=$1 out; shift; if out=$("$@" 2>&1); then law "$name"; else broken "$name" "$* gave $?: $(tail -n 5 <<< "$out")"; fi; }
# has LAW TEXT PATTERN
has() { if grep -qE -- "$3" <<< "$2"; then law "$1"; else broken "$1" "got \"$(head -c 600 <<< "$2")\", expected something like \"$3\""; fi; }
# soon SECONDS COMMAND...: repeats until it succeeds
soon() { local end=$((SECONDS + $1)); shift; until "$@" > /dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done; }
note() { printf '%s\n' "-- $* ($(cut -d' ' -f1 /proc/uptime) s)"; }
status() { rnnctl status --format json | perl -MJSON::PP -e '$/=undef; my $s = decode_json(<STDIN>); my $v = $s->{$ARGV[0]}; print ref $v ? encode_json($v) : $v' "$1" 2>/dev/null || rnnctl status --format json | sed -n "s/^ *\"$1\": *\([-0-9.]*\).*/\1/p"; }
# readings STREAM: how many of it were accepted
lines() { status lines_received; }
settled() { local before; before=$(lines); sleep 0.7; [ -n "$before" ] && [ "$(lines)" = "$before" ]; }
pid() { systemctl show -P MainPID rnn-watchd.service; }
# The daemon's process is another one than PID and ready.
is_reborn() { local now; now=$(pid); [ "$now" != 0 ] && [ "$now" != "$1" ] && systemctl is-active rnn-watchd; }
# Kills the daemon as a crash would; sets `was`.
crash() { was=$(pid); [ "$was" -gt 1 ] && kill -9 "$was"; }
snippet() { awk -v mark="<!-- snippet $1 -->" '$0 == mark { found = 1; next } found && /^```/ { if (inside) exit; inside = 1; next } inside' INTEGRATIONS.md; }

note "install the version before"
holds "the package installs in a clean Debian" dpkg -i old.deb
is "installing starts the ingest sockets" "$(systemctl is-active rnn-watchd.socket)" active
is "installing starts the control socket" "$(systemctl is-active rnn-watchd-control.socket)" active
is "the sockets belong to the group alone" "$(stat -c '%a %U %G' /run/rnn-watchd/ingest.sock /run/rnn-watchd/ingest.dgram /run/rnn-watchd/control.sock | sort -u)" "660 root rnn-watchd"
holds "the service starts" systemctl start rnn-watchd
is "it is running" "$(systemctl is-active rnn-watchd)" active
[ $failed = 0 ] || { echo "it does not run: the rest is left out"; exit 1; }
sleep 2
size=$(stat -c %s new.deb) program=$(stat -c %s /usr/bin/rnn-watchd) memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$(pid)/status")
is "the package is below 8 MB: $size bytes" "$((size < 8000000))" 1
is "the daemon is below 22 MB: $program bytes" "$((program < 22000000))" 1
is "without work it holds less than 15 MB: $memory KB" "$((memory < 15 * 1024))" 1
depends=$(dpkg-deb -f new.deb Depends | tr ',' '\n' | sed 's/^ *//; s/ .*//' | sort | xargs)
is "it depends on no more than it needs: $depends" "$(tr ' ' '\n' <<< "$depends" | grep -vxE 'libc6|libgcc-s1|libstdc\+\+6|libsqlite3-0|libsystemd0|systemd' | xargs)" ""
has "its user exists only while it runs" "$(stat -c %u "/proc/$(pid)") $(grep -c rnn-watchd /etc/passwd)" '^6[1-5][0-9]{3} 0$'
is "ready means that rnnctl is answered at once" "$(rnnctl status > /dev/null 2>&1; echo $?)" 0

note "readings and alerts"
rnnctl simulate --hours 672 --streams 2 --seed 1 --start 2026-01-05T00:00:00Z --fast > plant.lp
sent=$(grep -c . plant.lp)
socat -u FILE:plant.lp UNIX-CONNECT:/run/rnn-watchd/ingest.sock
soon 120 settled
is "every line piped to the socket is received" "$(lines)" "$sent"
alerts=$(rnnctl alerts query --format csv | tail -n +2)
has "rnnctl alerts query shows alerts" "$alerts" .
soon 15 sh -c 'systemctl show -P StatusText rnn-watchd | grep -q "^[1-9]"'
has "the status line tells streams, rate and alerts" "$(systemctl show -P StatusText rnn-watchd)" '^[1-9][0-9]* streams, [0-9]+ readings/s, [0-9]+ open alerts$'

note "upgrade under load"
before=$(lines)
socket=$(stat -c %i /run/rnn-watchd/ingest.sock)
perl steady.pl upgrade,kind=stream 12 > one & perl steady.pl datagram,kind=upgrade 12 > two &
sleep 2
holds "the package upgrades while it is fed" dpkg -i new.deb
wait
soon 60 settled
is "no line is lost over an upgrade" "$(($(lines) - before))" "$(($(cat one) + $(cat two)))"
is "no line is torn over an upgrade" "$(status lines_refused)" '{}'
is "the upgrade keeps the sockets" "$(stat -c %i /run/rnn-watchd/ingest.sock)" "$socket"
is "the upgrade keeps alerts" "$(rnnctl alerts query --format csv | sed -n 2p)" "$(head -n 1 <<< "$alerts")"
has "the new version runs" "$(dpkg-query -W -f '${Version}' rnn-watchd) $(systemctl is-active rnn-watchd)" '^[0-9.]+ active$'

note "restart under load"
before=$(lines)
cut -c1- plant.lp | sed 's/^[^, ]*/acknowledged/' > acknowledged.lp
perl steady.pl restart,kind=a 14 > one & perl steady.pl restart,kind=b 14 4093 > two & perl steady.pl datagram,kind=restart 14 > three &
rnnctl send acknowledged.lp --producer load --quiet & sender=$!
was=$(pid)
for _ in 1 2 3; do sleep 3; systemctl restart rnn-watchd || broken "restart" "$(systemctl status rnn-watchd)"; done
has "it is another process" "$was $(pid)" '^([0-9]+) '
wait $sender; code=$?
wait
is "an acknowledged sender ends well over three restarts" $code 0
soon 120 settled
is "no line is lost over three restarts" "$(($(lines) - before))" "$(($(cat one) + $(cat two) + $(cat three) + $(grep -c . acknowledged.lp)))"
is "no line is torn over three restarts" "$(status lines_refused)" '{}'
has "open clients were handed over" "$(journalctl -u rnn-watchd -o cat | grep 'took over' | tail -n 3)" 'clients=[23]'
before=$(status readings_accepted)
{ printf 'torn,line=yes value=1'; sleep 1; systemctl restart rnn-watchd; printf '2.5\ntorn,line=yes value=3\n'; } | socat -u - UNIX-CONNECT:/run/rnn-watchd/ingest.sock
soon 10 settled
is "a line that was half sent before a restart is whole after it" "$(($(status readings_accepted) - before))" 2
is "it was not refused" "$(status lines_refused)" '{}'
is "nothing stays in the descriptor store" "$(systemctl show -P NFileDescriptorStore rnn-watchd)" 0

note "reload"
sed -i 's/^stale_after = .*/stale_after = 25/' /etc/rnn-watchd/rnn-watchd.toml
was=$(pid)
holds "it reloads" systemctl reload rnn-watchd
soon 5 sh -c 'journalctl -u rnn-watchd -o cat | grep -q "reloaded: stale_after"'
has "a changed key is taken over" "$(journalctl -u rnn-watchd -o cat | grep reloaded | tail -n 1)" 'reloaded: stale_after'
is "a reload keeps the process" "$(pid)" "$was"
echo 'nonsense = 1' >> /etc/rnn-watchd/rnn-watchd.toml
systemctl reload rnn-watchd
soon 5 sh -c 'journalctl -u rnn-watchd -o cat | grep -q nonsense'
is "a broken file changes nothing" "$(systemctl is-active rnn-watchd) $(pid)" "active $was"
has "and is told" "$(journalctl -u rnn-watchd -o cat | grep nonsense | tail -n 1)" 'nonsense'
sed -i '/^nonsense/d' /etc/rnn-watchd/rnn-watchd.toml
sed -i 's/^shards = .*/shards = 2/; s/^log_level = .*/log_level = "debug"/' /etc/rnn-watchd/rnn-watchd.toml
systemctl reload rnn-watchd
soon 5 sh -c 'journalctl -u rnn-watchd -o cat | grep -q "restart is needed"'
has "what a reload cannot do is told" "$(journalctl -u rnn-watchd -o cat | grep reloaded: | tail -n 1)" 'reloaded: log_level; a restart is needed for: shards'
sed -i 's/^shards = .*/shards = 1/; s/^log_level = .*/log_level = "info"/' /etc/rnn-watchd/rnn-watchd.toml
systemctl reload rnn-watchd
if [ "$(systemctl --version | awk 'NR == 1 { print $2 }')" -ge 253 ]; then
  mkdir -p /etc/systemd/system/rnn-watchd.service.d
  cp /usr/share/doc/rnn-watchd/examples/50-notify-reload.conf /etc/systemd/system/rnn-watchd.service.d/
  systemctl daemon-reload
  is "the drop-in for newer systemd is taken" "$(systemctl show -P Type rnn-watchd)" notify-reload
  sed -i 's/^stale_after = .*/stale_after = 26/' /etc/rnn-watchd/rnn-watchd.toml
  holds "with it a reload waits for the daemon and ends" timeout 20 systemctl reload rnn-watchd
  has "and has been done when it ends" "$(journalctl --sync; journalctl -u rnn-watchd -o cat | grep reloaded: | tail -n 1)" 'reloaded: stale_after'
  is "it is running" "$(systemctl show -P SubState rnn-watchd)" running
  holds "it restarts with the drop-in" systemctl restart rnn-watchd
fi

note "kill -9"
sleep 1
before=$(lines)
socket=$(stat -c %i /run/rnn-watchd/ingest.sock)
crash
# The socket is systemd's: who connects now waits.
for i in 1 2 3; do echo "after,kill=yes value=$i" | socat -u - UNIX-CONNECT:/run/rnn-watchd/ingest.sock; sleep 0.05; done
echo "after,kill=datagram value=1" | socat -u - UNIX-SENDTO:/run/rnn-watchd/ingest.dgram
soon 15 is_reborn "$was"
soon 10 settled
is "it is back after kill -9" "$(systemctl is-active rnn-watchd)" active
is "lines that came while it was dead are received" "$(($(lines) - before))" 4
is "the socket is the same" "$(stat -c %i /run/rnn-watchd/ingest.sock)" "$socket"

note "a long restore"
before=$(lines)
perl -e 'my $t = time * 1e9; printf "long,restore=%d value=%d %.0f\n", $_ % 4, $_ % 100, $t + 1000 * $_ for 1 .. 200000' > long.lp
socat -u FILE:long.lp UNIX-CONNECT:/run/rnn-watchd/ingest.sock
soon 120 settled
sleep 3
mkdir -p /run/systemd/system/rnn-watchd.service.d
printf '[Service]\nTimeoutStartSec=8s\n' > /run/systemd/system/rnn-watchd.service.d/slow.conf
systemctl daemon-reload
times=$(systemctl show -P NRestarts rnn-watchd)
crash
soon 15 sh -c 'systemctl show -P StatusText rnn-watchd | grep -q restoring'
has "while it restores it is not ready, and says what it does" "$(systemctl is-active rnn-watchd) $(systemctl show -P StatusText rnn-watchd)" '^activating restoring state'
# A slow machine: it may run for less than a fiftieth of the time.
end=$((SECONDS + 150)) now=$(pid)
while kill -STOP "$now" && [ "$(systemctl is-active rnn-watchd)" = activating ] && [ $SECONDS -lt $end ]; do
  sleep 0.5
  kill -CONT "$now"
  sleep 0.005
done
kill -CONT "$now"
soon 20 systemctl is-active rnn-watchd
took=$(($(systemctl show -P ActiveEnterTimestampMonotonic rnn-watchd) - $(systemctl show -P ExecMainStartTimestampMonotonic rnn-watchd)))
is "a restore may take longer than TimeoutStartSec=8s: $((took / 1000)) ms, one start" "$((took > 8000000)) $(($(systemctl show -P NRestarts rnn-watchd) - times))" "1 1"
rm /run/systemd/system/rnn-watchd.service.d/slow.conf
systemctl daemon-reload
is "every line is there" "$(($(lines) - before))" 200000

note "it is never given up"
rnnctl checkpoints write
printf '[Service]\nRestartSec=100ms\n' > /run/systemd/system/rnn-watchd.service.d/quick.conf
systemctl daemon-reload
for _ in 1 2 3 4 5 6 7; do crash; soon 20 is_reborn "$was"; done
is "seven kills in a row, and it is back" "$(systemctl is-active rnn-watchd rnn-watchd.socket | xargs)" "active active"
rm /run/systemd/system/rnn-watchd.service.d/quick.conf
systemctl daemon-reload
before=$(lines)
echo 'nonsense = 1' >> /etc/rnn-watchd/rnn-watchd.toml
is "a start with a broken configuration fails" "$(systemctl restart rnn-watchd > /dev/null 2>&1; echo $?)" 1
has "and its log names file, line and column" "$(journalctl --sync; journalctl -u rnn-watchd -o cat -n 20)" 'rnn-watchd.toml:[0-9]+:1: unknown key "nonsense"'
echo 'while,down=yes value=1' | socat -u - UNIX-CONNECT:/run/rnn-watchd/ingest.sock
sed -i '/^nonsense/d' /etc/rnn-watchd/rnn-watchd.toml
soon 15 systemctl is-active rnn-watchd
soon 10 settled
is "with the file mended it comes back by itself, and takes what waited" "$(systemctl is-active rnn-watchd) $(($(lines) - before))" "active 1"

note "watchdog"
mkdir -p /run/systemd/system/rnn-watchd.service.d
printf '[Service]\nWatchdogSec=2s\nTimeoutAbortSec=5s\nStartLimitBurst=100\n' > /run/systemd/system/rnn-watchd.service.d/test.conf
printf '[Unit]\nStartLimitIntervalSec=0\n' > /run/systemd/system/rnn-watchd.service.d/limit.conf
systemctl daemon-reload
systemctl restart rnn-watchd
was=$(pid)
sleep 5
is "a daemon without work is not killed" "$(pid)" "$was"
for thread in rnn-writer rnn-ingest rnn-shard-0 rnn-watchd; do
  was=$(pid)
  perl stop-thread.pl "$was" $thread > /dev/null &
  if soon 25 sh -c "[ \$(systemctl show -P MainPID rnn-watchd) != $was ] && systemctl is-active rnn-watchd"; then law "a daemon whose $thread hangs is killed and started again"
  else broken "a daemon whose $thread hangs is killed and started again" "$(systemctl show rnn-watchd -p MainPID -p ActiveState -p SubState -p Result) was $was"; kill %% 2> /dev/null; fi
  wait
done
has "the journal says why" "$(journalctl -u rnn-watchd -o cat --no-pager)" 'Watchdog timeout'
rm /run/systemd/system/rnn-watchd.service.d/{test,limit}.conf
systemctl daemon-reload
systemctl restart rnn-watchd

note "journal"
id=5d1e4f0c8f8b4c2f9b1c3a7de2a60f11
journalctl --sync
entry=$(journalctl MESSAGE_ID=$id -n 1 -o verbose)
for field in RNN_STREAM= RNN_ALERT_ID= RNN_KIND= RNN_STATE=opened RNN_SCORE= RNN_SEVERITY= PRIORITY=[345]; do has "an alert's entry has $field" "$entry" "^ +$field"; done
stream=$(sed -n 's/^ *RNN_STREAM=//p' <<< "$entry")
has "journalctl RNN_STREAM= finds it" "$(journalctl -o cat "RNN_STREAM=$stream" | head -n 3)" "^alert .*: $stream"
has "journalctl -x explains it" "$(journalctl -x MESSAGE_ID=$id -n 1)" 'does not behave as it used to'
is "one entry for each alert opened" "$(journalctl MESSAGE_ID=$id -o cat | grep -c .)" "$(rnnctl alerts query --format csv | tail -n +2 | grep -c .)"

note "sealed"
holds "systemd-analyze verify finds nothing" sh -c 'out=$(systemd-analyze verify /lib/systemd/system/rnn-watchd.service /lib/systemd/system/rnn-watchd.socket /lib/systemd/system/rnn-watchd-control.socket 2>&1); echo "$out"; ! echo "$out" | grep -q rnn-'
exposure=$(systemd-analyze security --no-pager rnn-watchd.service | sed -n 's/.*Overall exposure level for rnn-watchd.service: \([0-9.]*\).*/\1/p')
if awk "BEGIN { exit !(\"$exposure\" != \"\" && $exposure <= 0.4) }"; then law "exposure is at most 0.4: $exposure"; else broken "exposure is at most 0.4" "got $exposure"; systemd-analyze security --no-pager rnn-watchd.service | grep '✗'; fi
is "it runs in namespaces of its own" "$(for kind in net user mnt ipc; do [ "$(readlink /proc/1/ns/$kind)" != "$(readlink "/proc/$(pid)/ns/$kind")" ] && printf "$kind "; done)" "net user mnt ipc "
has "it has no capability, may gain none, and its calls are filtered" "$(grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$(pid)/status" | tr -s '\t\n' ' ')" 'CapEff: 0+ CapBnd: 0+ NoNewPrivs: 1 Seccomp: 2'
is "memory and tasks are limited" "$(systemctl show -p MemoryMax -p TasksMax -p OOMPolicy rnn-watchd | grep -c -E 'MemoryMax=[0-9]+|TasksMax=[0-9]+|OOMPolicy=stop')" 3

echo "        exposure of others in this Debian: $(for unit in collectd rsyslog mosquitto prometheus-node-exporter cron dbus; do systemd-analyze security --no-pager $unit.service 2> /dev/null | sed -n "s/.*Overall exposure level for $unit.service: \([0-9.]*\).*/$unit \1/p"; done | xargs)"

note "another user"
useradd -m visitor
group=$(getent group rnn-watchd | cut -d: -f3)
visitor() { setpriv --reuid=visitor --regid=visitor --clear-groups "$@" 2>&1; }
member() { setpriv --reuid=visitor --regid=visitor --groups="$group" "$@" 2>&1; }
has "who is not in the group is told what to do" "$(visitor rnnctl status)" 'permission denied.*usermod -aG rnn-watchd'
is "and gets exit code 1" "$(visitor rnnctl status > /dev/null; echo $?)" 1
has "the same when sending" "$(visitor rnnctl send plant.lp)" 'permission denied.*usermod -aG rnn-watchd'
has "a member of the group is answered" "$(member rnnctl status)" 'lines_received'
has "a member of the group may send" "$(echo 'member value=1' > member.lp; chmod a+r member.lp; member rnnctl send member.lp)" '1 lines acknowledged'
usermod -aG rnn-watchd visitor
has "who did what the message says is answered" "$(setpriv --reuid=visitor --regid=visitor --init-groups rnnctl status 2>&1)" 'lines_received'
gpasswd -d visitor rnn-watchd > /dev/null
systemd-run -q --wait -p User=nobody -p SupplementaryGroups=rnn-watchd sh -c 'echo "service,kind=other value=1" | socat -u - UNIX-CONNECT:/run/rnn-watchd/ingest.sock'
soon 5 sh -c 'rnnctl streams list | grep -q kind=other'
has "a service with SupplementaryGroups=rnn-watchd feeds it" "$(rnnctl streams list)" 'service,kind=other'
chmod 666 /run/rnn-watchd/control.sock
has "the daemon itself refuses others, whatever the socket's mode" "$(visitor rnnctl status)" 'not allowed: only root and members'
has "and answers the group" "$(member rnnctl status)" 'lines_received'
chmod 660 /run/rnn-watchd/control.sock

note "the programs of others"
collected() { rnnctl streams list --format csv | cut -d, -f1- | grep -cE "$1"; }
(snippet shell) > shell.sh
holds "the shell snippet runs" sh shell.sh
soon 5 sh -c 'rnnctl streams list --format csv | grep -q humidity\\\|room'
has "socat's lines are a stream" "$(rnnctl streams list)" 'room,floor=2'
mkdir -p /etc/collectd/collectd.conf.d /etc/systemd/system/collectd.service.d
cat > /etc/collectd/collectd.conf <<'CONF'
Hostname "box"
Interval 1
LoadPlugin syslog
LoadPlugin cpu
LoadPlugin load
LoadPlugin memory
Include "/etc/collectd/collectd.conf.d/*.conf"
CONF
snippet collectd.conf > /etc/collectd/collectd.conf.d/rnn-watchd.conf
snippet collectd-drop-in > /etc/systemd/system/collectd.service.d/rnn-watchd.conf
systemctl daemon-reload
# A counter's first rate is nan: not finite, and told so.
refused() { status lines_refused | sed 's/"not_finite":[0-9]*,\?//; s/,}/}/'; }
refused=$(refused)
systemctl restart collectd
soon 15 sh -c 'rnnctl streams list | grep -q memory,host=box'
has "collectd's streams arrive: load" "$(rnnctl streams list)" 'load,host=box'
has "collectd's streams arrive: memory" "$(rnnctl streams list)" 'memory,host=box,type=memory,type_instance=free'
has "collectd's streams arrive: cpu" "$(rnnctl streams list)" 'cpu,host=box'
systemctl restart rnn-watchd
before=$(status readings_accepted)
sleep 3
is "collectd goes on after a restart" "$(($(status readings_accepted) > before))" 1
systemctl stop collectd
soon 5 settled
is "nothing of collectd is refused but the first nan of each counter" "$(refused)" "$refused"
snippet rsyslog.conf | sed 's/interval="10"/interval="1"/' > /etc/rsyslog.d/rnn-watchd.conf
holds "rsyslog accepts its snippet" rsyslogd -N1
systemctl restart rsyslog
sleep 1
logger -t reading 'pump,site=rsyslog pressure=3.1'
soon 15 sh -c 'rnnctl streams list | grep -q site=rsyslog'
has "a message through rsyslog is a reading" "$(rnnctl streams list)" 'pump,site=rsyslog'
soon 15 sh -c 'rnnctl streams list | grep -q resource-usage'
has "rsyslog's counters are streams" "$(rnnctl streams list)" 'main.. Q .*|resource-usage'
systemctl stop rsyslog syslog.socket
soon 5 settled
is "nothing of rsyslog is refused" "$(refused)" "$refused"
systemctl start mosquitto
snippet mosquitto > mosquitto.sh
sh mosquitto.sh & mqtt=$!
sleep 1
mosquitto_pub -t sensors/kitchen -m 20.5
soon 10 sh -c 'rnnctl streams list | grep -q sensors/kitchen'
has "MQTT topics are streams" "$(rnnctl streams list)" 'mqtt,topic=sensors/kitchen'
kill $mqtt; systemctl stop mosquitto; wait $mqtt 2> /dev/null

note "people are told: rnn-notify with a webhook, mosquitto, Alertmanager, a program and a mailer"
holds "the package of rnn-notify installs" dpkg -i notify.deb
# Alone in a network without addresses it has nobody to gossip with.
echo 'ARGS="--cluster.listen-address="' > /etc/default/prometheus-alertmanager
systemctl reset-failed prometheus-alertmanager; systemctl start mosquitto; systemctl restart prometheus-alertmanager
printf '#!/bin/sh\ncat >> /var/lib/rnn-notify/mail\n' > /usr/local/bin/mailer; chmod 755 /usr/local/bin/mailer
cat > /etc/rnn-watchd/rnn-notify.toml <<'TOML'
[[sinks]]
type = "webhook"
name = "hook"
url = "http://127.0.0.1:8765/hook"
group_wait = "0"
streams = ["probe*"]
[[sinks]]
type = "alertmanager"
name = "manager"
url = "http://127.0.0.1:9093"
group_wait = "0"
[[sinks]]
type = "mqtt"
name = "home"
url = "mqtt://127.0.0.1:1883"
group_wait = "0"
[[sinks]]
type = "exec"
name = "program"
command = ["/bin/sh", "-c", "echo $RNN_STATUS $RNN_ALERT_ID >> /var/lib/rnn-notify/program"]
group_wait = "0"
streams = ["probe*"]
[[sinks]]
type = "email"
name = "mail"
to = ["root@localhost"]
sendmail = "/usr/local/bin/mailer"
group_wait = "0"
streams = ["probe*"]
TOML
holds "its configuration is fine" rnn-notify --check --config /etc/rnn-watchd/rnn-notify.toml
perl webhook.pl 8765 /test/webhook.log & webhook=$!
holds "rnn-notify starts" systemctl restart rnn-notify
perl -e 'srand 7; my $t = time - 3000; for my $i (0..2990) { my $v = 20 + 3 * sin($i / 60) + rand; $v = 90 if $i > 2985; printf "probe,place=a value=%.2f %d000000000\n", $v, $t + $i }' > probe.lp
rnnctl send probe.lp --producer probe --quiet
soon 20 sh -c 'rnnctl alerts query --state open --stream "probe*" --format csv | grep -q probe'
alert=$(rnnctl alerts query --state open --stream 'probe*' --format jsonl | head -n 1 | sed 's/.*"id":"\([^"]*\)".*/\1/')
has "there is an open alert" "$alert" '^[0-9a-f]{8}-[0-9]+$'
soon 20 grep -q "firing.*$alert" webhook.log
has "the webhook hears it" "$(cat webhook.log)" "firing $alert"
soon 20 grep -q "firing $alert" /var/lib/rnn-notify/program
has "the program hears it" "$(cat /var/lib/rnn-notify/program)" "firing $alert"
soon 20 grep -q 'Message-ID' /var/lib/rnn-notify/mail
has "the mailer hears it" "$(cat /var/lib/rnn-notify/mail)" 'Subject: \[(WARNING|CRITICAL)\] probe,place=a'
soon 20 sh -c "amtool alert query --alertmanager.url=http://127.0.0.1:9093 -o extended | grep -q $alert"
has "Alertmanager has it" "$(amtool alert query --alertmanager.url=http://127.0.0.1:9093 -o extended)" "$alert"
has "MQTT has it, found by Home Assistant's discovery" "$(timeout 5 mosquitto_sub -t 'rnn-watchd/#' -t 'homeassistant/#' -v -W 2)" '"device_class":"problem".*probe|/state ON'
told=$(wc -l < webhook.log)
systemctl restart rnn-notify; systemctl restart rnn-watchd; systemctl restart prometheus-alertmanager mosquitto; sleep 4
is "restarts tell nothing twice" "$(wc -l < webhook.log)" "$told"
holds "somebody is on it" rnnctl alerts ack "$alert" -m 'on it'
has "who and what stand in the alert" "$(rnnctl alerts show "$alert" --format json)" '"comment": "on it"'
holds "a silence begins" rnnctl silence add --stream 'probe*' --for 1h
holds "the alert is closed by hand" rnnctl alerts close "$alert"
soon 20 grep -q "resolved $alert" webhook.log
has "that it is over is told inside the silence to whom the problem was told" "$(cat webhook.log)" "resolved $alert"
is "each message has a key of its own" "$(cut -d' ' -f1 webhook.log | sort | uniq -d)" ""
has "a test message goes through" "$(rnnctl notify test hook)" 'HTTP 204'
has "its state is shown" "$(rnnctl notify status)" 'hook +webhook'
holds "it reloads" systemctl reload rnn-notify
notify_exposure=$(systemd-analyze security rnn-notify.service --no-pager 2> /dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p')
is "rnn-notify is sealed as far as the network allows: exposure $notify_exposure" "$(awk -v e="${notify_exposure:-9}" 'BEGIN { print (e < 2.5) }')" 1
kill $webhook; systemctl stop rnn-notify prometheus-alertmanager mosquitto; wait $webhook 2> /dev/null
rnnctl silence end "$(rnnctl silence list --format csv | sed -n '2s/,.*//p')" > /dev/null

snippet telegraf-execd > telegraf.conf
command=$(perl -0ne '/command = \["bash", "-c", "(.*?)"\]/ and print $1' telegraf.conf)
printf 'cpu,cpu=cpu-total,host=box usage_idle=98.7,usage_user=0.3 %s000000000\n' "$(date +%s)" > telegraf.lp
is "Telegraf's processor passes metrics on unchanged" "$(bash -c "$command" < telegraf.lp)" "$(cat telegraf.lp)"
soon 10 sh -c 'rnnctl streams list | grep -q cpu=cpu-total'
has "and a copy arrives" "$(rnnctl streams list)" 'cpu,cpu=cpu-total,host=box'
snippet metrics.toml > metrics.toml
sed -i "s|^metrics_file = .*|$(grep ^metrics_file metrics.toml)|; s/^metrics_interval = .*/metrics_interval = \"1s\"/" /etc/rnn-watchd/rnn-watchd.toml
snippet node-exporter > /etc/default/prometheus-node-exporter
systemctl restart rnn-watchd prometheus-node-exporter
page() { exec 3<> /dev/tcp/127.0.0.1/9100 && printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3 && cat <&3; exec 3>&-; }
export -f page
soon 15 bash -c 'page | grep -q ^rnnwatchd_streams'
has "node_exporter passes on the counters" "$(page | grep -a ^rnnwatchd_lines)" 'rnnwatchd_lines_received_total [1-9]'
is "and finds no fault with the file" "$(page | grep -a '^node_textfile_scrape_error')" "node_textfile_scrape_error 0"
has "rnnctl metrics says the same" "$(rnnctl metrics)" '^rnnwatchd_lines_received_total [1-9]'
systemctl stop prometheus-node-exporter
is "and their names are nobody else's" "$(journalctl --sync; journalctl -u prometheus-node-exporter -o cat | grep -c 'error gathering metrics')" 0
snippet journal > journal.sh
has "the journal snippets find alerts" "$(timeout 5 sh journal.sh)" '"RNN_KIND" ?: ?"anomaly"'

note "stop, start"
soon 10 settled
streams=$(rnnctl streams list --format csv | wc -l) before=$(lines)
holds "it stops" systemctl stop rnn-watchd rnn-watchd.socket rnn-watchd-control.socket
is "a stop is a clean end" "$(systemctl show -P Result rnn-watchd)" success
has "rnnctl says that it does not run, and how to start it" "$(rnnctl status 2>&1)" 'nobody serves /run/rnn-watchd/control.sock; start it with: systemctl start rnn-watchd'
rm -r /run/rnn-watchd
has "rnnctl says that there is no socket, and how to start it" "$(rnnctl status 2>&1)" '/run/rnn-watchd/control.sock is not there; start it with: systemctl start rnn-watchd'
has "the same for another user" "$(visitor rnnctl status)" 'control.sock is not there; start it with: systemctl start rnn-watchd'
has "the same when sending" "$(rnnctl send --attempts-max 1 plant.lp 2>&1)" 'ingest.sock.*start it with: systemctl start rnn-watchd'
has "the database belongs to nobody else" "$(stat -c %a /var/lib/private/rnn-watchd)" '^700$'
holds "rnnctl check finds nothing" rnnctl --state-dir /var/lib/rnn-watchd check
holds "it starts again" systemctl start rnn-watchd
is "the dynamic user finds its state again" "$(rnnctl streams list --format csv | wc -l) $(lines)" "$streams $before"
holds "manual pages are there" sh -c 'man -w rnn-watchd && man -w rnnctl && man -w rnn-watchd.toml && man -w rnn-notify'
is "manual pages have no warnings" "$(for page in rnn-watchd rnnctl rnn-watchd.toml rnn-notify; do man --warnings -E UTF-8 -l -Tutf8 -Z "$(man -w $page)" 2>&1 > /dev/null; done)" ""
rm -f /tmp/backup.db
has "a backup that lands in the service's own /tmp is an error that says what to do" "$(rnnctl backup /tmp/backup.db 2>&1; echo $?)" '(--state-dir|backed up to /tmp/backup.db \([1-9])'
holds "a backup works as the help says" rnnctl --state-dir /var/lib/rnn-watchd backup /var/lib/backup.db

note "completions"
is "bash loads them and completes" "$(bash -c '. /usr/share/bash-completion/bash_completion; . /usr/share/bash-completion/completions/rnnctl; COMP_WORDS=(rnnctl al); COMP_CWORD=1; COMP_LINE="rnnctl al"; COMP_POINT=9; COMP_TYPE=9; _rnnctl rnnctl al rnnctl; echo ${COMPREPLY[*]}' 2>&1)" alerts
is "zsh loads them" "$(zsh -fc 'autoload -U compinit && compinit -u -d /tmp/zcompdump && for p in rnnctl rnn-watchd; do [[ $_comps[$p] = _$p ]] && autoload +X _$p && print -n "$p "; done' 2>&1)" "rnnctl rnn-watchd "
has "fish loads them and completes" "$(fish --no-config -c 'source /usr/share/fish/vendor_completions.d/rnnctl.fish; source /usr/share/fish/vendor_completions.d/rnn-watchd.fish; complete -C "rnnctl al"' 2>&1)" '^alerts'

note "remove, purge"
holds "rnn-notify is purged" dpkg -P rnn-watchd-notify
is "nothing of it is left" "$(ls -d /etc/rnn-watchd/rnn-notify.toml /var/lib/rnn-notify /var/lib/private/rnn-notify 2> /dev/null)" ""
holds "the package is removed" dpkg -r rnn-watchd
is "nothing of it runs" "$(systemctl is-active rnn-watchd.service rnn-watchd.socket rnn-watchd-control.socket | sort -u)" inactive
is "removing keeps state and configuration" "$(ls /var/lib/private/rnn-watchd/rnn-watchd.db /etc/rnn-watchd/rnn-watchd.toml | wc -l)" 2
holds "it is purged" dpkg -P rnn-watchd
is "the group stays, as is the habit: its number must not be given to another" "$(getent group rnn-watchd | cut -d: -f1)" rnn-watchd
is "purging leaves nothing" "$(ls -d /etc/rnn-watchd /var/lib/rnn-watchd /var/lib/private/rnn-watchd /run/rnn-watchd /etc/systemd/system/*.wants/rnn-* 2> /dev/null)" ""

echo
echo "$passed laws hold, $failed broken; systemd $(systemctl --version | awk 'NR == 1 { print $2 }'), exposure $exposure"
[ $failed = 0 ]
