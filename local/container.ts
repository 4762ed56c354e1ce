import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { PATHS } from "../components/bundle/contract";
import { ROOT } from "../scripts/lib/paths";
import { CONTAINER_COMMAND, ENFORCING } from "./enforcement";
import { plugIn, unplug } from "./network";
import { endProcess, isAlive, run, startDetached, waitUntil } from "./process";

/** The parameters that RunInstances would get. */
export interface InstanceSpec {
  instanceId: string;
  imageId: string;
  /** The user data, not base64-encoded. */
  userData: string;
  /** Name of the instance profile whose role's credentials the metadata service returns. */
  instanceProfile: string | undefined;
  privateIp: string;
  region: string;
}

/** A running instance, stored as `instances/ID.json` in the environment's folder. */
export interface InstanceRecord extends Omit<InstanceSpec, "userData"> {
  namespace: string;
  /** Folder with the instance's own layer over the image. */
  folder: string;
  /** The process that runs the instance until it powers off, and the process of its metadata service. */
  supervisorPid: number;
  metadataPid: number;
}

/** Paths and network of this process's environment, from the variables that local/workspace.ts sets. */
interface Host {
  state: string;
  image: string;
  store: string;
  bridge: string;
  subnet: string;
  hostAddress: string;
  /** Whether systemd on the instance can enforce IPAddressDeny= and DevicePolicy=. */
  enforcing: boolean;
}

function host(): Host {
  const read = (name: string) => {
    const value = process.env[name];
    if (!value) {
      throw new Error(`${name} is not set: local instances run through \`npm start\``);
    }
    return value;
  };
  const subnet = read("QWEN3_LOCAL_SUBNET");
  return {
    state: read("QWEN3_LOCAL_STATE"),
    image: read("QWEN3_LOCAL_IMAGE"),
    store: read("QWEN3_LOCAL_STORE"),
    bridge: read("QWEN3_LOCAL_BRIDGE"),
    subnet,
    hostAddress: `${subnet}.1`,
    enforcing: process.env.QWEN3_LOCAL_ENFORCING === "yes",
  };
}

/**
 * Boots an instance from its user data. Returns once systemd responds: EC2 too reports "running" before cloud-init
 * is done.
 */
export async function launchInstance(spec: InstanceSpec): Promise<void> {
  const place = host();
  const folder = join(place.state, "machines", spec.instanceId);
  const namespace = `qwen3-${spec.instanceId}`;
  for (const layer of ["root", "upper", "work"]) {
    mkdirSync(join(folder, layer), { recursive: true });
  }
  writeSeed(join(folder, "upper"), spec);
  await plugIn(namespace, place, spec.privateIp);
  const metadataPid = startMetadataService(place, spec, folder, namespace);
  const supervisorPid = startContainer(place, folder, namespace);
  const { userData: _, ...known } = spec;
  writeRecord({ ...known, namespace, folder, supervisorPid, metadataPid });
  await waitUntil(
    async () => {
      if (!isAlive(supervisorPid)) {
        throw new Error(
          `${spec.instanceId} did not boot:\n${readFileSync(join(folder, "console.log"), "utf8").slice(-2000)}`,
        );
      }
      return answersSystemctl(spec.instanceId);
    },
    60_000,
    `systemd of ${spec.instanceId}`,
  );
}

function startContainer(place: Host, folder: string, namespace: string): number {
  const [file, ...args] = CONTAINER_COMMAND;
  const layers = `lowerdir=${place.image},upperdir=${join(folder, "upper")},workdir=${join(folder, "work")}`;
  const nspawn = [
    "--boot",
    `--network-namespace-path=/run/netns/${namespace}`,
    `--bind=${place.store}:${PATHS.store}`,
    ...(place.enforcing ? ENFORCING.args : []),
  ];
  return startDetached(
    file,
    [...args, basename(folder), join(folder, "root"), layers, ...nspawn],
    join(folder, "console.log"),
    { ...process.env, ...(place.enforcing && ENFORCING.env) },
  );
}

/** Powers an instance off and removes all its files. Has no effect if the instance does not exist. */
export async function terminateInstance(instanceId: string): Promise<void> {
  const record = readRecord(instanceId);
  if (!record) {
    return;
  }
  const nspawn = childOf(record.supervisorPid);
  if (nspawn !== undefined) {
    await endProcess(nspawn, 30_000);
  }
  await endProcess(record.supervisorPid);
  await endProcess(record.metadataPid);
  await unplug(record.namespace);
  rmSync(record.folder, { recursive: true, force: true });
  rmSync(recordPath(instanceId));
}

/** Whether an instance exists that has not powered off. A terminated one is still listed until it is removed. */
export function isLaunched(instanceId: string): boolean {
  const record = readRecord(instanceId);
  return record !== undefined && isAlive(record.supervisorPid);
}

/** Reboots the instance's operating system, as EC2's RebootInstances does. */
export async function rebootInstance(instanceId: string): Promise<void> {
  const before = leaderPid(instanceId);
  await inMachine(instanceId, "systemctl reboot").catch(() => undefined);
  await waitUntil(
    async () => leaderPid(instanceId) !== before && (await answersSystemctl(instanceId)),
    120_000,
    `systemd of ${instanceId} after the reboot`,
  );
}

/** Associates a public address with an instance, and disassociates it from any other. */
export async function attachAddress(instanceId: string, publicIp: string): Promise<void> {
  await detachAddress(publicIp);
  const { namespace } = mustRead(instanceId);
  await run("ip", ["-netns", namespace, "address", "add", `${publicIp}/24`, "dev", "eth0"]);
  // Otherwise the host keeps sending to the instance that had the address before.
  await run("ip", ["neighbour", "flush", "to", publicIp]);
}

/** Disassociates a public address from one instance, or from any instance that has it. */
export async function detachAddress(publicIp: string, instanceId?: string): Promise<void> {
  for (const { namespace } of listInstances().filter(
    (each) => !instanceId || each.instanceId === instanceId,
  )) {
    await run("ip", ["-netns", namespace, "address", "delete", `${publicIp}/24`, "dev", "eth0"]).catch(
      () => undefined,
    );
  }
}

/** Runs a shell command as root on the instance and returns its standard output. */
export async function inMachine(instanceId: string, command: string, timeoutMs = 60_000): Promise<string> {
  const leader = leaderPid(instanceId);
  if (leader === undefined) {
    throw new Error(`${instanceId} is not running`);
  }
  return run("nsenter", ["--target", String(leader), "--all", "/bin/sh", "-c", command], {
    timeoutMs,
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/root",
      LANG: "C.UTF-8",
    },
  });
}

/** Process ID of the instance's init on the host. It changes when the instance reboots. */
export function leaderPid(instanceId: string): number | undefined {
  const record = readRecord(instanceId);
  const nspawn = record && childOf(record.supervisorPid);
  return nspawn === undefined ? undefined : childOf(nspawn);
}

export function listInstances(): InstanceRecord[] {
  const folder = join(host().state, "instances");
  return existsSync(folder)
    ? readdirSync(folder).map(
        (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as InstanceRecord,
      )
    : [];
}

function writeSeed(layer: string, spec: InstanceSpec): void {
  const seed = join(layer, "var/lib/cloud/seed/nocloud");
  mkdirSync(seed, { recursive: true });
  writeFileSync(
    join(seed, "meta-data"),
    `instance-id: ${spec.instanceId}\nlocal-hostname: ip-${spec.privateIp.replaceAll(".", "-")}\n`,
  );
  writeFileSync(join(seed, "user-data"), spec.userData);
}

function startMetadataService(place: Host, spec: InstanceSpec, folder: string, namespace: string): number {
  const userData = join(folder, "user-data");
  writeFileSync(userData, spec.userData);
  const emulator = JSON.parse(readFileSync(join(place.state, "emulator.json"), "utf8")) as { url: string };
  return startDetached(
    "ip",
    [
      "netns",
      "exec",
      namespace,
      "/usr/bin/python3",
      join(ROOT, "local", "aws", "imds.py"),
      "--instance-id",
      spec.instanceId,
      "--region",
      spec.region,
      "--emulator",
      emulator.url,
      "--token-file",
      join(place.state, "credentials.token"),
      "--user-data-file",
      userData,
      "--bind",
      "169.254.169.254:80",
      ...(spec.instanceProfile ? ["--instance-profile", spec.instanceProfile] : []),
    ],
    join(folder, "metadata.log"),
  );
}

async function answersSystemctl(instanceId: string): Promise<boolean> {
  // Prints the state, and fails unless it is "running". Any output shows that systemd responds.
  const state = await inMachine(instanceId, "systemctl is-system-running || true", 5_000).catch(() => "");
  return /^(starting|running|degraded)/.test(state);
}

function childOf(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    const last = Number(children.at(-1));
    return last > 0 ? last : undefined;
  } catch {
    return undefined;
  }
}

function recordPath(instanceId: string): string {
  return join(host().state, "instances", `${instanceId}.json`);
}

function writeRecord(record: InstanceRecord): void {
  mkdirSync(join(host().state, "instances"), { recursive: true });
  writeFileSync(recordPath(record.instanceId), `${JSON.stringify(record, null, 2)}\n`);
  chmodSync(recordPath(record.instanceId), 0o600);
}

function readRecord(instanceId: string): InstanceRecord | undefined {
  return existsSync(recordPath(instanceId))
    ? (JSON.parse(readFileSync(recordPath(instanceId), "utf8")) as InstanceRecord)
    : undefined;
}

function mustRead(instanceId: string): InstanceRecord {
  const record = readRecord(instanceId);
  if (!record) {
    throw new Error(`no local instance ${instanceId}`);
  }
  return record;
}
