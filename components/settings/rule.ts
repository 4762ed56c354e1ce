import type { SettingName, Settings } from "./table";

/** A rule between settings. It is asked once all that it reads are right by themselves. */
export interface Rule {
  readonly reads: readonly SettingName[];
  /** What is wrong, each as "X is Y; allowed: Z". */
  readonly problems: (settings: Settings) => string[];
}

/** Declares a rule by the settings that it reads. */
export function rule<const Name extends SettingName>(
  reads: readonly Name[],
  problems: (settings: Pick<Settings, Name>) => string[],
): Rule {
  return { reads, problems };
}

/** A value in an error; `not set` for none. */
export function show(value: unknown): string {
  return value === undefined ? "not set" : JSON.stringify(value);
}
