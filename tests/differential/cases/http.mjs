// HTTP itself: methods, paths, CORS and the long poll.

export default {
  'methods': async (c) => {
    const session = await c.session();
    await c.raw('OPTIONS', '/janus');
    await c.raw('OPTIONS', '/janus', { headers: { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'Content-Type', Origin: 'http://page.example' } });
    await c.raw('OPTIONS', `/janus/${session}`, { headers: { 'Access-Control-Request-Method': 'GET' } });
    await c.raw('OPTIONS', '/nowhere');
    for (const method of ['PUT', 'DELETE', 'PATCH', 'HEAD']) {
      await c.raw(method, '/janus');
      await c.raw(method, `/janus/${session}`);
    }
    await c.raw('PUT', '/janus', { body: '{"janus":"ping","transaction":"t"}' });
    await c.raw('DELETE', '/nowhere');
  },

  'paths': async (c) => {
    const at = await c.handle();
    const ping = '{"janus":"ping","transaction":"t"}';
    for (const path of ['/janus', '/janus/', '/janus/0', '/janus/info', '/janus/info/', '/janus/INFO', '/janus/info?x=1', '/', '/janusx', '//janus', '/janus//', '/jan', '/JANUS',
      '/janus/x', '/janus/1/2/3', '/janus/1/2/3/4', '/janus/123456', '/janus/0/0', '/janus/-1', '/admin', '/janus/info/x']) {
      await c.raw('GET', path);
      await c.raw('POST', path, { body: ping });
    }
    await c.raw('GET', `/janus${at.h}`);
    await c.raw('GET', `/janus${at.h}/`);
    await c.raw('POST', '/janus', { body: ping, headers: { Origin: 'http://page.example', 'Content-Type': 'text/plain' }, label: 'POST from another origin, as text' });
    await c.raw('POST', '/janus?x=1', { body: ping });
  },

  'long poll': async (c) => {
    const at = await c.handle();
    const say = (n) => c.post(at.h, { janus: 'message', body: { bitrate: n } }, { quiet: true });
    for (const query of ['', '?maxev=1', '?maxev=5', '?maxev=0', '?maxev=-1', '?maxev=x', '?maxev=', '?rid=5', '?rid=5&maxev=3', '?maxev=2&maxev=1']) {
      await say(1000);
      await c.get(`${at.s}${query}`);
    }
    for (let n = 0; n < 3; n += 1) await say(1000 + n);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await c.get(`${at.s}?maxev=2`, { label: 'two of three events' });
    await c.get(`${at.s}?maxev=10`, { label: 'the third' });
    const waiting = c.get(`${at.s}?maxev=1`, { quiet: true, wait: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await c.post(at.h, { janus: 'message', body: { audio: true } }, { quiet: true });
    c.note('an event wakes a poll that waits', JSON.stringify((await waiting).plugindata));
    await c.get('/123456?maxev=1');
    await c.post(at.s, { janus: 'destroy' });
    await c.get(`${at.s}?maxev=1`, { label: 'a poll after destroy' });
  },

  'keepalive of the long poll': async (c) => {
    const [one, many] = [await c.session(), await c.session()];
    const began = Date.now();
    const polls = [c.get(`/${one}`, { quiet: true, wait: 40_000 }), c.get(`/${many}?maxev=4`, { quiet: true, wait: 40_000 })];
    const got = await Promise.all(polls);
    c.note('after half a minute', JSON.stringify(got), `${Math.round((Date.now() - began) / 2000) * 2} s`);
  },
};
