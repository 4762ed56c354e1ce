/** `npm run test:long`: the whole of what `npm test` has time for only a part of. */
export const LONG = process.env.QWEN3_TEST_LONG === "1";
