#!/bin/sh
# Runs one local instance until it powers off, in its own mount namespace, so that nothing stays mounted.
# usage: container.sh FOLDER IMAGE STORE:STORE_ON_THE_INSTANCE NETWORK_NAMESPACE
set -eu
folder=$1 image=$2 store=$3 namespace=$4
# nspawn requires systemd's runtime folder, which does not exist on a host without systemd.
[ -d /run/systemd/system ] || { mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd; }
mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
while :; do
	code=0
	systemd-nspawn --quiet --register=no --keep-unit --boot --console=pipe --machine="$(basename "$folder")" \
		--directory="$folder/root" --network-namespace-path="/run/netns/$namespace" \
		--bind="$store" || code=$?
	# 133: the instance rebooted.
	[ "$code" -eq 133 ] || exit "$code"
done
