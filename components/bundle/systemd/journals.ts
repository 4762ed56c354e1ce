/**
 * One journal of an instance: a namespace of systemd-journald with its own process, rate limit and size. The image's
 * syslog daemon, if it has one, copies the system's journal only.
 */
interface Journal {
  namespace: string;
  /** Maximum size on disk. journald removes the oldest entries beyond it. */
  maxUse: string;
  /** Entries of one unit in 30 seconds. journald multiplies it by up to 5, depending on the free space; 0: no limit. */
  burst: number;
}

/**
 * What is logged where. Requests with and without a valid key are separate, so that a flood of unauthenticated requests
 * neither fills the socket nor the disk space of the clients' lines.
 */
export const JOURNALS = {
  /** The messages of the units, and nginx's error log. */
  units: { namespace: "qwen3", maxUse: "256M", burst: 10_000 },
  /** The workers, and nginx's line of each request with a valid key. */
  requests: { namespace: "qwen3-requests", maxUse: "2G", burst: 0 },
  /** nginx's line of each other request. */
  unauthenticated: { namespace: "qwen3-unauthenticated", maxUse: "512M", burst: 2000 },
} satisfies Record<string, Journal>;

/** The socket for syslog's datagrams of a journal. */
export function syslogSocket({ namespace }: Journal): string {
  return `/run/systemd/journal.${namespace}/dev-log`;
}

/** The unit that listens on a journal's sockets. systemd adds it to units with LogNamespace= only. */
export function journalSocketUnit({ namespace }: Journal): string {
  return `systemd-journald@${namespace}.socket`;
}

/** Files below /etc/systemd by name; see journald.conf(5). */
export function journaldFiles(): Record<string, string> {
  return Object.fromEntries(
    Object.values(JOURNALS).map((journal) => [`journald@${journal.namespace}.conf`, journaldConf(journal)]),
  );
}

function journaldConf({ maxUse, burst }: Journal): string {
  return `[Journal]
# On disk, so that a reboot, which may follow from the cause of a problem, does not remove its traces.
Storage=persistent
# qwen3-audit searches the files, which is faster than to read each entry.
Compress=no
SystemMaxUse=${maxUse}
RuntimeMaxUse=64M
RateLimitIntervalSec=${burst === 0 ? 0 : "30s"}
RateLimitBurst=${burst}
ForwardToSyslog=no
ForwardToKMsg=no
ForwardToConsole=no
ForwardToWall=no
`;
}
