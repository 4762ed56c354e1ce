import "../scripts/lib/nodeVersion";
import { Command } from "commander";
import { Context, runProcess } from "../scripts/lib/commandLine";
import { gatewayCommand } from "./gateway/command";
import { growthCommand } from "./growth/command";
import { runCommand } from "./run/command";

const context = new Context(process.env, process);
const program = new Command("tsx bench/cli.ts")
  .description("Benchmarks for work on the stack itself.")
  .addCommand(runCommand(context))
  .addCommand(gatewayCommand(context))
  .addCommand(growthCommand(context));

void runProcess(program, context);
