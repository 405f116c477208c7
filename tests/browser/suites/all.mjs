// Every behaviour, in one process and one browser, one after the other.

import './echo.mjs';
import './codecs.mjs';
import './simulcast.mjs';
import './svc.mjs';
import './data-channel.mjs';
import './ice.mjs';
import './transports.mjs';
import './switches.mjs';
import './renegotiation.mjs';
import './hangup.mjs';
import './loss.mjs';
import './videoroom.mjs';
import './videoroom-multistream.mjs';
import './videoroom-layers.mjs';
import './operator.mjs';
import './recording.mjs';
import './forwarding.mjs';
import './stock-page.mjs';
import './stock-admin-page.mjs';
import './firefox.mjs';
import './sample-page.mjs';
import './ice-servers-page.mjs';
import './videoroom-pages.mjs';
import './admin-page.mjs';
import './recordings-page.mjs';
