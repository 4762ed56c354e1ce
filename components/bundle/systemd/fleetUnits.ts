import type { Settings } from "../../settings/table";
import { PATHS } from "../contract";
import { type FleetMembership, METRICS, METRICS_NAMESPACE, READY_HOOK } from "../instanceConfig";
import { HARDENING } from "./hardening";
import { JOURNALS } from "./journals";
import type { Units } from "./units";

/** The units that only an instance of a fleet has. */
export function fleetUnits(fleet: FleetMembership, accelerator: Settings["accelerator"]): Units {
  return {
    files: {
      "qwen3-ready.service": readyUnit(),
      "qwen3-health.service": healthUnit(accelerator),
      ...(fleet.publishesUtilization && { "qwen3-utilization.service": utilizationUnit() }),
    },
    enable: [
      "qwen3-ready.service",
      "qwen3-health.service",
      ...(fleet.publishesUtilization ? ["qwen3-utilization.service"] : []),
    ],
  };
}

/** They call AWS with the instance's role, as a user that owns nothing. */
const COMMON = `EnvironmentFile=${PATHS.environment}
Environment=PYTHONPATH=${PATHS.library} PYTHONUNBUFFERED=1
LogNamespace=${JOURNALS.units.namespace}
DynamicUser=yes
CapabilityBoundingSet=
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
${HARDENING}
`;

function readyUnit(): string {
  return `[Unit]
Description=Completes this instance's launch in its Auto Scaling group once it serves
Wants=network-online.target
After=network-online.target nginx.service
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 -m qwen3.ready ${READY_HOOK}
Restart=on-failure
RestartSec=15
TimeoutStartSec=infinity
PrivateDevices=yes
${COMMON}
[Install]
WantedBy=multi-user.target
`;
}

function healthUnit(accelerator: Settings["accelerator"]): string {
  return `[Unit]
Description=Tells the Auto Scaling group when this instance is beyond help
Wants=network-online.target
After=network-online.target nginx.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 -m qwen3.health
Restart=always
RestartSec=15
# Whether this instance has served: a reboot is no first boot.
StateDirectory=qwen3-health
${accelerator === "cuda" ? "# The driver's errors are in the kernel's log.\nSupplementaryGroups=systemd-journal\n" : ""}PrivateDevices=yes
${COMMON}
[Install]
WantedBy=multi-user.target
`;
}

function utilizationUnit(): string {
  return `[Unit]
Description=Publishes how full this instance is, by which its fleet scales
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/bin/python3 -m qwen3.utilization ${METRICS_NAMESPACE} ${Object.values(METRICS).join(" ")}
Restart=always
RestartSec=15
PrivateDevices=yes
${COMMON}
[Install]
WantedBy=multi-user.target
`;
}
