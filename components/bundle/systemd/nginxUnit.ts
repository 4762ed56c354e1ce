import { posix } from "node:path";
import { PATHS } from "../contract";
import { PID_FILE } from "../nginx";
import { HARDENING, METADATA_SERVICE } from "./hardening";
import { JOURNALS, journalSocketUnit } from "./journals";

/** Where nginx sends its access log. */
const SOCKETS = [JOURNALS.requests, JOURNALS.unauthenticated].map(journalSocketUnit).join(" ");

/** Lines in addition to the distribution's unit. */
export function nginxDropIn(): string {
  return `[Unit]
# qwen3-keys is ready once the certificate is available.
Wants=qwen3-keys.service ${SOCKETS}
After=qwen3-keys.service ${SOCKETS}
StartLimitIntervalSec=0

[Service]
PIDFile=${PID_FILE}
ExecStop=
ExecStop=-/sbin/start-stop-daemon --quiet --stop --retry QUIT/5 --pidfile ${PID_FILE}
Restart=always
RestartSec=100ms
LimitNOFILE=65536
LogNamespace=${JOURNALS.units.namespace}
# For its process ID and its folders for bodies, which it does not use: bodies stay in memory.
RuntimeDirectory=${posix.relative("/run", PATHS.gatewayRuntime)}
RuntimeDirectoryPreserve=yes
# The master process opens port 443 and reads the certificate's key as root. It gives nginx's folders to the user of the
# processes that serve, becomes that user in them, and ends them.
CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SETUID CAP_SETGID CAP_CHOWN CAP_KILL
UMask=0077
ProtectSystem=strict
# Some distributions build nginx with an error log there, which it opens before it reads its configuration.
ReadWritePaths=-/var/log/nginx
PrivateDevices=yes
ProtectProc=invisible
ProcSubset=pid
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_UNIX
IPAddressDeny=${METADATA_SERVICE}
# An allow list, from which the deny list below is then removed.
SystemCallFilter=@system-service
${HARDENING}
`;
}

/**
 * Lines in addition to apt's unit for unattended upgrades. nginx goes on with the old libraries, such as OpenSSL, until a
 * new process takes over its sockets. The distribution's script starts one, as its package does after an upgrade of nginx.
 */
export function upgradeDropIn(): string {
  return `[Service]
ExecStartPost=-/bin/sh -c 'grep -q "[.]so.*(deleted)" /proc/$$(cat ${PID_FILE})/maps && /etc/init.d/nginx upgrade'
`;
}
