import { posix } from "node:path";
import type { Settings } from "../../settings/table";
import { ACCOUNTS, FIRST_WORKER_PORT, PATHS } from "../contract";
import { DEVICES, HARDENING } from "./hardening";
import { JOURNALS } from "./journals";
import { workerCommand } from "./numa";

type Accelerator = Settings["accelerator"];

export function workerUnit(accelerator: Accelerator): string {
  const cuda = accelerator === "cuda";
  return `[Unit]
Description=Embedding worker %i: auth and SGLang's engine, on 127.0.0.1:${FIRST_WORKER_PORT}+%i
# Not Requires=: one failed download of the model would keep the workers stopped permanently.
Wants=qwen3-model.service
After=qwen3-model.service qwen3-keys.service
${cuda ? "Wants=qwen3-gpu.service\nAfter=qwen3-gpu.service nvidia-persistenced.service nvidia-fabricmanager.service\n" : ""}StartLimitIntervalSec=0

[Service]
# Ready once it has computed an embedding.
Type=notify
NotifyAccess=main
ExecStartPre=/bin/sh -c 'until [ -e "\${QWEN3_MODEL_PATH}/.complete" ]; do sleep 1; done'
ExecStart=${workerCommand(cuda)}
Restart=always
RestartSec=2
# Kernels are compiled on the first start.
TimeoutStartSec=1800
# systemd ends a worker that hangs for this long. A worker whose SGLang hangs ends itself after eight times as long.
WatchdogSec=15
# A stop completes the requests in progress. The scheduler and its children end with the main process.
KillMode=mixed
TimeoutStopSec=90
OOMPolicy=stop
LogNamespace=${JOURNALS.requests.namespace}
# For a file with what it has computed and has waiting, which anyone on the instance may read.
RuntimeDirectory=${posix.relative("/run", PATHS.workers)}/%i
RuntimeDirectoryMode=0755
${engineContext(accelerator, "%i")}
[Install]
WantedBy=multi-user.target
`;
}

/**
 * Properties of the unit that qwen3-tune starts in place of worker 0, one per line, for systemd-run. It runs the same
 * engine as the worker, in the same environment and with the same restrictions.
 */
export function tuneProperties(accelerator: Accelerator): string {
  const properties = `ExecStartPre=+/bin/systemctl stop qwen3-embed@0.service
ExecStopPost=+/bin/systemctl start --no-block qwen3-embed@0.service
TimeoutStartSec=180
RuntimeMaxSec=4h
${engineContext(accelerator, "0")}`;
  return properties
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => `${line}\n`)
    .join("");
}

/** Account, environment and restrictions of the processes that run SGLang for one worker. */
function engineContext(accelerator: Accelerator, worker: string): string {
  const cuda = accelerator === "cuda";
  const pythonPath = cuda ? PATHS.library : `${PATHS.library}:${PATHS.cpuLibrary}`;
  const cache = `${PATHS.cache}/worker-${worker}`;
  return `User=${ACCOUNTS.workerUser}
EnvironmentFile=${PATHS.environment}
Environment=PYTHONPATH=${pythonPath} PYTHONUNBUFFERED=1
# ninja, and nvcc for the kernels that SGLang compiles, are in its packages for either Python.
Environment=PATH=${searchPath()}
${cuda ? `Environment=CUDA_VISIBLE_DEVICES=${worker} CUDA_DEVICE_ORDER=PCI_BUS_ID\n` : ""}# Compiled kernels are kept in the worker's own cache.
CacheDirectory=${posix.relative("/var/cache", cache)}
CacheDirectoryMode=0700
Environment=HOME=${cache} XDG_CACHE_HOME=${cache}
# A worker uses one GPU and communicates only with itself. Several workers compile at once on a first start.
Environment=NCCL_SOCKET_IFNAME=lo GLOO_SOCKET_IFNAME=lo MAX_JOBS=4
Environment=TRITON_CACHE_DIR=${cache}/triton TORCHINDUCTOR_CACHE_DIR=${cache}/inductor
LimitNOFILE=65536
# Hardening as far as CUDA allows; docs/reference/machine.md lists what was omitted and why.
UMask=0077
CapabilityBoundingSet=
ProtectSystem=strict
# The metadata service gives the role's credentials, and these every key. A worker reaches only nginx and itself.
IPAddressDeny=any
IPAddressAllow=localhost
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
# Hides other users' processes; /proc/driver/nvidia stays visible (ProcSubset=all).
ProtectProc=invisible
${HARDENING}
${cuda ? DEVICES : "PrivateDevices=yes\n"}`;
}

/** With nvcc for either Python. */
function searchPath(): string {
  const venv = PATHS.venv;
  const compilers = ["3.12", "3.11"].map(
    (python) => `${venv}/lib/python${python}/site-packages/nvidia/cu13/bin`,
  );
  return [`${venv}/bin`, ...compilers, "/usr/local/bin", "/usr/bin", "/bin"].join(":");
}
