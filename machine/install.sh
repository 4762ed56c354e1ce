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
	install -D -m 644 "$bundle/nginx/auth.js" /etc/nginx/qwen3/auth.js
	install -m 755 "$bundle/bin/qwen3-audit" "$bundle/bin/qwen3-tune" /usr/local/sbin/
	cp -R "$bundle/units/." /etc/systemd/system/
	# An upgraded library must not restart every worker at once, unasked.
	install -D -m 644 "$bundle/needrestart.conf" /etc/needrestart/conf.d/qwen3.conf
	/usr/bin/python3 -m compileall -q "$home/lib"
}

# Weights from S3 need nothing of what is installed next: both downloads run side by side.
model() {
	mkdir -p "$QWEN3_STORE"
	systemctl daemon-reload
	case "$QWEN3_MODEL_SOURCE" in s3://*) systemctl start --no-block qwen3-model.service ;; esac
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
		# Whatever the source, the locks' hashes say what is installed.
		from=""
		if [ -n "${QWEN3_PACKAGE_MIRROR:-}" ]; then
			PYTHONPATH="$home/lib" /usr/bin/python3 -m qwen3.packages "$QWEN3_STORE/packages"
			from="--no-index --find-links $QWEN3_STORE/packages"
		fi
		rm -rf "$venv"
		/usr/bin/python3 -m venv "$venv"
		# shellcheck disable=SC2086 # two words or none
		"$venv/bin/pip" install --quiet --disable-pip-version-check $from --require-hashes -r "$bundle/installer.lock"
		# In the store, so that files are linked, not copied; with the system's certificates, as pip has them; compiled,
		# because the workers may not write there.
		# shellcheck disable=SC2086
		UV_CACHE_DIR="$QWEN3_STORE/uv" UV_SYSTEM_CERTS=1 \
			"$venv/bin/uv" pip install $from --no-progress --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$bundle/requirements.lock"
		# What links against CUDA looks for a toolkit's layout; the packages have the libraries by version only.
		for cuda in "$venv"/lib/python3*/site-packages/nvidia/cu13; do
			ln -sfn lib "$cuda/lib64"
			ln -sf libcudart.so.13 "$cuda/lib/libcudart.so"
			ln -sf libnvrtc.so.13 "$cuda/lib/libnvrtc.so"
		done
		rm -rf "$QWEN3_STORE/packages"
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
	# The model is not begun again where it is being fetched.
	# shellcheck disable=SC2046
	systemctl restart --no-block $(grep -v '^qwen3-model' "$bundle/enable")
	systemctl start --no-block qwen3-model.service
}

accounts
files
model
environment
units
touch "$home/installed"
say "done; qwen3-keys, qwen3-model, nginx and the workers start now"
