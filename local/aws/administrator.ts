/** Who may do everything at the emulator, as emulator.py knows it. It opens nothing else. */
export const ADMINISTRATOR = { accessKeyId: "AKIALOCALADMINISTRATOR", secretAccessKey: "local" };
