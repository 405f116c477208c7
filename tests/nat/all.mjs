// A gateway behind NATs, with a real browser on the other side. Needs root; NAT_LONG=1 does more.

import './nat.mjs';
import './stunner.mjs';
