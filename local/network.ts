import { createHash } from "node:crypto";
import { networkInterfaces } from "node:os";
import { run } from "./process";

/** The network of one local environment's instances: a bridge on the host that only the host can reach. */
export interface LocalNetwork {
  /** Interface name of the bridge. */
  bridge: string;
  /** First three octets of the /24, for example `10.213.7`. */
  subnet: string;
  /** Address of the host on the bridge, where the emulator and the proxy listen. */
  hostAddress: string;
}

/** Creates the environment's bridge, or returns the existing one. */
export async function createNetwork(environment: string): Promise<LocalNetwork> {
  const bridge = `qwen3-${createHash("sha256").update(environment).digest("hex").slice(0, 8)}`;
  const existing = networkInterfaces()[bridge]?.find(({ family }) => family === "IPv4")?.address;
  if (existing) {
    return describe(bridge, existing.split(".").slice(0, 3).join("."));
  }
  const subnet = freeSubnet();
  const network = describe(bridge, subnet);
  await deleteNetwork(bridge);
  await run("ip", ["link", "add", bridge, "type", "bridge"]);
  await run("ip", ["address", "add", `${network.hostAddress}/24`, "dev", bridge]);
  await run("ip", ["link", "set", bridge, "up"]);
  return network;
}

export async function deleteNetwork(bridge: string): Promise<void> {
  await run("ip", ["link", "delete", bridge]).catch(() => undefined);
}

/** Creates an instance's network namespace and veth pair: its address, and the metadata service's on loopback. */
export async function plugIn(namespace: string, network: LocalNetwork, address: string): Promise<void> {
  const cable = `q3${namespace.slice(-10)}`;
  await run("ip", ["netns", "add", namespace]);
  await run("ip", ["link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
  await run("ip", ["link", "set", cable, "master", network.bridge, "up"]);
  const inside = ["-netns", namespace];
  await run("ip", [...inside, "address", "add", `${address}/24`, "dev", "eth0"]);
  await run("ip", [...inside, "link", "set", "eth0", "up"]);
  await run("ip", [...inside, "link", "set", "lo", "up"]);
  await run("ip", [...inside, "address", "add", "169.254.169.254/32", "dev", "lo"]);
}

export async function unplug(namespace: string): Promise<void> {
  await run("ip", ["netns", "delete", namespace]).catch(() => undefined);
}

function describe(bridge: string, subnet: string): LocalNetwork {
  return { bridge, subnet, hostAddress: `${subnet}.1` };
}

function freeSubnet(): string {
  const taken = new Set(
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .map(({ address }) => address.split(".").slice(0, 3).join(".")),
  );
  for (let third = 7; third < 256; third++) {
    if (!taken.has(`10.213.${third}`)) {
      return `10.213.${third}`;
    }
  }
  throw new Error("no free network in 10.213.0.0/16: stop other local environments with `npm stop`");
}
