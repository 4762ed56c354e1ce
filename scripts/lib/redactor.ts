/** What every key of this package looks like, whichever client's it is: KEY_PREFIX of components/keys/apiKey.ts. */
const ANY_KEY = /qwen3_[0-9A-Za-z]{16,}/g;

/** Takes keys out of text on its way out: the last line of defence, since no text should hold one. */
export class Redactor {
  readonly #secrets = new Set<string>();

  add(secret: string): void {
    this.#secrets.add(secret);
    this.#secrets.add(Buffer.from(secret).toString("base64"));
  }

  redact(text: string): string {
    let clean = text;
    for (const secret of this.#secrets) {
      clean = clean.replaceAll(secret, "[redacted]");
    }
    return clean.replace(ANY_KEY, "[redacted]");
  }
}
