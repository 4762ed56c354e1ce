import { posix } from "node:path";
import { PATHS } from "../contract";
import type { BundleConfig } from "../instanceConfig";
import { fleetUnits } from "./fleetUnits";
import { HARDENING } from "./hardening";
import { JOURNALS } from "./journals";
import { nginxDropIn } from "./nginxUnit";
import { workerUnit } from "./workerUnit";

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
      "qwen3-embed@.service": workerUnit(config.accelerator),
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
LogNamespace=${JOURNALS.units.namespace}
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
LogNamespace=${JOURNALS.units.namespace}
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

/** Minor number of /dev/nvidiactl. */
const CONTROL_DEVICE = 255;

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
LogNamespace=${JOURNALS.units.namespace}
ExecStart=/usr/bin/nvidia-modprobe -c ${CONTROL_DEVICE} ${devices}
ExecStart=/usr/bin/nvidia-modprobe -c 0 -u
Restart=on-failure
RestartSec=5
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
`;
}
