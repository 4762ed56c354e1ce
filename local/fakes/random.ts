import { randomInt } from "node:crypto";
import {
  InputError,
  type Props,
  type ProviderDefinition,
  type ResourceDefinition,
  UNKNOWN,
} from "./framework";

/** Fake of @pulumi/random 4.21: passwords without `bcryptHash` and without minima. */

const SETS = {
  lower: "abcdefghijklmnopqrstuvwxyz",
  upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  numeric: "0123456789",
  special: "!@#$%&*()-_=+[]{}<>:?",
} as const;

const NAMES = Object.keys(SETS) as (keyof typeof SETS)[];

const INPUTS = ["keepers", "length", ...NAMES] as const;

function check(inputs: Props): Props {
  const { length } = inputs;
  if (length !== UNKNOWN && !(Number.isInteger(length) && Number(length) >= 1)) {
    throw new InputError("length", `must be a whole number of at least 1, not ${JSON.stringify(length)}`);
  }
  if (NAMES.every((name) => inputs[name] === false)) {
    throw new InputError("special", "at least one of lower, upper, numeric and special must be true");
  }
  return inputs;
}

const password: ResourceDefinition = {
  inputs: INPUTS,
  replaceOn: INPUTS,
  secrets: ["result"],
  check,
  create: async (inputs) => {
    const on = Object.fromEntries(NAMES.map((name) => [name, inputs[name] ?? true]));
    const characters = NAMES.map((name) => (on[name] ? SETS[name] : "")).join("");
    const result = Array.from(
      { length: Number(inputs.length) },
      () => characters[randomInt(characters.length)],
    ).join("");
    const minima = { minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0 };
    return { id: "none", outputs: { ...minima, ...on, number: on.numeric, result } };
  },
};

export const random: ProviderDefinition = {
  name: "random",
  version: "4.21.2",
  resources: { "random:index/randomPassword:RandomPassword": password },
  invokes: {},
};
