import { serve } from "../framework";
import { random } from "../random";

void serve(random);
