import { main } from "./gateway/main";

main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
