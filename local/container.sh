#!/bin/sh
# Runs systemd-nspawn until the container powers off, in its own mount namespace, so that nothing stays mounted.
# usage: unshare --mount --propagation private container.sh NAME ROOT LAYERS ARGUMENT…
#   LAYERS: options of the overlay to mount on ROOT; if empty, ROOT is used as it is
set -eu
name=$1 root=$2 layers=$3
shift 3
# nspawn requires systemd's runtime folder, which does not exist on a host without systemd.
[ -d /run/systemd/system ] || { mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd; }
[ -z "$layers" ] || mount -t overlay overlay -o "$layers" "$root"
# With control groups v2, nspawn creates groups below its own, with the same names for every container.
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
if [ -n "${SYSTEMD_NSPAWN_UNIFIED_HIERARCHY:-}" ] && [ -n "$groups" ]; then
	group=$groups/qwen3-$name
	mkdir -p "$group"
	echo $$ >"$group/cgroup.procs"
	trap 'echo $$ >"$groups/cgroup.procs"; find "$group" -depth -type d -exec rmdir {} + 2>/dev/null' EXIT
fi
while :; do
	code=0
	systemd-nspawn --quiet --register=no --keep-unit --console=pipe --machine="$name" --directory="$root" "$@" || code=$?
	# 133: the instance rebooted.
	[ "$code" -eq 133 ] || exit "$code"
done
