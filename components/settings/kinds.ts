import * as v from "valibot";

/** Pulumi.yaml's types for a project's configuration. There is none for fractions, which are strings there. */
export type PulumiType = "string" | "integer" | "boolean" | "array";

/** One setting: everything that the program, Pulumi.yaml, the documentation and the instance need to know about it. */
export interface Setting<Value = unknown> {
  readonly type: PulumiType;
  /** Validates a value. */
  readonly schema: v.GenericSchema<unknown, Value>;
  /** The allowed values in words, for errors: "X is Y; allowed: …". */
  readonly allowed: string;
  /** The default as written in the configuration. `""` leaves a text unset. */
  readonly default: unknown;
  readonly description: string;
  /** Heading in docs/reference/settings.md. */
  readonly group: string;
  /** Whether `EmbeddingService` has it. The other settings are the stack program's own. */
  readonly service: boolean;
  /** Whether a program that uses `EmbeddingService` must set it, because the default is not allowed. */
  readonly required: boolean;
  /** Variable in the instance's settings file, for a setting that the instance reads. */
  readonly variable?: string;
  /** JSON Schema of that variable's value. */
  readonly json: Record<string, unknown>;
}

/** Options of every kind of setting. */
interface Common {
  description: string;
  group: string;
  /** Only the stack program uses it. */
  stackOnly?: boolean;
  required?: boolean;
  variable?: string;
}

function setting<Value>(
  common: Common,
  rest: Pick<Setting<Value>, "type" | "schema" | "allowed" | "default"> & { json?: Setting["json"] },
): Setting<Value> {
  const { description, group, stackOnly = false, required = false, variable } = common;
  return { json: {}, ...rest, description, group, service: !stackOnly, required, variable };
}

/** A whole number. */
export function integer(
  options: Common & { default: number; min: number; max: number; unit: string },
): Setting<number> {
  const { min, max, unit } = options;
  return setting(options, {
    type: "integer",
    schema: v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max)),
    allowed: `a whole number of ${unit} from ${min} to ${max}`,
    default: options.default,
    json: { type: "integer", minimum: min, maximum: max },
  });
}

/** A whole number with a rule of its own. */
export function integerWhere(
  options: Common & { default: number; allowed: string; accepts: (value: number) => boolean },
): Setting<number> {
  return setting(options, {
    type: "integer",
    schema: v.pipe(v.number(), v.integer(), v.check(options.accepts)),
    allowed: options.allowed,
    default: options.default,
    json: { type: "integer" },
  });
}

/** A number between two limits, both included. */
export function fraction(options: Common & { default: number; min: number; max: number }): Setting<number> {
  const { min, max } = options;
  return setting(options, {
    type: "string",
    schema: v.pipe(v.number(), v.minValue(min), v.maxValue(max)),
    allowed: `a number from ${min} to ${max}`,
    default: options.default,
    json: { type: "number", minimum: min, maximum: max },
  });
}

export function flag(options: Common & { default: boolean }): Setting<boolean> {
  return setting(options, {
    type: "boolean",
    schema: v.boolean(),
    allowed: "true or false",
    default: options.default,
    json: { type: "boolean" },
  });
}

/** One of several words. */
export function choice<const Word extends string>(
  options: Common & { default: NoInfer<Word>; words: readonly Word[] },
): Setting<Word> {
  const { words } = options;
  return setting(options, {
    type: "string",
    schema: v.picklist(words),
    allowed: `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`,
    default: options.default,
    json: { enum: [...words] },
  });
}

interface TextOptions extends Common {
  /** The allowed values in words, with an example. */
  allowed: string;
  /** A pattern that must match the whole text, or a check. */
  accepts: RegExp | ((text: string) => boolean);
}

function textSchema({ accepts }: TextOptions): v.GenericSchema<unknown, string> {
  return accepts instanceof RegExp
    ? v.pipe(v.string(), v.regex(accepts))
    : v.pipe(v.string(), v.check(accepts));
}

export function text(options: TextOptions & { default: string }): Setting<string> {
  return setting(options, {
    type: "string",
    schema: textSchema(options),
    allowed: options.allowed,
    default: options.default,
    json: jsonText(options),
  });
}

/** A text that may be empty, which leaves the setting unset. */
export function optionalText(options: TextOptions): Setting<string | undefined> {
  const unset = v.pipe(
    v.literal(""),
    v.transform(() => undefined),
  );
  return setting(options, {
    type: "string",
    schema: v.union([unset, textSchema(options)]),
    allowed: options.allowed,
    default: "",
    json: jsonText(options),
  });
}

function jsonText({ accepts }: TextOptions): Setting["json"] {
  return { type: "string", ...(accepts instanceof RegExp && { pattern: accepts.source }) };
}

/** A list of different texts. */
export function list(
  options: Common & {
    default: readonly string[];
    min: number;
    max: number;
    allowed: string;
    accepts: RegExp | ((item: string) => boolean);
  },
): Setting<string[]> {
  const { min, max } = options;
  const distinct = (items: string[]) => new Set(items).size === items.length;
  return setting(options, {
    type: "array",
    schema: v.pipe(v.array(textSchema(options)), v.minLength(min), v.maxLength(max), v.check(distinct)),
    allowed: options.allowed,
    default: options.default,
  });
}
