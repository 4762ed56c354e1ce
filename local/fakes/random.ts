import { randomBytes, randomInt } from "node:crypto";
import {
  InputError,
  type Props,
  type ProviderDefinition,
  type ResourceDefinition,
  UNKNOWN,
} from "./framework";

/** Fake of @pulumi/random 4.21: passwords, strings and IDs. Its RandomPassword has no `bcryptHash`. */

const SETS = {
  lower: "abcdefghijklmnopqrstuvwxyz",
  upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  numeric: "0123456789",
  special: "!@#$%&*()-_=+[]{}<>:?",
} as const;

type SetName = keyof typeof SETS;

const NAMES = Object.keys(SETS) as SetName[];

const TEXT_INPUTS = [
  ...["keepers", "length", "lower", "upper", "numeric", "special", "overrideSpecial"],
  ...["minLower", "minUpper", "minNumeric", "minSpecial"],
] as const;

function minimum(inputs: Props, name: SetName): number {
  return Number(inputs[`min${name[0]?.toUpperCase()}${name.slice(1)}`] ?? 0);
}

function checkText(inputs: Props): Props {
  const { length } = inputs;
  if (length === UNKNOWN) {
    return inputs;
  }
  if (typeof length !== "number" || !Number.isInteger(length) || length < 1) {
    throw new InputError("length", `must be a whole number of at least 1, not ${JSON.stringify(length)}`);
  }
  const least = NAMES.reduce((sum, name) => sum + minimum(inputs, name), 0);
  if (length < least) {
    throw new InputError("length", `is ${length}, less than the sum of the minima, ${least}`);
  }
  if (NAMES.every((name) => inputs[name] === false)) {
    throw new InputError("special", "at least one of lower, upper, numeric and special must be true");
  }
  return inputs;
}

function pick(characters: string): string {
  return characters[randomInt(characters.length)] ?? "";
}

/** Random text: the required number of characters of each set, the rest from all enabled sets, shuffled. */
function text(inputs: Props): string {
  const override = inputs.overrideSpecial;
  const set = (name: SetName) =>
    (name === "special" && typeof override === "string" && override) || SETS[name];
  const all = NAMES.filter((name) => inputs[name] !== false)
    .map(set)
    .join("");
  const characters = NAMES.flatMap((name) =>
    Array.from({ length: minimum(inputs, name) }, () => pick(set(name))),
  );
  while (characters.length < Number(inputs.length)) {
    characters.push(pick(all));
  }
  for (let i = characters.length - 1; i > 0; i--) {
    const j = randomInt(i + 1);
    [characters[i], characters[j]] = [characters[j] ?? "", characters[i] ?? ""];
  }
  return characters.join("");
}

function textOutputs(inputs: Props): Props & { result: string } {
  const on = Object.fromEntries(NAMES.map((name) => [name, inputs[name] ?? true]));
  const minima = { minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0 };
  return { ...minima, ...inputs, ...on, number: on.numeric, result: text(inputs) };
}

const password: ResourceDefinition = {
  inputs: TEXT_INPUTS,
  replaceOn: TEXT_INPUTS,
  secrets: ["result"],
  check: checkText,
  create: async (inputs) => ({ id: "none", outputs: textOutputs(inputs) }),
};

const string: ResourceDefinition = {
  inputs: TEXT_INPUTS,
  replaceOn: TEXT_INPUTS,
  check: checkText,
  create: async (inputs) => {
    const outputs = textOutputs(inputs);
    return { id: outputs.result, outputs };
  },
};

const ID_INPUTS = ["byteLength", "keepers", "prefix"] as const;

const id: ResourceDefinition = {
  inputs: ID_INPUTS,
  replaceOn: ID_INPUTS,
  check: (inputs) => {
    const { byteLength } = inputs;
    if (byteLength !== UNKNOWN && !(Number.isInteger(byteLength) && Number(byteLength) >= 1)) {
      throw new InputError(
        "byteLength",
        `must be a whole number of at least 1, not ${JSON.stringify(byteLength)}`,
      );
    }
    return inputs;
  },
  create: async (inputs) => {
    const bytes = randomBytes(Number(inputs.byteLength));
    const prefix = typeof inputs.prefix === "string" ? inputs.prefix : "";
    const hex = bytes.toString("hex");
    const outputs = {
      b64Url: prefix + bytes.toString("base64url"),
      b64Std: prefix + bytes.toString("base64"),
      hex: prefix + hex,
      dec: prefix + BigInt(`0x${hex}`).toString(),
    };
    return { id: bytes.toString("base64url"), outputs };
  },
};

export const random: ProviderDefinition = {
  name: "random",
  version: "4.21.2",
  resources: {
    "random:index/randomPassword:RandomPassword": password,
    "random:index/randomString:RandomString": string,
    "random:index/randomId:RandomId": id,
  },
  invokes: {},
};
