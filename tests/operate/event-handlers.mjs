// Event handlers that post to a back end, and back ends that are down, slow, full of errors or somewhere else. What the
// events say is compared with Janus in tests/differential; here it is how they arrive. Needs no browser.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ADMIN_SECRET, eventSettings, startBackend } from '../browser/harness/backend.mjs';
import { startGateway } from '../browser/harness/gateway.mjs';
import { mergeSettings } from '../browser/harness/jcfg.mjs';
import { notOnOracle, ORACLE, sleep } from '../browser/harness/suite.mjs';

const HANDLER = 'janus.eventhandler.sampleevh';
const TEST_MS = 30_000;
/** Long enough for an event to come, were it sent. */
const STILL_MS = 400;
/** What the API may take while a back end keeps nobody waiting but the handler. */
const FAST_MS = 250;
/** An own word of the administrator is an event whose name and time the test knows. */
const ONLY_WORDS = { events: 'external' };

const silent = () => {};
const refused =
  (status, headers = {}) =>
  (response) => {
    response.writeHead(status, headers);
    response.end();
  };
const cut = (response) => response.destroy();

describe('the back end of an event handler', () => {
  test('that is up gets everything in order, one request after the other', async ({ run }) => {
    let open = 0;
    let most = 0;
    const { backend, say } = await run({ handler: { ...ONLY_WORDS, grouping: false } });
    backend.answer = async (response) => {
      most = Math.max(most, (open += 1));
      await sleep(5);
      open -= 1;
      response.end();
    };
    await say(...words(20));
    await heard(backend, words(20));
    assert.equal(most, 1, 'requests at a time');
    assert.ok(backend.posts.every((post) => post.method === 'POST' && post.path === '/events?from=test'));
    assert.ok(backend.posts.every((post) => post.headers['content-type'] === 'application/json'));
    assert.deepEqual(backend.unreadable, []);
  });

  test('that is down for a while gets what happened meanwhile, in order and once', async ({ run }) => {
    const handler = { ...ONLY_WORDS, max_retransmissions: 10, retransmissions_backoff: 50 };
    const { backend, say } = await run({ handler });
    await say('before');
    await heard(backend, ['before']);
    await backend.stop();
    await say(...words(5));
    await sleep(300);
    await backend.start();
    await say('after');
    await heard(backend, ['before', ...words(5), 'after']);
  });

  test('that is down for too long misses what was tried often enough, and nothing later', async ({ run }) => {
    const handler = { ...ONLY_WORDS, max_retransmissions: 2, retransmissions_backoff: 50 };
    const { gateway, backend, say } = await run({ handler });
    await backend.stop();
    await say('lost', 'too', 'as well');
    await until(() => givenUp(gateway) === 3, 'a log that tells how many are given up');
    await backend.start();
    await say(...words(3));
    await heard(backend, words(3));
  });

  test('that cuts connections is asked again with the same, at growing distances', async ({ run }) => {
    const { backend, say } = await run({
      answer: cut,
      handler: { ...ONLY_WORDS, max_retransmissions: 3, retransmissions_backoff: 100 },
    });
    await say('once more');
    await until(() => backend.posts.length === 4, 'four tries');
    assert.ok(
      backend.posts.every((post) => post.text === backend.posts[0].text),
      'the same body each time',
    );
    const gaps = backend.posts.slice(1).map((post, i) => post.at - backend.posts[i].at);
    [100, 200, 400].forEach((least, i) =>
      assert.ok(gaps[i] > least - 20 && gaps[i] < least + 300, `waits of ${gaps} ms`),
    );
    await sleep(STILL_MS + 800);
    assert.equal(backend.posts.length, 4, 'then it is given up');
  });

  test('is asked but once without retransmissions', async ({ run }) => {
    const { backend, say } = await run({ answer: cut, handler: { ...ONLY_WORDS, max_retransmissions: 0 } });
    await say('once');
    await until(() => backend.posts.length === 1, 'the try');
    await sleep(STILL_MS);
    assert.equal(backend.posts.length, 1);
    backend.answer = refused(200);
    await say('next');
    await until(() => backend.posts.length === 2, 'the next');
    assert.deepEqual(names(backend), ['once', 'next']);
  });

  for (const status of [400, 404, 500, 503]) {
    test(`that answers ${status} has got it`, async ({ run }) => {
      const { backend, say } = await run({ answer: refused(status), handler: { ...ONLY_WORDS, grouping: false } });
      await say(...words(3));
      await heard(backend, words(3));
      await sleep(STILL_MS);
      assert.equal(backend.posts.length, 3);
    });
  }

  for (const status of [301, 302, 307, 308]) {
    test(`that sends elsewhere by ${status} is not followed`, async ({ run, backend: another }) => {
      const elsewhere = await another();
      const { backend, say } = await run({ answer: refused(status, { location: elsewhere.url }), handler: ONLY_WORDS });
      await say('secret');
      await heard(backend, ['secret']);
      await sleep(STILL_MS);
      assert.equal(backend.posts.length, 1);
      assert.equal(elsewhere.connections, 0);
    });
  }

  test('that never answers keeps nobody else waiting', async ({ run }) => {
    const waiting = [];
    const { gateway, backend, say } = await run({
      answer: (response) => waiting.push(response),
      handler: { ...ONLY_WORDS, events: 'external,sessions' },
    });
    await say('first');
    await until(() => waiting.length === 1, 'a request that hangs');
    const times = [];
    for (let i = 0; i < 100; i += 1) {
      const began = performance.now();
      const { janus } = await (await fetch(gateway.http, json({ janus: 'create', transaction: 't' }))).json();
      assert.equal(janus, 'success');
      times.push(performance.now() - began);
    }
    assert.ok(Math.max(...times) < FAST_MS, `sessions took up to ${Math.round(Math.max(...times))} ms`);
    assert.equal(backend.posts.length, 1, 'one request at a time');
    backend.answer = refused(200);
    waiting[0].end();
    await until(() => backend.events.length === 101, 'all of it');
    const stamps = backend.events.map((e) => e.timestamp);
    assert.deepEqual(
      stamps,
      [...stamps].sort((a, b) => a - b),
    );
  });

  test('that never answers is left alone after ten seconds, and asked again', async ({ run }) => {
    const { backend, say } = await run({ answer: silent, handler: { ...ONLY_WORDS, max_retransmissions: 1 } });
    await say('hello');
    await until(() => backend.posts.length === 2, 'another try', 15_000);
    const gap = backend.posts[1].at - backend.posts[0].at;
    assert.ok(gap > 9_500 && gap < 12_500, `after ${gap} ms`);
    assert.equal(backend.posts[0].text, backend.posts[1].text);
  });

  test(
    'that never answers does not keep the gateway from ending',
    async ({ run }) => {
      const { gateway, say } = await run({ answer: silent, handler: ONLY_WORDS });
      await say('hello');
      const began = Date.now();
      await gateway.stop();
      assert.equal(gateway.exited, 0);
      assert.ok(Date.now() - began < 4_000, `ended after ${Date.now() - began} ms`);
    },
    notOnOracle('it waits for its request'),
  );

  test('that is up hears of the end', async ({ run }) => {
    const { gateway, backend } = await run({});
    await until(() => backend.events.some((e) => e.type === 256 && e.subtype === 1), 'the start');
    await gateway.stop();
    assert.deepEqual(
      backend.events.filter((e) => e.type === 256 && e.subtype === 2).map((e) => e.event),
      [{ status: 'shutdown', signum: 2 }],
    );
  });
});

describe('what the gateway tells of itself', () => {
  test(
    'every fifteen seconds: how much there is',
    async ({ run }) => {
      const { gateway, backend } = await run({ handler: { events: 'core' } });
      await fetch(gateway.http, json({ janus: 'create', transaction: 't' }));
      const update = () => backend.events.find((e) => e.event.status === 'update');
      await until(update, 'an update', 18_000);
      assert.deepEqual([update().type, update().subtype], [256, 1]);
      assert.deepEqual(update().event.info, { sessions: 1, handles: 0, peerconnections: 0, 'stats-period': 1 });
    },
    notOnOracle('from 1.2 on'),
  );
});

describe('the form of events', () => {
  test('groups have at most a hundred, in order', async ({ run }) => {
    const waiting = [];
    const { backend, say } = await run({ answer: (response) => waiting.push(response), handler: ONLY_WORDS });
    await say('first');
    await until(() => waiting.length === 1, 'a request that hangs');
    await say(...words(250));
    backend.answer = refused(200);
    waiting[0].end();
    await heard(backend, ['first', ...words(250)]);
    assert.ok(
      backend.posts.every(({ json: body }) => Array.isArray(body) && body.length > 0 && body.length <= 100),
      sizes(backend),
    );
    assert.ok(backend.posts.length <= 1 + 4, sizes(backend));
  });

  test('without grouping each event is an object of its own', async ({ run }) => {
    const { backend, say } = await run({ handler: { ...ONLY_WORDS, grouping: false } });
    await say(...words(10));
    await heard(backend, words(10));
    assert.equal(backend.posts.length, 10);
    assert.ok(backend.posts.every(({ json: body }) => body.type === 4));
  });

  for (const [style, fits] of [
    ['indented', /^\[\n {3}\{\n {6}"emitter": "somewhere",\n/],
    ['plain', /^\[\{"emitter": "somewhere", "type": 4, /],
    ['compact', /^\[\{"emitter":"somewhere","type":4,/],
  ]) {
    test(`JSON is ${style}`, async ({ run }) => {
      const { backend, say } = await run({ handler: { ...ONLY_WORDS, json: style } });
      await say('word');
      await heard(backend, ['word']);
      assert.match(backend.posts[0].text, fits);
    });
  }

  test('compressed events are gzip, and say so', async ({ run }) => {
    const { backend, say } = await run({ handler: { ...ONLY_WORDS, compress: true, compression: 9 } });
    await say('small');
    await heard(backend, ['small']);
    assert.equal(backend.posts[0].headers['content-encoding'], 'gzip');
    assert.equal(Number(backend.posts[0].headers['content-length']), backend.posts[0].bytes.length);
    assert.deepEqual(backend.unreadable, []);
  });

  test(
    'large ones arrive, compressed or not',
    async ({ run }) => {
      const { backend, say, tweak } = await run({ handler: ONLY_WORDS });
      const data = { numbers: Array.from({ length: 4_000 }, (_, i) => (i * 2654435761) % 4294967296) };
      for (const compress of [false, true]) {
        await tweak({ compress });
        await say({ schema: `compressed ${compress}`, data });
        await until(() => names(backend).includes(`compressed ${compress}`), 'the event');
        assert.deepEqual(backend.events.at(-1).event.data, data);
      }
      assert.equal(backend.posts.at(-1).headers['content-encoding'], 'gzip');
    },
    notOnOracle('drops what takes more than 8192 bytes compressed'),
  );

  test('a name and a word open the back end', async ({ run }) => {
    const { backend, say, tweak } = await run({
      handler: { ...ONLY_WORDS, backend_user: 'me', backend_pwd: 'my: wörd' },
    });
    await say('one');
    await heard(backend, ['one']);
    assert.equal(backend.posts[0].headers.authorization, basic('me:my: wörd'));
    await tweak({ backend_user: 'you', backend_pwd: 'yours' });
    await say('two');
    await heard(backend, ['one', 'two']);
    assert.equal(backend.posts[1].headers.authorization, basic('you:yours'));
  });

  test('no name, no word', async ({ run }) => {
    const { backend, say } = await run({ handler: ONLY_WORDS });
    await say('one');
    await heard(backend, ['one']);
    assert.equal(backend.posts[0].headers.authorization, undefined);
  });
});

describe('which events, and where to', () => {
  for (const [events, types] of [
    ['sessions,handles', [1, 2]],
    ['plugins', [64]],
    ['core', [256]],
    ['sessions, external', [1, 4]],
    ['none', []],
    ['all', [1, 2, 4, 64, 128, 256]],
  ]) {
    test(`the file asks for "${events}"`, async ({ run }) => {
      const { gateway, backend, say } = await run({ handler: { events } });
      await something(gateway);
      await say('word');
      await until(() => types.every((type) => backend.events.some((e) => e.type === type)), `types ${types}`);
      await sleep(STILL_MS);
      assert.deepEqual(
        [...new Set(backend.events.map((e) => e.type))].sort((a, b) => a - b),
        types,
      );
    });
  }

  for (const [what, settings] of [
    ['broadcast', { events: { broadcast: false } }],
    ['the handler', { handler: { enabled: false } }],
    ['a back end with HTTP', { handler: { backend: 'ftp://127.0.0.1/' } }],
  ]) {
    test(`without ${what} nothing is told`, async ({ run }) => {
      const { gateway, backend } = await run(settings);
      await something(gateway);
      await sleep(STILL_MS);
      assert.equal(backend.connections, 0);
      if (what === 'broadcast') assert.equal(gateway.info.event_handlers, false);
    });
  }

  test('a tweak changes it at once', async ({ run, backend: another }) => {
    const elsewhere = await another();
    const { gateway, backend, say, tweak } = await run({ handler: ONLY_WORDS });
    await say('here');
    await heard(backend, ['here']);
    assert.deepEqual(await tweak({ backend: elsewhere.url, grouping: false, events: 'external,sessions' }), {
      result: 200,
    });
    await say('there');
    await something(gateway);
    await until(() => elsewhere.events.length === 3, 'the word and a session');
    assert.deepEqual(
      elsewhere.events.map((e) => e.event.schema ?? e.event.name),
      ['there', 'created', 'destroyed'],
    );
    assert.ok(elsewhere.posts.every(({ json: body }) => !Array.isArray(body)));
    await sleep(STILL_MS);
    assert.equal(backend.posts.length, 1);
  });

  test('a wrong tweak is refused and changes nothing', async ({ run }) => {
    const { backend, say, tweak } = await run({ handler: ONLY_WORDS });
    for (const wrong of [
      { events: 5 },
      { grouping: 'x' },
      { backend: 'ftp://nowhere' },
      { max_retransmissions: -1 },
      { retransmissions_backoff: 'x' },
      { backend_user: 5 },
    ]) {
      assert.equal((await tweak(wrong)).error_code, 413, JSON.stringify(wrong));
    }
    await say('word');
    await heard(backend, ['word']);
  });
});

/** A test whose gateways and back ends end with it. */
function test(title, body, options = {}) {
  it(title, { timeout: TEST_MS, ...options }, async () => {
    const started = [];
    const backend = async (answer) => {
      const one = await startBackend({ answer: answer ?? refused(200) });
      started.unshift(one);
      return one;
    };
    const run = async ({ answer, ...settings }) => {
      const own = await backend(answer);
      const gateway = await startGateway(
        mergeSettings(eventSettings(own, settings), { janus: { general: { session_timeout: 0 } } }),
      );
      started.unshift(gateway);
      return { gateway, backend: own, say: (...list) => say(gateway, list), tweak: (change) => tweak(gateway, change) };
    };
    try {
      await body({ run, backend });
    } finally {
      for (const one of started) await one.stop();
    }
  });
}

const json = (message) => ({ method: 'POST', body: JSON.stringify(message) });

async function administer(gateway, message) {
  const answer = await (
    await fetch(gateway.admin.http, json({ admin_secret: ADMIN_SECRET, transaction: 't', ...message }))
  ).json();
  assert.equal(answer.janus, 'success', JSON.stringify(answer));
  return answer;
}

/** Words of the administrator, one after the other: names, or `{schema, data}`. */
async function say(gateway, list) {
  for (const word of list)
    await administer(gateway, {
      janus: 'custom_event',
      data: {},
      ...(typeof word === 'string' ? { schema: word } : word),
    });
}

async function tweak(gateway, change) {
  return (
    await administer(gateway, {
      janus: 'query_eventhandler',
      handler: HANDLER,
      request: { request: 'tweak', ...change },
    })
  ).response;
}

/** A session and a handle that come and go. */
async function something(gateway) {
  const ask = async (at, message) => (await fetch(gateway.http + at, json({ transaction: 't', ...message }))).json();
  const {
    data: { id: session },
  } = await ask('', { janus: 'create' });
  const {
    data: { id: handle },
  } = await ask(`/${session}`, { janus: 'attach', plugin: 'janus.plugin.echotest' });
  await ask(`/${session}/${handle}`, { janus: 'message', body: { audio: true } });
  // The message is handled in its own time.
  await sleep(50);
  await ask(`/${session}`, { janus: 'destroy' });
}

const words = (count) => Array.from({ length: count }, (_, i) => `word ${i}`);
const names = (backend) => backend.events.map((e) => e.event.schema);
const sizes = (backend) => `groups of ${backend.posts.map((post) => post.events.length)}`;
const basic = (text) => `Basic ${Buffer.from(text).toString('base64')}`;

/** The words that have come, when enough have: exactly these, in order. */
async function heard(backend, list) {
  await until(() => backend.events.length >= list.length, `${list.length} events, not ${backend.events.length}`);
  assert.deepEqual(names(backend), list);
}

async function until(holds, what, ms = 8_000) {
  const end = Date.now() + ms;
  while (!holds()) {
    if (Date.now() > end) assert.fail(`${what}: not within ${ms} ms`);
    await sleep(10);
  }
}

/** How many events the log says are given up; Janus tells only that a group is: here the first word and the others. */
function givenUp({ log }) {
  if (ORACLE) return log.split('event lost').length > 2 ? 3 : 0;
  const lines = log.split('\n').filter((line) => line.includes('events are given up'));
  return lines.reduce((sum, line) => sum + Number(/events=(\d+)/.exec(line)?.[1]), 0);
}
