/**
 * The most bytes on disk that a request takes in the journals, as docs/reference/machine.md states them: of the lines of
 * nginx and of the worker together, and of nginx's line of a request without a valid key.
 */
export const BYTES = { request: 1700, unauthenticated: 1200 };
