#!/bin/sh
# Runs one local machine until it powers off, in a mount namespace of its own, so that nothing stays mounted.
# usage: container.sh FOLDER IMAGE STORE:STORE_ON_THE_INSTANCE NETWORK_NAMESPACE
set -eu
folder=$1 image=$2 store=$3 namespace=$4
# nspawn wants systemd's runtime folder, which a host without systemd lacks.
[ -d /run/systemd/system ] || { mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd; }
mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
while :; do
	code=0
	systemd-nspawn --quiet --register=no --keep-unit --boot --console=pipe --machine="$(basename "$folder")" \
		--directory="$folder/root" --network-namespace-path="/run/netns/$namespace" \
		--bind="$store" || code=$?
	# 133: the machine rebooted itself.
	[ "$code" -eq 133 ] || exit "$code"
done
