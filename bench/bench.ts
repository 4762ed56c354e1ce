import { main } from "./main";

main(process.argv.slice(2), process.env, process).then((status) => {
  process.exitCode = status;
});
