import { main } from "./tune/main";

main(process.argv.slice(2), process.env, process).then((status) => {
  process.exitCode = status;
});
