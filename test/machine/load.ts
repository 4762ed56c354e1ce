import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointClient } from "../../scripts/verify/client";
import type { BootedMachine } from "./container";

/** The result of one request. */
export interface Outcome {
  /** When it was sent, in milliseconds since the epoch. */
  at: number;
  milliseconds: number;
  /** 0 without a response. */
  status: number;
  text: string;
}

export interface LoadOptions {
  /** Number of clients that send at the same time, each on its own connection. */
  clients: number;
  /** How long each client waits between a response and its next request. */
  pauseMs: number;
}

/** Leaves the two cores of a small computer time for what happens beside it. */
const STEADY: LoadOptions = { clients: 4, pauseMs: 200 };

/** Steady traffic: clients that embed one text after another with the key that they were last given. */
export class Load {
  static readonly #running = new Set<Load>();
  readonly outcomes: Outcome[] = [];
  readonly #options: LoadOptions;
  readonly #model: string;
  readonly #client: EndpointClient;
  readonly #loops: Promise<void>[];
  #key: string;
  #ended = false;

  /** Starts the traffic, with the first client's current key by default. */
  static async start(box: BootedMachine, options: LoadOptions = STEADY, key?: string): Promise<Load> {
    const load = new Load(box, key ?? (await box.readKey()), options);
    Load.#running.add(load);
    return load;
  }

  /** Ends traffic that a failed test has left running. */
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

  /** Every client uses this key from its next request on. */
  tell(key: string): void {
    this.#key = key;
  }

  get failed(): Outcome[] {
    return this.outcomes.filter(({ status }) => status !== 200);
  }

  /** Ends after the responses to the requests in progress. */
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
          // Each text is different, so that no response can come from a cache.
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
