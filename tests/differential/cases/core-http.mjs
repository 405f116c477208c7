// The core's verbs over HTTP: where each may be used, what it needs, and what it says otherwise.

const ECHO = 'janus.plugin.echotest';

export default {
  'verbs without a session': async (c) => {
    for (const body of [
      { janus: 'ping' }, { janus: 'PING' }, { janus: 'info' }, { janus: 'foo' }, { janus: 'keepalive' },
      { janus: 'attach', plugin: ECHO }, { janus: 'message', body: {} }, { janus: 'trickle' }, { janus: 'hangup' },
      { janus: 'detach' }, { janus: 'destroy' }, { janus: 'claim' }, { janus: '' }, { janus: 'create ' },
      { janus: 'keepalive', session_id: 0 }, { janus: 'ping', session_id: null }, { janus: 'ping', session_id: 'x' },
      { janus: 'ping', handle_id: 7 }, { janus: 'ping', session_id: -1 }, { janus: 'ping', session_id: 1.5 },
    ]) await c.post('', body);
  },

  'the envelope': async (c) => {
    for (const body of [
      '{}', '{"janus":"ping"}', '{"transaction":"t"}', '{"janus":5,"transaction":"t"}', '{"janus":"ping","transaction":5}',
      '{"janus":null,"transaction":"t"}', '{"janus":"ping","transaction":null}', '{"janus":{},"transaction":[]}',
      '{"janus":"ping","transaction":""}', '{"janus":"ping","transaction":"grüße 🌍"}',
      '{"janus":"ping","transaction":"t","extra":{"a":[1,2,{"b":null}]}}',
      '{"transaction":"a","janus":"ping","janus":"info"}'.replace(',"janus":"info"', ''),
    ]) await c.post('', body);
  },

  'text that is no request': async (c) => {
    for (const body of [
      '{', '}', '[', '[]', '[{"janus":"ping","transaction":"t"}]', '5', '"x"', 'null', 'true', 'x', '{"janus"}', "{'janus':'ping'}",
      '{"janus":"ping","transaction":"t"', '{"janus":"ping","transaction":"t"} x', '{"janus":"ping","transaction":"t"}{"janus":"ping","transaction":"u"}',
      '{"janus":"ping","transaction":"t",}', '{"janus":"ping","transaction":"\\ud800"}', '{"janus":"ping","transaction":"t","n":1e999}',
      '{"janus":"ping","transaction":"t","n":99999999999999999999}', '\ufeff{"janus":"ping","transaction":"t"}', ' \n{"janus":"ping","transaction":"t"}\n ',
      '{"janus":"ping","transaction":"a\u0001b"}', '   ',
    ]) await c.post('', body);
    await c.raw('POST', '/janus', { body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), label: 'POST bytes that are no UTF-8' });
    await c.raw('POST', '/janus', { body: '', label: 'POST nothing' });
    await c.raw('POST', '/janus', { body: `${'['.repeat(100)}${']'.repeat(100)}`, label: 'POST 100 arrays in each other' });
  },

  'create': async (c) => {
    await c.post('', { janus: 'create' });
    await c.post('', { janus: 'CREATE' });
    const id = 4_000_000_000_000 + Math.floor(Math.random() * 1e9);
    await c.post('', { janus: 'create', id }, { label: 'create with an id' });
    await c.post('', { janus: 'create', id }, { label: 'create with an id in use' });
    for (const wrong of ['x', '5', -1, 1.5, null, true, {}, []]) await c.post('', { janus: 'create', id: wrong });
    await c.post('', { janus: 'create', id: 0 });
  },

  'verbs of a session': async (c) => {
    const session = await c.session();
    const at = `/${session}`;
    for (const body of [
      { janus: 'keepalive' }, { janus: 'KeepAlive' }, { janus: 'claim' }, { janus: 'ping' }, { janus: 'info' }, { janus: 'create' }, { janus: 'foo' },
      { janus: 'message', body: {} }, { janus: 'trickle', candidate: null }, { janus: 'hangup' }, { janus: 'detach' },
      { janus: 'attach' }, { janus: 'attach', plugin: 5 }, { janus: 'attach', plugin: null }, { janus: 'attach', plugin: '' },
      { janus: 'attach', plugin: 'janus.plugin.nope' }, { janus: 'attach', plugin: 'JANUS.PLUGIN.ECHOTEST' },
      { janus: 'attach', plugin: ECHO, opaque_id: 5 }, { janus: 'attach', plugin: ECHO, opaque_id: null },
      { janus: 'attach', plugin: ECHO, opaque_id: 'me' }, { janus: 'attach', plugin: ECHO, loop_index: 'x' },
      { janus: 'attach', plugin: ECHO, loop_index: -1 }, { janus: 'attach', plugin: ECHO },
    ]) await c.post(at, body);
    await c.post('', { janus: 'keepalive', session_id: session }, { label: 'keepalive by the id in the body' });
    await c.post(at, { janus: 'keepalive', session_id: session }, { label: 'keepalive with the id twice' });
    await c.post(at, { janus: 'keepalive', session_id: 5 });
    await c.post(at, { janus: 'keepalive', session_id: 'x' });
    await c.post(`${at}/`, { janus: 'keepalive' });
    await c.post(at, { janus: 'destroy' });
    await c.post(at, { janus: 'keepalive' }, { label: 'keepalive after destroy' });
    await c.post(at, { janus: 'destroy' }, { label: 'destroy again' });
    await c.post('/123456', { janus: 'keepalive' });
    await c.post('/123456', { janus: 'foo' });
    await c.post('/123456/77', { janus: 'message' });
  },

  'verbs of a handle': async (c) => {
    const at = await c.handle();
    for (const body of [
      { janus: 'keepalive' }, { janus: 'claim' }, { janus: 'attach', plugin: ECHO }, { janus: 'destroy' }, { janus: 'create' }, { janus: 'info' }, { janus: 'foo' },
      { janus: 'message' }, { janus: 'message', body: null }, { janus: 'message', body: 5 }, { janus: 'message', body: [] }, { janus: 'message', body: 'x' },
      { janus: 'keepalive', handle_id: 5 }, { janus: 'keepalive', handle_id: 'x' }, { janus: 'keepalive', handle_id: 0 },
    ]) await c.post(at.h, body);
    await c.post(`${at.s}/5`, { janus: 'keepalive' });
    await c.post(`${at.s}/5`, { janus: 'message', body: { audio: true } });
    await c.post('', { janus: 'message', session_id: at.session, handle_id: at.handle, body: { audio: true } }, { label: 'message by the ids in the body' });
    await c.get(`${at.s}?maxev=1`, { label: 'its event' });
    await c.post('', { janus: 'keepalive', handle_id: at.handle }, { label: 'a handle without its session' });
    await c.post(at.h, { janus: 'hangup' }, { label: 'hangup without a call' });
    await c.get(`${at.s}?maxev=1`, { label: 'what follows it' });
    await c.post(at.h, { janus: 'detach' });
    await c.get(`${at.s}?maxev=1`, { label: 'detached' });
    await c.post(at.h, { janus: 'detach' }, { label: 'detach again' });
    await c.post(at.h, { janus: 'hangup' }, { label: 'hangup after detach' });
  },
};
