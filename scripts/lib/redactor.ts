/** The format of every key of this package: KEY_PREFIX of components/keys/apiKey.ts. */
const ANY_KEY = /qwen3_[0-9A-Za-z]{16,}/g;

/** Removes keys from text before it is written. This is the last line of defence: no text should contain one. */
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
