#!/usr/bin/env bash
# run.sh PACKAGE NOTIFY_PACKAGE: installs, runs, upgrades and purges the packages in a clean Debian that boots a real systemd.
# RNN_TEST_SUITE: the Debian (default bookworm; trixie has a systemd with notify-reload).
# RNN_TEST_CACHE keeps the clean Debian between runs (default /var/cache/rnn-watchd-test). 77: this machine cannot.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
package=$(readlink -f "$1")
notify=$(readlink -f "$2")
suite=${RNN_TEST_SUITE:-bookworm}
cache=${RNN_TEST_CACHE:-/var/cache/rnn-watchd-test}
root=$cache/$suite
inside=systemd,systemd-sysv,dbus,libsqlite3-0,libstdc++6,libseccomp2,procps,perl,collectd-core,rsyslog,socat,mosquitto,mosquitto-clients
inside+=,libcurl4,libmosquitto1,prometheus-alertmanager,prometheus-node-exporter,man-db,bash-completion,zsh,fish
cannot() { echo "cannot boot a Debian here: $1" >&2; [ -z "${RNN_TEST_REASON:-}" ] || echo "$1" > "$RNN_TEST_REASON"; exit 77; }
[ "$(id -u)" = 0 ] || cannot "not root"
[ "$(df -Pk "${TMPDIR:-/tmp}" | awk 'NR == 2 { print $4 }')" -gt 1000000 ] || cannot "less than 1 GB free in ${TMPDIR:-/tmp}"
mark=$root/.complete-$(echo "$inside" | cksum | cut -d' ' -f1)
if ! [ -e "$mark" ]; then
  rm -rf --one-file-system "$root"
  mkdir -p "$cache"
  echo "making a clean $suite in $root"
  mmdebstrap -q --variant=minbase --include="$inside" "$suite" "$root" || cannot "mmdebstrap made no $suite (is a Debian mirror in reach?)"
  touch "$mark"
fi

out=$(mktemp -d "${TMPDIR:-/tmp}/rnn-watchd-systemd.XXXXXX")
trap 'rm -rf --one-file-system "$out"' EXIT
chmod 755 "$out"
cp "$here"/*.sh "$here"/*.pl "$out/"
cp -r "$here/../../docs/INTEGRATIONS.md" "$out/"
cp "$package" "$out/new.deb"
cp "$notify" "$out/notify.deb"
# The version before: the same files under a lower number.
dpkg-deb -R "$package" "$out/previous"
sed -i 's/^Version: .*/&~previous/' "$out/previous/DEBIAN/control"
dpkg-deb -Zgzip -z1 -b "$out/previous" "$out/old.deb" > /dev/null
rm -rf "$out/previous"
code=0
"$here/boot.sh" "$root" "$out" 900 || code=$?
if [ $code != 0 ] && [ $code != 77 ]; then
  [ -s "$out/journal" ] && { echo "--- journal"; grep -v 'systemd\[1\]: \(Reached\|Listening\|Mounted\)' "$out/journal" | tail -n 150; }
  [ -s "$out/journal" ] || tail -n 40 "$out/boot.log" || true
fi
exit $code
