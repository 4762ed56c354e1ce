import { serve } from "../framework";
import { tls } from "../tls";

void serve(tls);
