// Janode, Janus' own adapter for Node, and its VideoRoom plugin: every request it has, over WebSockets, against a running
// gateway; then its client of the Admin API. GATEWAY=janus runs the same against the installed Janus.
//
// Janode turns what it does not know into an error, so a reply it gives back was one of Janus' form.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { ORACLE, startGateway } from '../browser/harness/gateway.mjs';
import { answerTo, audio, data, offer, video } from '../differential/offer.mjs';
import { Janode, VideoRoom } from './janode.mjs';

const TEST = { timeout: 30_000 };
const EVENT_MS = 5_000;

Janode.Logger.setLevel('none');

const refused = (code, text) => (error) => {
  assert.equal(error.message, `${code} ${text}`);
  return true;
};

describe('Janode', () => {
  let gateway;
  let connection;
  let session;
  before(async () => {
    gateway = await startGateway();
    connection = await Janode.connect({ is_admin: false, address: { url: gateway.ws } });
    session = await connection.create();
  });
  after(async () => {
    await connection?.close();
    await gateway?.stop();
  });

  const attach = () => session.attach(VideoRoom);
  /** A handle, and a room that ends with the test. */
  async function room(t, settings = {}) {
    const handle = await attach();
    const { room: id } = await handle.create(settings);
    t.after(async () => {
      await handle.destroy({ room: id, secret: settings.secret }).catch(() => {});
      await handle.detach();
    });
    return { admin: handle, room: id };
  }

  /** A room that publishes by itself, which Janode cannot ask for; `feed` is its publisher. */
  async function dummies(t, id, streams = [{ codec: 'opus' }, { codec: 'vp8' }]) {
    const handle = await attach();
    await handle.message({ request: 'create', room: id, dummy_publisher: true, dummy_streams: streams });
    t.after(() => handle.destroy({ room: id }).catch(() => {}));
    const { participants } = await handle.listParticipants({ room: id });
    return { admin: handle, room: id, feed: participants[0].feed };
  }

  async function subscriber(t, body) {
    const handle = await attach();
    t.after(() => handle.detach().catch(() => {}));
    return { handle, joined: await handle.joinListener(body) };
  }

  const heard = (handle, event) => new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event} within ${EVENT_MS} ms`)), EVENT_MS);
    handle.once(event, (told) => { clearTimeout(late); resolve(told); });
  });

  it('speaks with the gateway', TEST, async () => {
    const info = await connection.getInfo();
    assert.equal(info.janus, 'server_info');
    assert.ok('janus.plugin.videoroom' in info.plugins);
    assert.equal(info.name, ORACLE ? 'Janus WebRTC Server' : 'Portunus');
  });

  it('makes, lists, and ends rooms', TEST, async (t) => {
    const { admin, room: id } = await room(t, { room: 100, description: 'a room', max_publishers: 4, bitrate: 64000, audiocodec: 'opus,pcmu', videocodec: 'vp8,vp9', talking_events: true, notify_joining: true });
    assert.equal(id, 100);
    assert.equal((await admin.exists({ room: 100 })).exists, true);
    assert.equal((await admin.exists({ room: 101 })).exists, false);
    const { list } = await admin.list();
    const listed = list.find((item) => item.room === 100);
    assert.equal(listed.description, 'a room');
    assert.equal(listed.max_publishers, 4);
    assert.equal(listed.audiocodec, 'opus,pcmu');
    assert.equal(listed.num_participants, 0);
    await assert.rejects(admin.create({ room: 100 }), refused(427, 'Room 100 already exists'));
    const { room: drawn, permanent } = await admin.create({ secret: 'secret', is_private: true });
    assert.ok(Number.isSafeInteger(drawn) && drawn > 0);
    assert.equal(permanent, false);
    assert.ok(!(await admin.list()).list.some((item) => item.room === drawn));
    await assert.rejects(admin.destroy({ room: drawn }), refused(429, 'Missing mandatory element (secret)'));
    await assert.rejects(admin.destroy({ room: drawn, secret: 'x' }), refused(433, 'Unauthorized (wrong secret)'));
    assert.equal((await admin.destroy({ room: drawn, secret: 'secret' })).room, drawn);
    await assert.rejects(admin.destroy({ room: drawn }), refused(426, `No such room (${drawn})`));
  });

  it('joins, publishes, configures and leaves', TEST, async (t) => {
    const { admin } = await room(t, { room: 110, notify_joining: true, videocodec: 'vp8,vp9' });
    const [one, two] = [await attach(), await attach()];
    const joined = await one.joinPublisher({ room: 110, feed: 1, display: 'one' });
    assert.deepEqual([joined.room, joined.feed, joined.description, joined.publishers], [110, 1, 'Room 110', []]);
    assert.equal(typeof joined.private_id, 'number');
    const came = heard(one, VideoRoom.EVENT.VIDEOROOM_PUB_PEER_JOINED);
    await two.joinPublisher({ room: 110, feed: 2, display: 'two' });
    assert.deepEqual((({ feed, display }) => ({ feed, display }))(await came), { feed: 2, display: 'two' });

    await assert.rejects(one.joinPublisher({ room: 110 }), refused(425, 'Already in as a publisher on this handle'));
    const third = await attach();
    await assert.rejects(third.joinPublisher({ room: 110, feed: 2 }), refused(436, 'User ID 2 already exists'));
    await assert.rejects(third.joinPublisher({ room: 999 }), refused(426, 'No such room (999)'));

    const published = await one.publish({ audio: true, video: true, descriptions: [{ mid: '0', description: 'sound' }], jsep: offer(audio(), video(), data()) });
    assert.equal(published.configured, 'ok');
    assert.equal(published.jsep.type, 'answer');
    assert.deepEqual(published.streams.map(({ type, mid, codec, description }) => [type, mid, codec, description]), [
      ['audio', '0', 'opus', 'sound'], ['video', '1', 'vp8', undefined], ['data', '2', undefined, undefined]]);
    assert.match(published.jsep.sdp, /s=VideoRoom 110/);
    assert.match(published.jsep.sdp, /a=recvonly/);

    assert.equal((await one.configure({ bitrate: 128000, keyframe: true, audio: false })).configured, 'ok');
    const renamed = heard(two, VideoRoom.EVENT.VIDEOROOM_DISPLAY);
    await one.configure({ display: 'uno' });
    assert.deepEqual((({ feed, display }) => ({ feed, display }))(await renamed), { feed: 1, display: 'uno' });
    await assert.rejects(one.configure({ streams: [{ mid: '9', send: false }] }), refused(428, "No such mid '9' published"));

    const { participants } = await admin.listParticipants({ room: 110 });
    assert.deepEqual(participants.map(({ feed, display }) => [feed, display]).sort(), [[1, 'uno'], [2, 'two']]);
    await assert.rejects(two.unpublish(), refused(435, "Can't unpublish, not published"));

    const left = heard(one, VideoRoom.EVENT.VIDEOROOM_LEAVING);
    assert.equal((await two.leave()).feed, 2);
    assert.equal((await left).feed, 2);
    await assert.rejects(two.configure({}), refused(426, 'No such room'));
    for (const handle of [one, two, third]) await handle.detach();
  });

  it('joins and publishes in one', TEST, async (t) => {
    await room(t, { room: 120 });
    const one = await attach();
    const joined = await one.joinConfigurePublisher({ room: 120, feed: 1, bitrate: 64000, jsep: offer(audio(), video()) });
    assert.equal(joined.feed, 1);
    assert.equal(joined.jsep.type, 'answer');
    await one.hangup();
    await one.detach();
  });

  it('subscribes to feeds', TEST, async (t) => {
    const { room: id, feed } = await dummies(t, 130);
    const { handle, joined } = await subscriber(t, { room: id, streams: [{ feed, mid: '0' }, { feed, mid: '1' }] });
    assert.equal(joined.jsep.type, 'offer');
    assert.deepEqual(joined.streams.map(({ type, mid, feed_id, feed_mid, codec, ready }) => [type, mid, feed_id, feed_mid, codec, ready]), [
      ['audio', '0', feed, '0', 'opus', false], ['video', '1', feed, '1', 'vp8', false]]);
    assert.equal((await handle.start({ jsep: answerTo(joined.jsep) })).started, 'ok');
    assert.equal((await handle.pause()).paused, 'ok');
    assert.equal((await handle.start({})).started, 'ok');
    assert.equal((await handle.configure({ streams: [{ mid: '1', send: false }] })).configured, 'ok');

    const switched = await handle.switch({ streams: [{ feed, mid: '1', sub_mid: '1' }] });
    assert.equal(switched.switched, 'ok');
    assert.equal(switched.streams[1].feed_mid, '1');
    const more = await handle.update({ subscribe: [{ feed, mid: '1' }] });
    assert.equal(more.jsep.type, 'offer');
    assert.equal(more.streams.length, 3);
    await handle.start({ jsep: answerTo(more.jsep) });
    const fewer = await handle.update({ unsubscribe: [{ sub_mid: '1' }] });
    assert.equal(fewer.streams[1].active, false);
    await handle.start({ jsep: answerTo(fewer.jsep) });
    const restarted = await handle.configure({ restart: true });
    assert.equal(restarted.jsep.type, 'offer');
    await handle.start({ jsep: answerTo(restarted.jsep) });

    await assert.rejects(handle.update({ subscribe: [{ feed: 9 }] }), refused(428, 'No such feed (9)'));
    await assert.rejects(handle.configure({ streams: [{ mid: '9', send: true }] }), refused(428, "No such mid '9' in subscription"));
    await handle.leave();
  });

  it('subscribes in the old form', TEST, async (t) => {
    const { room: id, feed } = await dummies(t, 140);
    const { handle, joined } = await subscriber(t, { room: id, feed, offer_data: false });
    assert.equal(joined.feed, feed);
    assert.equal(joined.display, 'Dummy publisher');
    await handle.start({ jsep: answerTo(joined.jsep) });
    await handle.leave();
    await assert.rejects(subscriber(t, { room: id, feed: 9 }), refused(428, 'No such feed (9)'));
  });

  it('says who is allowed, and kicks', TEST, async (t) => {
    const { admin } = await room(t, { room: 150, secret: 'secret' });
    const sorted = ({ list }) => [...list].sort();
    assert.deepEqual(sorted(await admin.allow({ room: 150, action: 'add', list: ['a', 'b'], secret: 'secret' })), ['a', 'b']);
    assert.deepEqual(sorted(await admin.allow({ room: 150, action: 'remove', list: ['b'], secret: 'secret' })), ['a']);
    await admin.allow({ room: 150, action: 'enable', secret: 'secret' });
    const one = await attach();
    await assert.rejects(one.joinPublisher({ room: 150 }), refused(433, 'Unauthorized (not in the allowed list)'));
    await one.joinPublisher({ room: 150, feed: 1, token: 'a' });
    await assert.rejects(admin.kick({ room: 150, feed: 1 }), refused(429, 'Missing mandatory element (secret)'));
    await assert.rejects(admin.kick({ room: 150, feed: 9, secret: 'secret' }), refused(428, 'No such user 9 in room 150'));
    const told = heard(one, VideoRoom.EVENT.VIDEOROOM_LEAVING);
    await admin.kick({ room: 150, feed: 1, secret: 'secret' });
    assert.equal((await told).feed, 1);
    await one.detach();
  });

  it('moderates', TEST, async (t) => {
    const { admin } = await room(t, { room: 160 });
    const one = await attach();
    await one.joinConfigurePublisher({ room: 160, feed: 1, jsep: offer(audio()) });
    // Janode has no request of its own for it.
    const moderate = (over) => admin.message({ request: 'moderate', room: 160, id: 1, mid: '0', mute: true, ...over });
    assert.equal((await moderate()).plugindata.data.videoroom, 'success');
    await assert.rejects(moderate({ mid: '9' }), refused(428, 'No such stream 9'));
    await assert.rejects(moderate({ mute: 5 }), refused(430, 'Invalid element type (mute should be a boolean)'));
    await one.detach();
  });

  it('tells when a room ends', TEST, async (t) => {
    const { admin } = await room(t, { room: 170 });
    const one = await attach();
    await one.joinPublisher({ room: 170, feed: 1 });
    const told = heard(one, VideoRoom.EVENT.VIDEOROOM_DESTROYED);
    await admin.destroy({ room: 170 });
    assert.equal((await told).room, 170);
    await one.detach();
  });

  it('is told what is wrong with a forwarder', TEST, async (t) => {
    const { admin } = await room(t, { room: 180, secret: 'secret' });
    const forward = (over) => admin.startForward({ room: 180, feed: 1, host: '127.0.0.1', streams: [{ mid: '0', port: 5002 }], secret: 'secret', ...over });
    await assert.rejects(forward(), refused(428, 'No such feed (1)'));
    await assert.rejects(forward({ secret: 'x' }), refused(433, 'Unauthorized (wrong secret)'));
    await assert.rejects(forward({ host: undefined }), refused(429, 'Missing mandatory element (host)'));
    await assert.rejects(forward({ room: 999 }), refused(426, 'No such room (999)'));
    await assert.rejects(admin.stopForward({ room: 180, feed: 1, stream: 5, secret: 'secret' }), refused(428, 'No such feed (1)'));
    assert.deepEqual((await admin.listForward({ room: 180, secret: 'secret' })).forwarders, []);
  });
});

describe("Janode's admin client", () => {
  const SECRET = 'operators only';
  let gateway;
  let connection;
  let admin;
  let session;
  const connect = (apisecret) => Janode.connect({ is_admin: true, address: { url: gateway.admin.ws, apisecret } });
  before(async () => {
    gateway = await startGateway({ janus: { general: { admin_secret: SECRET } } });
    connection = await Janode.connect({ is_admin: false, address: { url: gateway.ws } });
    session = await connection.create();
    admin = await connect(SECRET);
  });
  after(async () => {
    await admin?.close();
    await connection?.close();
    await gateway?.stop();
  });

  it('lists sessions as they come and go', TEST, async () => {
    const { janus, sessions } = await admin.listSessions();
    assert.deepEqual([janus, sessions], ['success', [session.id]]);
    const another = await connection.create();
    const both = (await admin.listSessions()).sessions;
    assert.deepEqual(both.sort(), [session.id, another.id].sort());
    await another.destroy();
    assert.deepEqual((await admin.listSessions()).sessions, [session.id]);
  });

  it('lists handles and tells what one of them does', TEST, async () => {
    const handle = await session.attach(VideoRoom);
    const { session_id, handles } = await admin.listHandles(session.id);
    assert.deepEqual([session_id, handles], [session.id, [handle.id]]);
    await handle.create({ room: 190 });
    await handle.joinPublisher({ room: 190, feed: 7, display: 'one' });
    const told = await admin.handleInfo(session.id, handle.id);
    assert.deepEqual([told.session_id, told.handle_id], [session.id, handle.id]);
    assert.equal(told.info.plugin, 'janus.plugin.videoroom');
    const { room, id, display } = told.info.plugin_specific;
    assert.deepEqual([room, id, display], [190, 7, 'one']);
    await handle.destroy({ room: 190 });
    await handle.detach();
    assert.deepEqual((await admin.listHandles(session.id)).handles, []);
    const gone = refused(459, `No such handle ${handle.id} in session ${session.id}`);
    await assert.rejects(admin.handleInfo(session.id, handle.id), gone);
  });

  it('speaks with the gateway', TEST, async () => {
    assert.ok('janus.plugin.videoroom' in (await admin.getInfo()).plugins);
    await assert.rejects(admin.listHandles(1), refused(458, 'No such session 1'));
  });

  it('is refused with a wrong secret, and with none', TEST, async (t) => {
    const unauthorized = refused(403, 'Unauthorized request (wrong or missing secret/token)');
    for (const secret of ['wrong', undefined]) {
      const stranger = await connect(secret);
      t.after(() => stranger.close());
      await assert.rejects(stranger.listSessions(), unauthorized);
    }
  });
});
