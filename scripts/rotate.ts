import { main } from "./rotate/main";

main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
