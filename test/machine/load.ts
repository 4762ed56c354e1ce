import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointClient } from "../../scripts/verify/client";
import type { BootedMachine } from "./container";

/** One request of the load. */
export interface Outcome {
  /** When it was sent, in milliseconds since the epoch. */
  at: number;
  milliseconds: number;
  /** 0 where no answer came. */
  status: number;
  text: string;
}

export interface LoadOptions {
  /** Clients that ask at the same time, each with a connection of its own. */
  clients: number;
  /** How long each waits between an answer and its next request. */
  pauseMs: number;
}

/** Steady load: clients that embed one text after another with the key that they were told last. */
export class Load {
  static readonly #running = new Set<Load>();
  readonly outcomes: Outcome[] = [];
  readonly #options: LoadOptions;
  readonly #model: string;
  readonly #client: EndpointClient;
  readonly #loops: Promise<void>[];
  #key: string;
  #ended = false;

  /** Starts, with the first client's current key where none is given. */
  static async start(
    box: BootedMachine,
    options: LoadOptions = { clients: 4, pauseMs: 50 },
    key?: string,
  ): Promise<Load> {
    const load = new Load(box, key ?? (await box.readKey()), options);
    Load.#running.add(load);
    return load;
  }

  /** Ends what a test that failed has left running. */
  static async endAll(): Promise<void> {
    await Promise.all([...Load.#running].map((load) => load.end()));
  }

  private constructor(box: BootedMachine, key: string, options: LoadOptions) {
    this.#options = options;
    this.#model = box.output("model");
    this.#key = key;
    this.#client = box.client();
    this.#loops = Array.from({ length: options.clients }, (_, number) => this.#ask(number));
  }

  /** Every client takes this key from its next request on. */
  tell(key: string): void {
    this.#key = key;
  }

  get failed(): Outcome[] {
    return this.outcomes.filter(({ status }) => status !== 200);
  }

  /** Ends when what is in progress is answered. */
  async end(): Promise<Outcome[]> {
    this.#ended = true;
    Load.#running.delete(this);
    await Promise.all(this.#loops);
    await this.#client.close();
    return this.outcomes;
  }

  async #ask(number: number): Promise<void> {
    for (let count = 0; !this.#ended; count += 1) {
      const begin = Date.now();
      const outcome = await this.#client
        .send({
          method: "POST",
          path: "/v1/embeddings",
          authorization: `Bearer ${this.#key}`,
          // Different texts, so that nothing can be answered from what was asked before.
          body: { model: this.#model, input: `client ${number}, text ${count}` },
        })
        .then(
          ({ status, text }) => ({ status, text: status === 200 ? "" : text }),
          (error: Error) => ({ status: 0, text: error.message }),
        );
      this.outcomes.push({ at: begin, milliseconds: Date.now() - begin, ...outcome });
      await sleep(this.#options.pauseMs);
    }
  }
}
