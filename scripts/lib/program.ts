/** Runs the program that the Pulumi command line runs, and returns its outputs. */
export async function runProgram(): Promise<Record<string, unknown>> {
  const { default: program } = await import("../../index");
  return program();
}
