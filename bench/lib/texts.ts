/** Common English words, for most of which a tokenizer for English has a token. */
const WORDS = (
  "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which " +
  "one you were all her she there would their we him been has when who will no more if out so up said what its about " +
  "than into them can only other time new some could these two may first then do any like my now over such our man me " +
  "even most made after also did many off before must well back through years much where your way down should because " +
  "long each just those people take day good world year work know state never water system small number part great " +
  "school house place light paper river green music story table north simple letter family answer winter garden"
).split(" ");

const POOL = 64;
/** Numbers of words for the calibration; longer texts are extrapolated. */
const SAMPLE_WORDS = [20, 120] as const;

/** Returns the number of tokens of one text, by the reply's `usage`. */
export type CountTokens = (text: string) => Promise<number>;

/** Texts of a given length in tokens, each one different, so that no reply can come from a cache. */
export class Texts {
  readonly #pool: string[];
  #next = 0;

  /** @param words number of words in a text */
  constructor(words: number, random: () => number) {
    this.#pool = Array.from({ length: POOL }, () => sentence(words, random));
  }

  /** JSON of `input`: one string, or a list of `batch` strings. */
  input(batch: number): string {
    const texts = Array.from({ length: batch }, () => `"${this.#text()}"`);
    return batch === 1 ? texts[0]! : `[${texts.join(",")}]`;
  }

  /** The first word, of seven letters, is always different, so that a cache of prefixes has no hits. */
  #text(): string {
    const number = this.#next++;
    const name = letters(number);
    return `${name} ${this.#pool[number % POOL]}`;
  }
}

/**
 * Number of words in a text of about this many tokens, by this endpoint's tokenizer: a straight line through the counts
 * of two texts.
 */
export async function wordsFor(tokens: number, count: CountTokens, random: () => number): Promise<number> {
  const [few, many] = SAMPLE_WORDS;
  const mean = async (words: number) => {
    const texts = new Texts(words, random);
    const counts = [];
    for (let i = 0; i < 4; i++) {
      counts.push(await count(JSON.parse(texts.input(1)) as string));
    }
    return counts.reduce((sum, each) => sum + each, 0) / counts.length;
  };
  const [short, long] = [await mean(few), await mean(many)];
  const perWord = (long - short) / (many - few);
  return Math.max(1, Math.round((tokens - (short - perWord * few)) / perWord));
}

function sentence(words: number, random: () => number): string {
  return Array.from({ length: words }, () => WORDS[Math.floor(random() * WORDS.length)]).join(" ");
}

function letters(number: number): string {
  let text = "";
  for (let rest = number, i = 0; i < 7; i++, rest = Math.floor(rest / 26)) {
    text += String.fromCharCode(97 + (rest % 26));
  }
  return text;
}
