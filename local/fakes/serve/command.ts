import { command } from "../command";
import { serve } from "../framework";

void serve(command);
