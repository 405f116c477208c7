// A gateway with an API secret: what is asked of whom, and before what.

export const settings = { janus: { general: { api_secret: 'opensesame' } } };

const SECRET = { apisecret: 'opensesame' };

export default {
  'requests with and without the secret': async (c) => {
    for (const over of [{}, { apisecret: 'wrong' }, { apisecret: 5 }, { apisecret: null }, { apisecret: '' }, { token: 'x' }, SECRET]) {
      await c.post('', { janus: 'ping', ...over });
      await c.post('', { janus: 'info', ...over });
      await c.post('', { janus: 'create', ...over });
      await c.post('', { janus: 'foo', ...over });
      await c.post('/123456', { janus: 'keepalive', ...over });
    }
    const { data: { id } } = await c.post('', { janus: 'create', ...SECRET }, { quiet: true });
    await c.post(`/${id}`, { janus: 'keepalive' });
    await c.post(`/${id}`, { janus: 'keepalive', ...SECRET });
    await c.post(`/${id}`, { janus: 'attach', plugin: 'janus.plugin.echotest' });
    const { data: { id: handle } } = await c.post(`/${id}`, { janus: 'attach', plugin: 'janus.plugin.echotest', ...SECRET });
    await c.post(`/${id}/${handle}`, { janus: 'message', body: { audio: true } });
    await c.post(`/${id}/${handle}`, { janus: 'message', body: { audio: true }, ...SECRET });
    await c.get(`/${id}?maxev=1`, { label: 'poll without the secret' });
    await c.get(`/${id}?maxev=1&apisecret=wrong`, { label: 'poll with a wrong one' });
    await c.get(`/${id}?maxev=1&apisecret=opensesame`, { label: 'poll with it' });
    await c.get('/123456?maxev=1', { label: 'poll of nothing without the secret' });
    await c.get('/info');
  },

  'over WebSockets': async (c) => {
    const socket = await c.connect();
    await c.call(socket, { janus: 'create' });
    await c.call(socket, { janus: 'create', ...SECRET });
    await c.call(socket, { janus: 'keepalive', session_id: 123456 });
    await c.call(socket, { janus: 'keepalive', session_id: 123456, ...SECRET });
  },
};
