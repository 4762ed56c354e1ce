import { posix } from "node:path";
import { ACCOUNTS, FIRST_WORKER_PORT, PATHS } from "../contract";
import type { BundleConfig } from "../instanceConfig";
import { fleetUnits } from "./fleetUnits";
import { DEVICES, HARDENING } from "./hardening";
import { workerCommand } from "./numa";

/** Unit files below /etc/systemd/system by name, and the units to enable. */
export interface Units {
  files: Record<string, string>;
  enable: string[];
}

/** The units of an instance; docs/reference/machine.md describes each. */
export function units(
  config: Pick<BundleConfig, "accelerator" | "workers" | "modelSource" | "fleet">,
): Units {
  const workers = Array.from({ length: config.workers }, (_, index) => `qwen3-embed@${index}.service`);
  const fleet = config.fleet && fleetUnits(config.fleet, config.accelerator);
  return {
    files: {
      "qwen3-keys.service": keysUnit(),
      "qwen3-model.service": modelUnit(config),
      "qwen3-embed@.service": workerUnit(config),
      ...(config.accelerator === "cuda" && { "qwen3-gpu.service": gpuUnit(config.workers) }),
      "nginx.service.d/qwen3.conf": nginxDropIn(),
      ...fleet?.files,
    },
    enable: [
      "qwen3-keys.service",
      "qwen3-model.service",
      "nginx.service",
      ...workers,
      ...(fleet?.enable ?? []),
    ],
  };
}

function keysUnit(): string {
  return `[Unit]
Description=Digests of the API keys and the certificate, from Secrets Manager
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
# Ready once the first keys and the certificate are available: immediately if an earlier run left them.
Type=notify
EnvironmentFile=${PATHS.environment}
Environment=PYTHONPATH=${PATHS.library} PYTHONUNBUFFERED=1
ExecStart=/usr/bin/python3 -m qwen3.keys
# Reads AWS now instead of at the next poll.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=2
# The first load retries until Secrets Manager responds.
TimeoutStartSec=infinity
# The longest wait between two passes is a minute.
WatchdogSec=180
# The last digests remain in use while the unit is not running.
RuntimeDirectory=${posix.relative("/run", PATHS.runtime)}
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
# Root, because only root can read the certificate's key and reload nginx. The only capabilities are those for giving
# the digests to a group.
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
ProtectSystem=strict
PrivateDevices=yes
ProtectProc=invisible
MemoryDenyWriteExecute=yes
# AF_UNIX reaches systemd.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
${HARDENING}

[Install]
WantedBy=multi-user.target
`;
}

function modelUnit(config: Pick<BundleConfig, "modelSource">): string {
  // The system's Python has boto3, SGLang's has Hugging Face's client.
  const fromS3 = config.modelSource.startsWith("s3://");
  const python = fromS3 ? "/usr/bin/python3" : `${PATHS.venv}/bin/python`;
  return `[Unit]
Description=The model's weights, complete and verified
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=${PATHS.environment}
# The proxy for packages, if set, is also used for weights.
EnvironmentFile=-${PATHS.bootstrapEnvironment}
Environment=PYTHONPATH=${PATHS.library} PYTHONUNBUFFERED=1
ExecStart=${python} -m qwen3.model
Restart=on-failure
RestartSec=15
TimeoutStartSec=infinity
# Instances may share the store, and any user may own it.
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
ProtectSystem=strict
ReadWritePaths=${PATHS.store}
PrivateDevices=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
${HARDENING}

[Install]
WantedBy=multi-user.target
`;
}

function workerUnit(config: Pick<BundleConfig, "accelerator">): string {
  const cuda = config.accelerator === "cuda";
  const pythonPath = cuda ? PATHS.library : `${PATHS.library}:${PATHS.cpuLibrary}`;
  const cache = `${posix.relative("/var/cache", PATHS.cache)}/worker-%i`;
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
User=${ACCOUNTS.workerUser}
EnvironmentFile=${PATHS.environment}
Environment=PYTHONPATH=${pythonPath} PYTHONUNBUFFERED=1
# ninja, and nvcc for the kernels that SGLang compiles, are in its packages for either Python.
Environment=PATH=${searchPath()}
${cuda ? "Environment=CUDA_VISIBLE_DEVICES=%i CUDA_DEVICE_ORDER=PCI_BUS_ID\n" : ""}# Compiled kernels are kept in the worker's own cache.
CacheDirectory=${cache}
CacheDirectoryMode=0700
Environment=HOME=%C/${cache} XDG_CACHE_HOME=%C/${cache}
# A worker uses one GPU and communicates only with itself. Several workers compile at once on a first start.
Environment=NCCL_SOCKET_IFNAME=lo GLOO_SOCKET_IFNAME=lo MAX_JOBS=4
Environment=TRITON_CACHE_DIR=%C/${cache}/triton TORCHINDUCTOR_CACHE_DIR=%C/${cache}/inductor
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
${cuda ? DEVICES : "PrivateDevices=yes\n"}
[Install]
WantedBy=multi-user.target
`;
}

/**
 * Loads the kernel modules that the first CUDA process would load, and creates the devices: a worker is not allowed to,
 * and systemd allows a worker only the devices that exist when it starts.
 */
function gpuUnit(workers: number): string {
  const devices = Array.from({ length: workers }, (_, index) => `-c ${index}`).join(" ");
  return `[Unit]
Description=NVIDIA's kernel modules and devices for the workers
After=nvidia-persistenced.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/nvidia-modprobe ${devices}
ExecStart=/usr/bin/nvidia-modprobe -c 0 -u
Restart=on-failure
RestartSec=5
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
`;
}

/** The workers' PATH, with nvcc for either Python. */
function searchPath(): string {
  const venv = PATHS.venv;
  const compilers = ["3.12", "3.11"].map(
    (python) => `${venv}/lib/python${python}/site-packages/nvidia/cu13/bin`,
  );
  return [`${venv}/bin`, ...compilers, "/usr/local/bin", "/usr/bin", "/bin"].join(":");
}

function nginxDropIn(): string {
  return `[Unit]
# qwen3-keys is ready once the certificate is available.
Wants=qwen3-keys.service
After=qwen3-keys.service
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=100ms
LimitNOFILE=65536
# nginx creates its folder for bodies here but does not use it: bodies stay in memory.
RuntimeDirectory=${posix.relative("/run", PATHS.gatewayRuntime)}
RuntimeDirectoryPreserve=yes
# A service that faces the network must not get the role's credentials.
IPAddressDeny=169.254.169.254
ProtectSystem=full
PrivateDevices=yes
${HARDENING}
`;
}
