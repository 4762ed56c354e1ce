import type { SettingName, Settings } from "./table";

/** A rule between settings. It runs once every setting that it reads is valid by itself. */
export interface Rule {
  readonly reads: readonly SettingName[];
  /** Every problem, as "X is Y; allowed: Z". */
  readonly problems: (settings: Settings) => string[];
}

/** Declares a rule by the settings that it reads. */
export function rule<const Name extends SettingName>(
  reads: readonly Name[],
  problems: (settings: Pick<Settings, Name>) => string[],
): Rule {
  return { reads, problems };
}

/** A value for an error; `not set` if there is none. */
export function show(value: unknown): string {
  return value === undefined ? "not set" : JSON.stringify(value);
}
