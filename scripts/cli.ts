import "./lib/nodeVersion";
import { Command } from "commander";
import { costCommand } from "./cost/command";
import { doctorCommand } from "./doctor/command";
import { envCommand } from "./env/command";
import { evaluateCommand } from "./evaluate/command";
import { handoverCommand } from "./handover/command";
import { imageCommand } from "./image/command";
import { Context, runProcess } from "./lib/commandLine";
import { mirrorCommand } from "./mirror/command";
import { rolloutCommand } from "./rollout/command";
import { rotateCommand } from "./rotate/command";
import { tuneCommand } from "./tune/command";
import { verifyCommand } from "./verify/command";

const context = new Context(process.env, process);
const program = new Command("tsx scripts/cli.ts")
  .description("Commands for operators. Each one is an npm script of the same name.")
  .addCommand(verifyCommand(context))
  .addCommand(rotateCommand(context))
  .addCommand(envCommand(context))
  .addCommand(evaluateCommand(context))
  .addCommand(imageCommand(context))
  .addCommand(doctorCommand(context))
  .addCommand(costCommand(context))
  .addCommand(mirrorCommand(context))
  .addCommand(tuneCommand(context))
  // Not npm scripts: the stack runs them.
  .addCommand(handoverCommand(context), { hidden: true })
  .addCommand(rolloutCommand(context), { hidden: true });

void runProcess(program, context);
