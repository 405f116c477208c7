// What an operator relies on: bounded memory, quick answers and no lost calls while something goes wrong or is changed.
// OPERATE_LONG=1 does more of everything, for minutes.

import './slow-clients.mjs';
import './event-handlers.mjs';
import './event-backend.mjs';
import './certificates.mjs';
import './ice-servers.mjs';
import './guesses.mjs';
import './drain.mjs';
import './affinity.mjs';
import './recordings.mjs';
import './films.mjs';
import './recording-names.mjs';
import './forwarding-cost.mjs';
import './turn.mjs';
import './loadtest.mjs';
