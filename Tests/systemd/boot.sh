#!/usr/bin/env bash
# boot.sh ROOT DIR: boots the Debian in ROOT (a directory; nothing in it changes) with a real systemd as its first process,
# runs `bash /test/inside.sh` there as a service, with DIR at /test, and ends with that command's exit code. Needs root and
# systemd-nspawn. 77: this machine cannot.
set -uo pipefail
lower=$1 shared=$2 limit=${3:-600}
# The reason goes to standard error and, for whoever runs this, into the file RNN_TEST_REASON.
cannot() { echo "cannot boot a Debian here: $1" >&2; [ -z "${RNN_TEST_REASON:-}" ] || echo "$1" > "$RNN_TEST_REASON"; exit 77; }
[ "$(id -u)" = 0 ] || cannot "not root"
command -v systemd-nspawn >/dev/null || cannot "no systemd-nspawn"

id=rnnboot$$
work=$(mktemp -d "${TMPDIR:-/tmp}/$id.XXXXXX")
groups=() boot=
cleanup() {
  if [ -n "$boot" ] && kill -0 "$boot" 2>/dev/null; then kill -TERM "$boot"; sleep 1; kill -KILL "$boot" 2>/dev/null; wait "$boot" 2>/dev/null; fi
  umount -l "$work/root" 2>/dev/null
  umount -l "$work/upper" 2>/dev/null
  for group in "${groups[@]}"; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; done
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# What is written goes to memory.
mkdir "$work/upper" "$work/root"
mount -t tmpfs -o mode=755,size=3g "$id" "$work/upper" || cannot "no tmpfs can be mounted"
mkdir "$work/upper/u" "$work/upper/w"
mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper/u,workdir=$work/upper/w" "$id" "$work/root" || cannot "no overlay can be mounted"
root=$work/root
: > "$root/etc/machine-id"
echo rnn-test > "$root/etc/hostname"
echo "127.0.0.1 localhost" > "$root/etc/hosts"
rm -f "$root/etc/resolv.conf"
mkdir -p "$root/var/log/journal" "$root/test"
for unit in systemd-networkd systemd-resolved systemd-timesyncd getty@ console-getty systemd-networkd-wait-online; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
done
cat > "$root/etc/systemd/system/inside.service" <<'UNIT'
[Unit]
Description=The checks
After=basic.target dbus.socket
SuccessAction=exit
FailureAction=exit
[Service]
Type=exec
Environment=HOME=/root TERM=dumb SYSTEMD_PAGER= PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WorkingDirectory=/test
StandardOutput=append:/test/output
StandardError=append:/test/output
ExecStart=/bin/bash /test/inside.sh
ExecStopPost=/bin/sh -c 'journalctl --sync; journalctl -o short-monotonic --no-pager > /test/journal'
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../inside.service "$root/etc/systemd/system/multi-user.target.wants/"
# The first process: controllers come read-only from nspawn, and MemoryMax= needs them.
cat > "$shared/init" <<'INIT'
#!/bin/sh
for c in memory pids cpu cpuacct cpuset blkio devices freezer; do
  [ -d /sys/fs/cgroup/$c ] && mount -o remount,bind,rw /sys/fs/cgroup/$c
done
exec /lib/systemd/systemd systemd.unit=multi-user.target systemd.show_status=no
INIT
chmod +x "$shared/init"
: > "$shared/output"

# Control groups of our own below the present ones.
while IFS=: read -r _ controller path; do
  case $controller in
    '') top=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts) ;;
    name=*) top=/sys/fs/cgroup/${controller#name=} ;;
    *) top=/sys/fs/cgroup/$controller ;;
  esac
  [ -n "$top" ] && [ -d "$top$path" ] || continue
  group=${top}${path%/}/$id
  mkdir "$group" 2>/dev/null || continue
  if [ -e "$group/cpuset.cpus" ]; then
    cat "$top$path/cpuset.cpus" > "$group/cpuset.cpus"
    cat "$top$path/cpuset.mems" > "$group/cpuset.mems"
    echo 1 > "$group/cgroup.clone_children" 2>/dev/null
  fi
  groups+=("$group")
done < /proc/self/cgroup
(
  for group in "${groups[@]}"; do echo $BASHPID > "$group/cgroup.procs" 2>/dev/null; done
  exec systemd-nspawn -q -D "$root" --register=no --keep-unit --private-network --link-journal=no --resolv-conf=off --timezone=off \
    --kill-signal=SIGRTMIN+3 --system-call-filter=bpf --capability=CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN,CAP_SYS_PTRACE \
    --bind="$shared:/test" --console=pipe /test/init < /dev/null > "$shared/boot.log" 2>&1
) & boot=$!
tail -n +1 -f --pid=$boot "$shared/output" 2>/dev/null & tail=$!
end=$((SECONDS + limit))
while kill -0 $boot 2>/dev/null && [ $SECONDS -lt $end ]; do sleep 0.1; done
if kill -0 $boot 2>/dev/null; then
  echo "boot.sh: not done after $limit s" >&2
  exit 124
fi
wait $boot
code=$?
boot=
wait $tail 2>/dev/null
# Nothing of the product runs before the first line of output.
[ -s "$shared/output" ] || { cat "$shared/boot.log" >&2; cannot "systemd-nspawn ended with $code before the checks: $(tail -n 1 "$shared/boot.log")"; }
exit $code
