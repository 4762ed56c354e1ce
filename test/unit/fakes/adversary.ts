import type { Fault } from "./faults";

/**
 * A server without a model that tries to pass: its vectors are random by hash of the text, and it knows the four texts of
 * the model card. Each of these faults gives wrong vectors, or lets other clients in.
 */
export const ADVERSARY: readonly Fault[] = [
  "open with a key that begins like the right one",
  "unknown fields ignored",
  "any model served",
  "too few dimensions served",
  "too many dimensions served",
  "no context limit",
  "long batches reversed",
  "texts cut at 2,000 characters",
  "last character of a text ignored",
  "one worker differs",
  "no usage",
];
