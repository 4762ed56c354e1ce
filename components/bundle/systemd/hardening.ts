/**
 * The role's credentials, and with them every key, come from the metadata service, at link-local addresses and an IPv6
 * address. Nothing that handles clients' requests may reach it.
 */
export const METADATA_SERVICE = "link-local fd00:ec2::254";

/** Removes privileges that no service needs. */
export const HARDENING = `NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
# A deny list, because CUDA's system calls are not documented.
SystemCallFilter=~@clock @cpu-emulation @module @mount @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM`;

/** The driver's devices, by the names that its versions use in /proc/devices. systemd ignores the other names. */
export const DEVICES = `# DeviceAllow instead of PrivateDevices, which would hide the GPUs.
DevicePolicy=closed
DeviceAllow=char-nvidia rw
DeviceAllow=char-nvidia-frontend rw
DeviceAllow=char-nvidiactl rw
DeviceAllow=char-nvidia-uvm rw
DeviceAllow=char-nvidia-caps rw
`;
