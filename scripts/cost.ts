import { main } from "./cost/main";

process.exitCode = main(process.argv.slice(2), process);
