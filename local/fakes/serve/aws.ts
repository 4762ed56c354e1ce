import { aws } from "../aws/index";
import { serve } from "../framework";

void serve(aws);
