import { describe, expect, it } from "vitest";
import { mirrorCommand } from "../../scripts/mirror/command";
import { runCommand } from "./fakes/environment";

describe("npm run mirror: wrong usage", () => {
  it.each([
    [[], /--to is not set: the destination, s3:\/\/BUCKET\/PREFIX/],
    [["--to", "s3://bucket"], /--to is "s3:\/\/bucket"; allowed: s3:\/\/BUCKET\/PREFIX/],
    [["--to", "s3://bucket/prefix", "--model", "hf://Qwen/Test@main"], /--model is .*40 hexadecimal digits/],
    [["--to", "s3://bucket/prefix", "--only", "weights"], /--only is "weights"; allowed: model, packages/],
    [
      ["--to", "s3://bucket/prefix", "--hub", "hub"],
      /--hub is "hub"; allowed: an http:\/\/ or https:\/\/ URL/,
    ],
    [["--to", "s3://bucket/prefix"], /--region is not set, nor is AWS_REGION/],
    [["--from", "x"], /--from/],
  ])("%j", async (argv, message) => {
    const { status, stderr } = await runCommand(mirrorCommand, argv);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });
});
