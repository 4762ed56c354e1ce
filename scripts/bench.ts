import { main } from "./bench/main";

main(process.argv.slice(2), process.env, process).then((status) => {
  process.exitCode = status;
});
