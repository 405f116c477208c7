// The WebSocket transport: subprotocol, frames, events.

const PING = '{"janus":"ping","transaction":"a"}';

export default {
  'subprotocols': async (c) => {
    for (const protocols of ['janus-protocol', ['foo', 'janus-protocol'], ['janus-protocol', 'foo'], 'foo', [], 'janus-admin-protocol']) {
      (await c.connect(protocols, { quiet: false })).terminate();
    }
  },

  'frames': async (c) => {
    const socket = await c.connect();
    await c.frame(socket, PING, 1);
    await c.frame(socket, Buffer.from(PING), 1, { label: 'a binary frame' });
    await c.frame(socket, PING + PING, 2);
    await c.frame(socket, `${PING}\n  ${PING}\n${PING}`, 3);
    await c.frame(socket, `${PING}{`, 1);
    await c.frame(socket, `{${PING}`, 1);
    await c.frame(socket, '', 1, { label: 'an empty frame' });
    await c.frame(socket, 'x', 1);
    await c.frame(socket, '[]', 1);
    await c.frame(socket, `[${PING}]`, 1);
    await c.frame(socket, '5', 1);
    await c.frame(socket, '"x"', 1);
    await c.frame(socket, 'null', 1);
    await c.frame(socket, '{}', 1);
    await c.frame(socket, '{"janus":"foo","transaction":"a"}', 1);
    socket.send('{"janus":"pi', { fin: false });
    await c.frame(socket, 'ng","transaction":"a"}', 1, { label: 'a message in two fragments' });
    await c.frame(socket, JSON.stringify({ janus: 'ping', transaction: 'x'.repeat(10_000) }), 1, { label: 'a long transaction' });
  },

  'a session': async (c) => {
    const socket = await c.connect();
    const [created] = await c.call(socket, { janus: 'create' });
    const session = { session_id: created.data.id };
    await c.call(socket, { janus: 'keepalive', ...session });
    await c.call(socket, { janus: 'info', ...session });
    await c.call(socket, { janus: 'keepalive', session_id: 123456 });
    await c.call(socket, { janus: 'attach', ...session });
    const [attached] = await c.call(socket, { janus: 'attach', plugin: 'janus.plugin.echotest', ...session });
    const handle = { ...session, handle_id: attached.data.id };
    await c.call(socket, { janus: 'message', body: { audio: true }, ...handle }, 2);
    await c.call(socket, { janus: 'message', body: {}, ...handle }, 2);
    await c.call(socket, { janus: 'message', ...handle });
    await c.call(socket, { janus: 'trickle', ...handle });
    await c.call(socket, { janus: 'trickle', candidate: { completed: true }, ...handle });
    await c.call(socket, { janus: 'hangup', ...handle }, 2);
    await c.call(socket, { janus: 'claim', ...session });
    const other = await c.connect();
    await c.call(other, { janus: 'keepalive', ...session });
    await c.call(other, { janus: 'claim', ...session });
    await c.call(other, { janus: 'detach', ...handle }, 2);
    await c.call(other, { janus: 'keepalive', ...handle });
    await c.call(other, { janus: 'destroy', ...session });
    await c.call(other, { janus: 'keepalive', ...session });
  },

  'a session ends with its connection': async (c) => {
    const socket = await c.connect();
    const [created] = await c.call(socket, { janus: 'create' }, 1, { quiet: true });
    socket.terminate();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const other = await c.connect();
    await c.call(other, { janus: 'keepalive', session_id: created.data.id });
  },
};
