#!/bin/sh
# Installs the unpacked bundle: accounts, files, the Python environment, units. Safe to run again.
# Settings come from the environment file, through qwen3-bootstrap.service.
set -eu
bundle=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=/dev/null # rendered from contract.json
. "$bundle/contract.sh"

say() { echo "install: $*"; }

accounts() {
	getent group "$QWEN3_KEYS_GROUP" >/dev/null || groupadd --system "$QWEN3_KEYS_GROUP"
	getent passwd "$QWEN3_WORKER_USER" >/dev/null ||
		useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$QWEN3_WORKER_USER"
	# Both can read the digests of the keys.
	usermod --append --groups "$QWEN3_KEYS_GROUP" "$QWEN3_WORKER_USER"
	usermod --append --groups "$QWEN3_KEYS_GROUP" "$QWEN3_GATEWAY_USER"
}

files() {
	rm -rf "${QWEN3_LIBRARY:?}" "${QWEN3_CPU_LIBRARY:?}"
	cp -R "$bundle/lib" "$QWEN3_LIBRARY"
	[ ! -d "$bundle/lib-cpu" ] || cp -R "$bundle/lib-cpu" "$QWEN3_CPU_LIBRARY"
	install -D -m 644 "$bundle/nginx/nginx.conf" /etc/nginx/nginx.conf
	install -D -m 644 -t "$QWEN3_GATEWAY_SCRIPTS" "$bundle/nginx/auth.js" "$bundle/nginx/contract.js"
	ln -sf "$bundle"/bin/qwen3-* "$QWEN3_PROGRAMS/"
	cp -R "$bundle/units/." /etc/systemd/system/
	install -m 644 -t /etc/systemd "$bundle"/journald/*
	# An upgraded library must not restart every worker at once.
	install -D -m 644 "$bundle/needrestart.conf" /etc/needrestart/conf.d/qwen3.conf
	/usr/bin/python3 -m compileall -q "$QWEN3_LIBRARY"
}

# Weights from S3 need nothing that is installed later, so both downloads run in parallel.
model() {
	mkdir -p "$QWEN3_STORE"
	systemctl daemon-reload
	case "$QWEN3_MODEL_SOURCE" in s3://*) systemctl start --no-block qwen3-model.service ;; esac
}

# One environment per lock and Python version, in the store: an instance whose store has it installs nothing.
environment() {
	python=$(/usr/bin/python3 -c 'import sys; print("py%d%d" % sys.version_info[:2])')
	venv="$QWEN3_STORE/venvs/$(sha256sum "$bundle/requirements.lock" | cut -c 1-16)-$python"
	mkdir -p "$QWEN3_STORE/venvs"
	exec 9>"$venv.lock"
	flock 9
	[ -e "$venv/.complete" ] || packages "$venv"
	exec 9>&-
	ln -sfn "$venv" "$QWEN3_VENV"
	say "Python environment $venv is complete"
}

# The locks' hashes determine what is installed, from PyPI or from a mirror.
packages() {
	say "installing SGLang and its packages, about 5 GB to download, into $1"
	from=""
	if [ -n "${QWEN3_PACKAGE_MIRROR:-}" ]; then
		PYTHONPATH="$QWEN3_LIBRARY" /usr/bin/python3 -m qwen3.wheels "$QWEN3_STORE/packages"
		from="--no-index --find-links $QWEN3_STORE/packages"
	fi
	rm -rf "$1"
	/usr/bin/python3 -m venv "$1"
	# shellcheck disable=SC2086 # two words or none
	"$1/bin/pip" install --quiet --disable-pip-version-check $from --require-hashes -r "$bundle/installer.lock"
	# uv's cache is in the store, so that files are linked, not copied. uv uses the system's certificates, as pip does, and
	# compiles bytecode, because the workers cannot write there.
	# shellcheck disable=SC2086
	UV_CACHE_DIR="$QWEN3_STORE/uv" UV_SYSTEM_CERTS=1 \
		"$1/bin/uv" pip install $from --no-progress --compile-bytecode --python "$1/bin/python" --require-hashes -r "$bundle/requirements.lock"
	# Programs that link against CUDA expect a toolkit's layout; the packages have the libraries only by version.
	for cuda in "$1"/lib/python3*/site-packages/nvidia/cu13; do
		ln -sfn lib "$cuda/lib64"
		ln -sf libcudart.so.13 "$cuda/lib/libcudart.so"
		ln -sf libnvrtc.so.13 "$cuda/lib/libnvrtc.so"
	done
	rm -rf "$QWEN3_STORE/packages"
	touch "$1/.complete"
}

units() {
	systemctl daemon-reload
	# shellcheck disable=SC2046 # one word per unit
	systemctl enable --quiet $(cat "$bundle/enable")
	# --no-block: each unit waits for what it needs, and logs it.
	# A download of the model that is in progress continues.
	# shellcheck disable=SC2046
	systemctl restart --no-block $(grep -v '^qwen3-model' "$bundle/enable")
	systemctl start --no-block qwen3-model.service
}

accounts
files
model
environment
units
touch "$QWEN3_INSTALLED"
say "done; qwen3-keys, qwen3-model, nginx and the workers start now"
