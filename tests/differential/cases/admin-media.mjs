// What `handle_info` tells of a connected handle. A browser is at the other end.

import { Party } from '../party.mjs';
import { withPeers } from '../peer.mjs';

const SETTLED_MS = 2_500;

/** An echo of these kinds, once with something and once a while later. */
const echo = (kinds) => (c) => withPeers(async (open) => {
  const party = await Party.enter(c, 'Ann', 'janus.plugin.echotest');
  const peer = await open();
  const told = await party.ask({ audio: true, video: true }, { jsep: await peer.offer(kinds), about: `an offer of ${kinds.join(', ')}`, quiet: true });
  await peer.accept(told.jsep);
  await peer.up();
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  party.heard.length = 0;
  const info = () => c.administer(`/${party.session}/${party.handle}`, { janus: 'handle_info' }, { label: `the handle with ${kinds.join(', ')}` });
  await info();
  await peer.close();
});

export default {
  'an echo of sound': echo(['audio']),
  'an echo of sound, pictures and data': echo(['audio', 'video', 'data']),
  'an echo of layers': echo(['simulcast']),
};
