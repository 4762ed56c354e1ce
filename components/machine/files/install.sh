#!/bin/sh
# Installs the unpacked bundle: accounts, files, the Python environment, units. Safe to run again.
# Settings come from /etc/qwen3/embed.env through qwen3-bootstrap.service.
set -eu
bundle=$(cd "$(dirname "$0")" && pwd)
home=/opt/qwen3

say() { echo "install: $*"; }

accounts() {
	getent group qwen3-keys >/dev/null || groupadd --system qwen3-keys
	getent passwd aiuser >/dev/null || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin aiuser
	# The door and nginx read the digests of the keys.
	usermod --append --groups qwen3-keys aiuser
	usermod --append --groups qwen3-keys www-data
}

files() {
	rm -rf "${home:?}/lib" "${home:?}/lib-cpu"
	cp -R "$bundle/lib" "$home/lib"
	[ ! -d "$bundle/lib-cpu" ] || cp -R "$bundle/lib-cpu" "$home/lib-cpu"
	install -D -m 644 "$bundle/nginx/nginx.conf" /etc/nginx/nginx.conf
	install -D -m 644 "$bundle/nginx/edge.js" /etc/nginx/qwen3/edge.js
	install -m 755 "$bundle/bin/qwen3-audit" "$bundle/bin/qwen3-tune" /usr/local/sbin/
	cp -R "$bundle/units/." /etc/systemd/system/
	# An upgraded library must not restart every worker at once, unasked.
	install -D -m 644 "$bundle/needrestart.conf" /etc/needrestart/conf.d/qwen3.conf
	/usr/bin/python3 -m compileall -q "$home/lib"
}

# One environment for each lock and Python, in the store: a machine whose store has it installs nothing.
environment() {
	python=$(/usr/bin/python3 -c 'import sys; print("py%d%d" % sys.version_info[:2])')
	venv="$QWEN3_STORE/venvs/$(sha256sum "$bundle/requirements.lock" | cut -c 1-16)-$python"
	mkdir -p "$QWEN3_STORE/venvs"
	exec 9>"$venv.lock"
	flock 9
	if [ ! -e "$venv/.complete" ]; then
		say "installing SGLang and all it needs, about 5 GB to download, into $venv"
		rm -rf "$venv"
		/usr/bin/python3 -m venv "$venv"
		"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$bundle/installer.lock"
		# In the store, so that files are linked, not copied; with the system's certificates, as pip has them; compiled,
		# because the workers may not write there.
		UV_CACHE_DIR="$QWEN3_STORE/uv" UV_SYSTEM_CERTS=1 \
			"$venv/bin/uv" pip install --no-progress --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$bundle/requirements.lock"
		# What links against CUDA looks for a toolkit's layout; the packages have the libraries by version only.
		for cuda in "$venv"/lib/python3*/site-packages/nvidia/cu13; do
			ln -sfn lib "$cuda/lib64"
			ln -sf libcudart.so.13 "$cuda/lib/libcudart.so"
			ln -sf libnvrtc.so.13 "$cuda/lib/libnvrtc.so"
		done
		touch "$venv/.complete"
	fi
	exec 9>&-
	ln -sfn "$venv" "$home/venv"
	say "Python environment $venv is complete"
}

units() {
	systemctl daemon-reload
	# shellcheck disable=SC2046 # one word a unit
	systemctl enable --quiet $(cat "$bundle/enable")
	# Not waited for: each unit waits for what it needs, and says so in the journal.
	# shellcheck disable=SC2046
	systemctl restart --no-block $(cat "$bundle/enable")
}

accounts
files
environment
units
touch "$home/installed"
say "done; qwen3-keys, qwen3-model, nginx and the workers start now"
