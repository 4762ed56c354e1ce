#!/bin/sh
# Installs the system packages that are missing. An image that has them all needs no package archive.
set -eu
packages="ca-certificates libnginx-mod-http-js libnuma1 nftables nginx python3-boto3 python3-venv"
# SGLang and Triton compile at run time: nvcc is in the bundle's lock, the host's compiler and headers are not.
[ "$QWEN3_ACCELERATOR" = cpu ] || packages="$packages g++ python3-dev"
missing=""
for package in $packages; do
	status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "installing packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# Debian's nginx starts with a page on port 80; ours starts once its configuration exists.
systemctl mask --quiet nginx.service
trap 'systemctl unmask --quiet nginx.service' EXIT
# Cloud images may still be updating their package lists. One unavailable archive must not affect the others.
apt-get -o DPkg::Lock::Timeout=600 update || echo "not every package list could be updated"
# shellcheck disable=SC2086 # a list of words
apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends $missing
