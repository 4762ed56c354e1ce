import type { BootedMachine } from "./container";

/** What the processes of one program use together. */
export interface Usage {
  megabytes: number;
  files: number;
}

export const PROGRAMS = ["workers", "nginx", "key agent"] as const;
export type Program = (typeof PROGRAMS)[number];

/** One line per process: the program, resident kilobytes, open files. The command does not count itself. */
const SAMPLE = `ps -eo pid=,rss=,args= | while read -r pid rss args; do
  case "$args" in
    *"ps -eo"*) continue;;
    *qwen3.worker*|sglang*) program=workers;;
    nginx*|*/nginx*) program=nginx;;
    *qwen3.keys*) program="key agent";;
    *) continue;;
  esac
  echo "$program,$rss,$(ls /proc/$pid/fd 2> /dev/null | wc -l)"
done`;

/** Memory and open files of everything that serves, now. */
export async function usage(box: BootedMachine): Promise<Record<Program, Usage>> {
  const lines = (await box.run(SAMPLE)).trim().split("\n");
  const used = Object.fromEntries(PROGRAMS.map((name) => [name, { megabytes: 0, files: 0 }]));
  for (const [name, kilobytes, files] of lines.map((line) => line.split(","))) {
    const program = used[name as Program]!;
    program.megabytes += Number(kilobytes) / 1024;
    program.files += Number(files);
  }
  return used as Record<Program, Usage>;
}
