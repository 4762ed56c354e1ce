import type { Context } from "../lib/commandLine";
import { confirmed } from "../lib/confirm";
import { clientApiKeyUrn } from "../lib/stack";
import type { RotateOptions } from "./command";
import { type Engine, openEngine } from "./engine";
import { untilReplied } from "./observe";
import { describe, judgePending, type Readiness, requireRotationAlone } from "./plan";
import { dropPrevious, findSubject, previousKeyEnd, type Subject } from "./subject";

/** Rotates a key, or revokes the previous one. The status is 1 if the operator declines. */
export async function rotateOrRevoke(options: RotateOptions, context: Context): Promise<void> {
  const rotation = new Rotation(await findSubject(options, context), options, context);
  const done = await (options.revokePrevious ? rotation.revokePrevious() : rotation.rotate());
  context.status = done ? 0 : 1;
}

/** One run of the command. */
class Rotation {
  constructor(
    private readonly subject: Subject,
    private readonly options: RotateOptions,
    private readonly context: Context,
  ) {}

  /** Replaces the key and waits until the endpoint accepts it. @returns whether the operator agreed */
  async rotate(): Promise<boolean> {
    // An exact URN is necessary: the engine ignores a pattern that matches nothing, without an error.
    const urn = clientApiKeyUrn(this.subject.stack, this.options.client);
    const engine = await openEngine(this.options.stack, (text) => this.context.out(text));
    const readiness = await this.#prepare(engine, urn);
    const question = `Rotate the key of ${this.subject.client} in stack ${this.options.stack}?`;
    if (!(await this.#agreed(question))) {
      return false;
    }
    const warnings = await this.#update(engine, readiness === "ready" ? urn : undefined);
    // Before anything else: a leaked key must not work longer than necessary.
    const revoked = this.options.revokeNow ? await dropPrevious(this.subject) : undefined;
    const current = await this.subject.versions.value("AWSCURRENT");
    await untilReplied(this.subject, current, 200, "the new key is current");
    this.#say("The new key is accepted.");
    await (this.options.revokeNow ? this.#sayRefused("The old key", revoked) : this.#sayGrace());
    this.#sayHowToGiveIt();
    this.#sayWarnings(warnings);
    return true;
  }

  /** Revokes the previous key. @returns whether the operator agreed */
  async revokePrevious(): Promise<boolean> {
    const { client } = this.subject;
    const end = await previousKeyEnd(this.subject);
    if (!end) {
      this.#say(`There is no earlier key of ${client} that still works. Nothing was changed.`);
      return true;
    }
    this.#say(`The previous key of ${client} works until ${end.toISOString()}.`);
    if (!(await this.#agreed("Revoke it now? The current key does not change."))) {
      return false;
    }
    await this.#sayRefused("The previous key", await dropPrevious(this.subject));
    return true;
  }

  /** Shows what an update would do. Throws if it would do more than rotate the key. */
  async #prepare(engine: Engine, urn: string): Promise<Readiness> {
    this.#say("Looking for other pending changes …");
    const readiness = judgePending(await engine.plan(), urn, this.options.stack);
    if (readiness === "interrupted") {
      this.#say("A rotation of this key was interrupted. This run completes it and creates no other key.");
      return readiness;
    }
    const plan = await engine.plan(urn);
    requireRotationAlone(plan, urn);
    this.#say(`The rotation:\n${describe(plan)}`);
    await this.#sayEffect();
    return readiness;
  }

  /** Shows what happens to the current key, and to a previous key that is still in its grace period. */
  async #sayEffect(): Promise<void> {
    const { graceSeconds } = this.subject;
    const end = await previousKeyEnd(this.subject);
    if (end) {
      this.#say(
        `The previous key, which would work until ${end.toISOString()}, is refused at once: only one ` +
          "earlier key is accepted.",
      );
    }
    this.#say(
      this.options.revokeNow || graceSeconds === 0
        ? "The current key is refused at once: its client gets 401 until it has the new one."
        : `The current key works for ${graceSeconds} s more (setting keyGraceSeconds).`,
    );
  }

  /** Runs the update and returns its warnings. If it fails, the error begins with the resulting state of the keys. */
  async #update(engine: Engine, urn: string | undefined): Promise<string[]> {
    const before = await this.#currentVersion();
    try {
      return await engine.update(urn);
    } catch (error) {
      const state = await this.#stateAfterFailure(before);
      throw new Error(
        `the update did not complete: ${state}. Fix what it reports, then run the same command again: it ` +
          `completes this rotation and creates no other key. \`npm run verify -- --stack ${this.options.stack}\` ` +
          `checks the endpoint.\n${(error as Error).message}`,
      );
    }
  }

  async #stateAfterFailure(before: string | undefined): Promise<string> {
    const after = await this.#currentVersion().catch(() => undefined);
    if (after === undefined) {
      return "the current key could not be read from Secrets Manager";
    }
    if (after === before) {
      return "the old key is still current and works";
    }
    if (!this.options.revokeNow) {
      return "the new key is current, and the old one is in its grace period";
    }
    await dropPrevious(this.subject);
    return "the new key is current, and the old one is revoked";
  }

  async #currentVersion(): Promise<string | undefined> {
    return (await this.subject.versions.labelled()).AWSCURRENT?.id;
  }

  /** Waits until the endpoint refuses a revoked key, and reports it. */
  async #sayRefused(name: string, key: string | undefined): Promise<void> {
    if (key === undefined) {
      this.#say(`${name} was revoked before.`);
      return;
    }
    const known = `${name.toLowerCase()} no longer has a label`;
    const seconds = await untilReplied(this.subject, key, 401, known);
    this.#say(`${name} is refused, ${seconds} s after it was revoked.`);
  }

  async #sayGrace(): Promise<void> {
    const end = await previousKeyEnd(this.subject);
    this.#say(end ? `The old key works until ${end.toISOString()}.` : "The old key is refused.");
  }

  #sayHowToGiveIt(): void {
    const { stack, client } = this.options;
    this.#say(
      `Give the new key to its client: npm run -s env -- --stack ${stack}${client ? ` --client ${client}` : ""}`,
    );
  }

  /** What is wrong with the service, but did not stop the rotation. */
  #sayWarnings(warnings: string[]): void {
    if (warnings.length > 0) {
      this.#say(
        `The verification has ${warnings.length === 1 ? "a warning" : `${warnings.length} warnings`} that ` +
          `${warnings.length === 1 ? "is" : "are"} not about keys:\n${warnings.join("\n")}`,
      );
    }
  }

  async #agreed(question: string): Promise<boolean> {
    if (this.options.yes) {
      return true;
    }
    const yes = await confirmed(question);
    if (!yes) {
      this.#say("Nothing was changed.");
    }
    return yes;
  }

  #say(line: string): void {
    this.context.out(`${line}\n`);
  }
}
