import { describe, expect, it } from "vitest";
import { journaldFiles } from "../../components/bundle/systemd/journals";
import { units } from "../../components/bundle/systemd/units";
import { tuneProperties } from "../../components/bundle/systemd/workerUnit";

const hub = "hf://Qwen/Qwen3-Embedding-4B@5cf2132abc99cad020ac570b19d031efec650f2b";
const cuda = units({ accelerator: "cuda", workers: 8, modelSource: hub });
const cpu = units({ accelerator: "cpu", workers: 1, modelSource: "s3://weights/qwen3" });
const fleet = {
  publishesUtilization: true,
  trustedProxies: ["10.20.0.0/16"],
};
const member = units({ accelerator: "cuda", workers: 8, modelSource: hub, fleet });
const WORKER = "qwen3-embed@.service";

describe("units", () => {
  it.each([
    ["GPUs, weights from Hugging Face", cuda],
    ["a CPU, weights from S3", cpu],
  ])("renders %s", (_, rendered) => {
    expect(rendered).toMatchSnapshot();
  });

  it("enables one worker per GPU", () => {
    const workers = cuda.enable.filter((name) => name.startsWith("qwen3-embed@"));
    expect(workers).toEqual(Array.from({ length: 8 }, (_, index) => `qwen3-embed@${index}.service`));
    expect(cpu.enable).toEqual([
      "qwen3-keys.service",
      "qwen3-model.service",
      "nginx.service",
      "qwen3-embed@0.service",
    ]);
  });

  it("allows GPU devices only to a worker with a GPU", () => {
    expect(cuda.files[WORKER]).toContain("DeviceAllow=char-nvidia-uvm rw");
    expect(cuda.files[WORKER]).toContain("CUDA_VISIBLE_DEVICES=%i");
    expect(cpu.files[WORKER]).not.toMatch(/nvidia-uvm|CUDA_VISIBLE_DEVICES/);
    expect(cpu.files[WORKER]).toContain("PrivateDevices=yes");
  });

  it("differs between accelerators only by devices, GPU, its NUMA node, driver's services and shim", () => {
    const lines = (text = "") => text.split("\n");
    const unpinned = cuda.files[WORKER]?.replace(/=\S+ -m qwen3\.numa %i /, "=");
    const [a, b] = [lines(unpinned), lines(cpu.files[WORKER])];
    const changed = [...a.filter((line) => !b.includes(line)), ...b.filter((line) => !a.includes(line))];
    expect(changed.filter((line) => !/nvidia|qwen3-gpu|Device|CUDA|PYTHONPATH|GPUs/.test(line))).toEqual([]);
  });

  it("fetches from S3 with the system's Python, which has boto3, and from Hugging Face with SGLang's", () => {
    expect(cpu.files["qwen3-model.service"]).toContain("ExecStart=/usr/bin/python3 -m qwen3.model");
    expect(cuda.files["qwen3-model.service"]).toContain(
      "ExecStart=/opt/qwen3/venv/bin/python -m qwen3.model",
    );
  });

  it("reads settings from the file, and no secret", () => {
    for (const [name, text] of Object.entries({ ...cuda.files, ...cpu.files })) {
      // The first adds lines to Debian's unit, the second loads a kernel module.
      if (name !== "nginx.service.d/qwen3.conf" && name !== "qwen3-gpu.service") {
        expect(text).toContain("EnvironmentFile=/etc/qwen3/embed.env");
      }
      expect(text).not.toMatch(/qwen3_[0-9A-Za-z]{16}|SecretString|LoadCredential|BEGIN /);
    }
  });

  it.each(Object.keys(cuda.files))("%s restarts without a limit", (name) => {
    expect(cuda.files[name]).toContain("StartLimitIntervalSec=0");
    expect(cuda.files[name]).toMatch(/^Restart=(always|on-failure)$/m);
    expect(cuda.files[name]).toContain("NoNewPrivileges=yes");
  });

  it("denies a worker the role's credentials", () => {
    expect(cuda.files[WORKER]).toContain("IPAddressDeny=any\nIPAddressAllow=localhost\n");
    expect(cuda.files["nginx.service.d/qwen3.conf"]).toContain("IPAddressDeny=link-local fd00:ec2::254\n");
  });

  it("gives every unit a journal of its own, which is not forwarded", () => {
    const journals = Object.entries(journaldFiles());
    expect(journals.map(([name]) => name)).toEqual([
      "journald@qwen3.conf",
      "journald@qwen3-requests.conf",
      "journald@qwen3-unauthenticated.conf",
    ]);
    expect(journaldFiles()).toMatchSnapshot();
    for (const [name, text] of Object.entries(member.files)) {
      const [, namespace] = /^LogNamespace=(.+)$/m.exec(text) ?? [];
      expect(Object.keys(journaldFiles()), name).toContain(`journald@${namespace}.conf`);
    }
    // Those that nginx writes to by itself.
    expect(cuda.files["nginx.service.d/qwen3.conf"]).toMatch(
      /^Wants=.* systemd-journald@qwen3-requests\.socket systemd-journald@qwen3-unauthenticated\.socket$/m,
    );
  });

  it.each(["cuda", "cpu"] as const)("runs qwen3-tune as it runs worker 0, with %s", (accelerator) => {
    const worker = units({ accelerator, workers: 1, modelSource: hub }).files[WORKER]!;
    const properties = tuneProperties(accelerator).trim().split("\n");
    // Not in the worker: what stops and starts worker 0. Not in qwen3-tune: how a service that serves is run.
    const own =
      /^(ExecStart|ExecStop|Type|NotifyAccess|Restart|TimeoutSt|RuntimeMax|RuntimeDir|Watchdog|Kill|OOM|LogName|WantedBy)/;
    const lines = (given: string[]) => given.filter((line) => /^\w+=/.test(line) && !own.test(line));
    const [, service] = worker.split("[Service]");
    expect(lines(properties)).toEqual(lines(service!.split("\n").map((line) => line.replaceAll("%i", "0"))));
    expect(properties).toEqual(
      expect.arrayContaining(["CapabilityBoundingSet=", "IPAddressDeny=any", "User=aiuser"]),
    );
  });

  it("only adds the fleet's units to an instance of a fleet", () => {
    const added = Object.entries(member.files).filter(([name]) => !(name in cuda.files));
    expect(Object.fromEntries(added)).toMatchSnapshot();
    expect(member.enable).toEqual([
      ...cuda.enable,
      ...["qwen3-ready.service", "qwen3-health.service", "qwen3-utilization.service"],
    ]);
    expect(member.files).toMatchObject(cuda.files);
  });

  it("publishes no utilization for a fleet that does not scale", () => {
    const fixed = units({
      accelerator: "cuda",
      workers: 8,
      modelSource: hub,
      fleet: { ...fleet, publishesUtilization: false },
    });
    expect(fixed.enable).toContain("qwen3-ready.service");
    expect(fixed.files).not.toHaveProperty("qwen3-utilization.service");
  });

  it("reads the kernel's log only where a driver writes to it", () => {
    const of = (accelerator: "cuda" | "cpu") =>
      units({ accelerator, workers: 1, modelSource: hub, fleet }).files["qwen3-health.service"];
    expect(of("cuda")).toContain("\nSupplementaryGroups=systemd-journal\n");
    expect(of("cpu")).not.toContain("SupplementaryGroups");
  });

  it("allows what CUDA needs", () => {
    expect(cuda.files[WORKER]).not.toMatch(
      /^(MemoryDenyWriteExecute|PrivateDevices|ProcSubset|PrivateUsers)=/m,
    );
  });
});
