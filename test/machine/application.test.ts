import { afterAll, beforeAll, describe } from "vitest";
import { unsupported } from "../../local/preflight";
import { clients } from "./application/clients";
import { example } from "./application/example";
import { notebook } from "./application/notebook";
import { closeSandbox, openSandbox, type Sandbox } from "./application/sandbox";

/** One environment for all that an application does with the endpoint. */
describe.skipIf(unsupported() !== undefined)("the application's side", () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await openSandbox();
  });

  afterAll(closeSandbox);

  describe("clients", () => clients(() => sandbox));
  describe("the notebook", () => notebook(() => sandbox));
  describe("the example application", () => example(() => sandbox));
});
