/** Credentials with full access to the emulator, as in emulator.py. They are valid nowhere else. */
export const ADMINISTRATOR = { accessKeyId: "AKIALOCALADMINISTRATOR", secretAccessKey: "local" };
