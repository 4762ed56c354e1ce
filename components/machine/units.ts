import { type BundleConfig, FIRST_WORKER_PORT, PATHS } from "./config";

/** Unit files below /etc/systemd/system by name, and the units to enable. */
export interface Units {
  files: Record<string, string>;
  enable: string[];
}

/** systemd's part of the machine. docs/machine.md says what each unit is for. */
export function units(config: BundleConfig): Units {
  const workers = Array.from({ length: config.workers }, (_, index) => `qwen3-embed@${index}.service`);
  return {
    files: {
      "qwen3-keys.service": keysUnit(),
      "qwen3-model.service": modelUnit(config),
      "qwen3-embed@.service": workerUnit(config),
      "nginx.service.d/qwen3.conf": nginxDropIn(),
    },
    enable: ["qwen3-keys.service", "qwen3-model.service", "nginx.service", ...workers],
  };
}

function keysUnit(): string {
  return `[Unit]
Description=Digests of the API keys and the certificate, from Secrets Manager
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
EnvironmentFile=${PATHS.environment}
Environment=PYTHONPATH=${PATHS.home}/lib
ExecStart=/usr/bin/python3 -m qwen3.keys
Restart=always
RestartSec=2
# The first load tries for as long as Secrets Manager takes.
TimeoutStartSec=infinity
# Root, because the certificate's key is root's alone; it reads the network and writes one tmpfs.
RuntimeDirectory=qwen3
RuntimeDirectoryMode=0755
# The last digests stand while the unit restarts.
RuntimeDirectoryPreserve=yes
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
# AF_UNIX reaches systemd, to reload nginx for a new certificate.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`;
}

function modelUnit(config: BundleConfig): string {
  // boto3 comes with the system's Python, Hugging Face's client with SGLang.
  const python = config.modelSource.startsWith("s3://") ? "/usr/bin/python3" : `${PATHS.home}/venv/bin/python`;
  return `[Unit]
Description=The model's weights, complete and verified
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=${PATHS.environment}
# The proxy for packages, if there is one, is the one for weights.
EnvironmentFile=-/etc/qwen3/bootstrap.env
Environment=PYTHONPATH=${PATHS.home}/lib
ExecStart=${python} -m qwen3.model
Restart=on-failure
RestartSec=15
TimeoutStartSec=infinity
ReadWritePaths=${PATHS.store}
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
`;
}

function workerUnit(config: BundleConfig): string {
  const cuda = config.accelerator === "cuda";
  const pythonPath = cuda ? `${PATHS.home}/lib` : `${PATHS.home}/lib:${PATHS.home}/lib-cpu`;
  return `[Unit]
Description=Embedding worker %i: SGLang behind its door, on 127.0.0.1:${FIRST_WORKER_PORT}+%i
Requires=qwen3-model.service
After=qwen3-model.service qwen3-keys.service network-online.target${cuda ? " nvidia-fabricmanager.service" : ""}
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
User=aiuser
EnvironmentFile=${PATHS.environment}
Environment=PYTHONPATH=${pythonPath}
${cuda ? "Environment=CUDA_VISIBLE_DEVICES=%i\n" : ""}# Kernels that SGLang compiles go to the unit's own cache; nvcc comes with its packages.
CacheDirectory=qwen3/%i
Environment=HOME=/var/cache/qwen3/%i XDG_CACHE_HOME=/var/cache/qwen3/%i TRITON_CACHE_DIR=/var/cache/qwen3/%i/triton
Environment=TORCHINDUCTOR_CACHE_DIR=/var/cache/qwen3/%i/inductor
ExecStart=${PATHS.home}/venv/bin/python -m qwen3.worker %i
Restart=always
RestartSec=2
TimeoutStartSec=900
# The worker pings while SGLang's scheduler is alive.
WatchdogSec=120
# A stop finishes what is in flight; the scheduler and its children end with the main process.
KillMode=mixed
TimeoutStopSec=90
OOMPolicy=stop
LimitNOFILE=65536
# Hardened as far as CUDA allows; docs/machine.md says what was kept out and why.
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateTmp=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
UMask=0077
${cuda ? DEVICES : "PrivateDevices=yes\n"}
[Install]
WantedBy=multi-user.target
`;
}

/** The GPU's devices instead of PrivateDevices, which would hide them. */
const DEVICES = `DevicePolicy=closed
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidiactl rw
DeviceAllow=char-nvidia-frontend rw
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-nvidia-caps rw
`;

function nginxDropIn(): string {
  return `[Unit]
# Ready means that the certificate is there.
Wants=qwen3-keys.service
After=qwen3-keys.service
StartLimitIntervalSec=0

[Service]
Restart=always
RestartSec=2
LimitNOFILE=65536
# Bodies that are larger than a buffer, on tmpfs.
RuntimeDirectory=qwen3-nginx
RuntimeDirectoryPreserve=yes
`;
}
