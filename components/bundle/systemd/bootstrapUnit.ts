import { PATHS } from "../contract";

/** Scripts of the user data. */
export const PACKAGES_SCRIPT = `${PATHS.programs}/qwen3-packages`;
export const FETCH_SCRIPT = `${PATHS.programs}/qwen3-fetch-bundle`;

/** The one unit in the user data. It installs the bundle, which contains the other units. */
export function bootstrapUnit(): string {
  return `[Unit]
Description=Fetch, check and install the bundle of the embedding server
Wants=network-online.target
After=network-online.target
# Skipped after the installation.
ConditionPathExists=!${PATHS.installed}
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=${PATHS.environment}
EnvironmentFile=${PATHS.bootstrapEnvironment}
ExecStartPre=${PACKAGES_SCRIPT}
ExecStartPre=${FETCH_SCRIPT} ${PATHS.bundle}
ExecStart=/bin/sh ${PATHS.bundle}/install.sh
Restart=on-failure
RestartSec=15
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
`;
}
