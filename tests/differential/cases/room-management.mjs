// Rooms of the VideoRoom plugin: made, changed, listed, ended; who may, and what each field may be.

import { Party, settle } from '../party.mjs';

const CREATE_FLAGS = ['is_private', 'permanent', 'require_pvtid', 'signed_tokens', 'require_e2ee', 'bitrate_cap', 'opus_fec', 'opus_dtx',
  'audiolevel_ext', 'audiolevel_event', 'videoorient_ext', 'playoutdelay_ext', 'transport_wide_cc_ext', 'record', 'lock_record',
  'notify_joining', 'dummy_publisher'];
const CREATE_NUMBERS = ['publishers', 'bitrate', 'fir_freq', 'audio_active_packets', 'audio_level_average'];
const CREATE_TEXTS = ['description', 'secret', 'pin', 'audiocodec', 'videocodec', 'vp9_profile', 'h264_profile', 'rec_dir', 'admin_key'];
const NOT_FLAG = ['x', 1, null];
const NOT_NUMBER = ['x', -1, 1.5, true, null];
const NOT_TEXT = [5, true, {}];
const ALL_SYNC = ['edit', 'destroy', 'exists', 'allowed', 'kick', 'moderate', 'enable_recording', 'listparticipants', 'listforwarders',
  'rtp_forward', 'stop_rtp_forward', 'publish_remotely', 'unpublish_remotely', 'listremotes', 'add_remote_publisher',
  'update_remote_publisher', 'remove_remote_publisher'];

export default {
  'requests that are none': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const body of [{}, { request: 5 }, { request: null }, { request: '' }, { request: 'foo' }, { request: 'FOO' }, { request: 'list_remotes' },
      { request: 'CREATE', room: 900 }, { request: 'Exists', room: 900 }, { request: 'DESTROY', room: 900 }, { janus: 'x', request: {} }]) await p.ask(body);
    for (const body of ['x', 5, [], null, true]) await p.ask(body);
    await p.verb({ janus: 'message' }, 'a message without a body');
  },

  'a room is made': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const name of CREATE_FLAGS) for (const wrong of NOT_FLAG) await p.ask({ request: 'create', room: 901, [name]: wrong });
    for (const name of CREATE_NUMBERS) for (const wrong of NOT_NUMBER) await p.ask({ request: 'create', room: 901, [name]: wrong });
    for (const name of CREATE_TEXTS) for (const wrong of NOT_TEXT) await p.ask({ request: 'create', room: 901, [name]: wrong });
    for (const allowed of ['x', 5, {}, null, [5], ['a', 5], [null]]) await p.ask({ request: 'create', room: 901, allowed });
    for (const dummy_streams of ['x', {}, null, [], [5], [{}], [{ codec: 5 }], [{ codec: 'nonsense' }], [{ codec: 'opus', fmtp: 5 }]]) {
      await p.ask({ request: 'create', room: 902, dummy_publisher: true, dummy_streams });
      await p.ask({ request: 'listparticipants', room: 902 });
      await p.ask({ request: 'destroy', room: 902 });
    }
    for (const room of ['x', '5', -1, 1.5, true, null, {}]) await p.ask({ request: 'create', room });
    await p.ask({ request: 'exists', room: 901 });
    await p.ask({ request: 'destroy', room: 901 });
    await settle(c);
  },

  'fields of create': async (c) => {
    const p = await Party.enter(c, 'p');
    const drawn = [];
    for (const body of [
      {}, { room: 0 }, { room: 910 }, { room: 910 }, { room: 911, description: '' }, { room: 912, description: 'with a name', publishers: 0, bitrate: 1 },
      { room: 913, bitrate: 63999, bitrate_cap: true, fir_freq: 10, publishers: 100 }, { room: 914, is_private: true, pin: 'p', secret: 's' },
      { room: 915, allowed: [] }, { room: 916, allowed: ['a', 'b', 'a'] }, { room: 917, audiocodec: 'opus,pcmu,pcma', videocodec: 'vp8,vp9,h264' },
      { room: 918, audiocodec: 'nonsense' }, { room: 918, videocodec: 'nonsense' }, { room: 918, audiocodec: 'opus,nonsense' }, { room: 918, videocodec: 'vp8,nonsense' },
      { room: 918, audiocodec: '' }, { room: 919, videocodec: '' }, { room: 920, audiocodec: 'opus, pcmu' }, { room: 921, audiocodec: 'OPUS' },
      { room: 922, audiocodec: 'opus,opus' }, { room: 923, videocodec: 'vp8,vp9,h264,av1,h265' }, { room: 924, videocodec: 'vp8,vp9,h264,av1,h265,vp8' },
      { room: 925, audiocodec: 'multiopus,isac32,isac16,pcmu,pcma,g722' }, { room: 926, audiocodec: 'l16' }, { room: 927, audiocodec: 'l16-48' }, { room: 928, audiocodec: 'g722' },
      { room: 929, opus_fec: false, opus_dtx: true, audiolevel_ext: false, audiolevel_event: true, audio_active_packets: 50, audio_level_average: 30 },
      { room: 930, videoorient_ext: false, playoutdelay_ext: false, transport_wide_cc_ext: false, notify_joining: true, require_pvtid: true, require_e2ee: true },
      { room: 931, record: true, rec_dir: 'recordings', lock_record: true, secret: 's' }, { room: 932, audio_active_packets: 0, audio_level_average: 0 },
      { room: 933, audio_level_average: 127 }, { room: 934, audio_level_average: 128, audiolevel_event: true }, { room: 935, fir_freq: 0, bitrate: 64000, threads: 2 },
      { room: 936, video_svc: true, videocodec: 'vp9' }, { room: 937, vp9_profile: '0', videocodec: 'vp9' }, { room: 938, vp9_profile: '7', videocodec: 'vp9' },
      { room: 939, h264_profile: '42e01f', videocodec: 'h264' }, { room: 940, h264_profile: 'x', videocodec: 'h264' }, { room: 941, vp9_profile: '0' },
      { room: 942, signed_tokens: true }, { room: 943, nonsense: true }, { room: 944, permanent: false }, { room: 9007199254740991 }, { room: 945, dummy_publisher: true },
      { room: 946, admin_key: 'unasked' }, { room: 947, bitrate: 4294967295 },
      { room: 949, secret: '', pin: '' },
    ]) {
      const { room } = await p.ask({ request: 'create', ...body });
      if (room > 999) drawn.push(room);
    }
    await p.ask({ request: 'listparticipants', room: 914 });
    await p.ask({ request: 'exists', room: 914 });
    for (const room of drawn) await p.ask({ request: 'destroy', room }, { quiet: true });
    await p.ask({ request: 'list' });
    for (const body of [{ admin_key: 'x' }, { admin_key: 5 }]) await p.ask({ request: 'list', ...body });
    for (let room = 910; room < 950; room += 1) await p.ask({ request: 'destroy', room, secret: 's' });
    await p.ask({ request: 'list' });
  },

  'which room': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 950 });
    for (const room of [undefined, 'x', -1, 0, 1.5, null, 77, 950]) {
      for (const request of ALL_SYNC.filter((name) => name !== 'destroy')) await p.ask({ request, room });
      for (const request of ['kick', 'moderate', 'enable_recording', 'allowed', 'listforwarders', 'stop_rtp_forward', 'listremotes', 'destroy'].slice(0, room === 950 ? -1 : 8)) {
        await p.ask({ request, room, id: 9, mid: '0', mute: true, record: false, action: 'add', publisher_id: 9, stream_id: 1 });
      }
    }
    await p.ask({ request: 'list' });
    await p.ask({ request: 'create', room: 951, secret: 'opensesame' });
    for (const request of ALL_SYNC) {
      const rest = { id: 1, mid: '0', mute: true, record: false, action: 'add', publisher_id: 1, host: '127.0.0.1', stream_id: 1, remote_id: 'r', port: 5000, streams: [{ mid: '0', port: 5000, type: 'audio', codec: 'opus' }] };
      if (/remote/.test(request) && request !== 'listremotes') continue;
      for (const secret of [undefined, 'wrong', 5, null, '']) await p.ask({ request, room: 951, ...rest, secret });
    }
    await p.ask({ request: 'exists', room: 951 });
    await p.ask({ request: 'destroy', room: 951, secret: 'opensesame', permanent: 'x' });
    await p.ask({ request: 'destroy', room: 951, secret: 'opensesame', permanent: false });
    await p.ask({ request: 'destroy', room: 951, secret: 'opensesame' });
    await p.ask({ request: 'destroy', room: 950 });
  },

  'a room is edited': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 960 });
    const fields = {
      new_description: NOT_TEXT, new_secret: NOT_TEXT, new_pin: NOT_TEXT, new_rec_dir: NOT_TEXT, new_is_private: NOT_FLAG, new_require_pvtid: NOT_FLAG,
      new_lock_record: NOT_FLAG, new_bitrate: NOT_NUMBER, new_fir_freq: NOT_NUMBER, new_publishers: NOT_NUMBER, permanent: NOT_FLAG,
    };
    for (const [name, wrongs] of Object.entries(fields)) for (const wrong of wrongs) await p.ask({ request: 'edit', room: 960, [name]: wrong });
    await p.ask({ request: 'list' });
    for (const body of [{}, { new_description: 'another' }, { new_description: '' }, { new_is_private: true }, { new_is_private: false }, { new_require_pvtid: true }, { new_bitrate: 5 },
      { new_bitrate: 128000 }, { new_fir_freq: 5 }, { new_publishers: 0 }, { new_publishers: 9 }, { new_lock_record: true }, { new_rec_dir: '/tmp/rec' }, { new_pin: 'p' }, { new_pin: '' },
      { new_secret: 's' }]) {
      await p.ask({ request: 'edit', room: 960, ...body });
      await p.ask({ request: 'list' });
    }
    await p.ask({ request: 'edit', room: 960, new_secret: 't' });
    await p.ask({ request: 'edit', room: 960, secret: 's', new_secret: '' });
    await p.ask({ request: 'edit', room: 960, secret: 's', new_secret: 't' });
    await p.ask({ request: 'destroy', room: 960, secret: 's' });
    await p.ask({ request: 'destroy', room: 960, secret: 't' });
  },

  'who is allowed': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 970 });
    for (const body of [
      {}, { action: 5 }, { action: 'foo' }, { action: 'foo', allowed: ['a'] }, { action: 'add' }, { action: 'add', allowed: 'x' }, { action: 'add', allowed: [5] }, { action: 'add', allowed: ['a', 5] },
      { action: 'add', allowed: [] }, { action: 'add', allowed: ['a'] }, { action: 'enable' }, { action: 'add', allowed: ['b', 'c'] }, { action: 'remove' }, { action: 'remove', allowed: ['b', 'nobody'] },
      { action: 'remove', allowed: [5] }, { action: 'enable', allowed: ['z'] }, { action: 'ENABLE' }, { action: 'disable' }, { action: 'disable', allowed: ['x'] }, { action: 'remove', allowed: ['a'] }, { action: 'enable' },
    ]) await p.ask({ request: 'allowed', room: 970, ...body });
    const q = await Party.enter(c, 'q');
    for (const token of [undefined, 'a', 5, '', 'z', 'c']) await q.ask({ request: 'join', ptype: 'publisher', room: 970, id: 5, token });
    await settle(c);
    await p.ask({ request: 'destroy', room: 970 });
    await settle(c);
  },

  'kick, moderate, recording': async (c) => {
    const [p, q, r] = [await Party.enter(c, 'p'), await Party.enter(c, 'q'), await Party.enter(c, 'r')];
    await p.ask({ request: 'create', room: 980, notify_joining: true });
    await q.ask({ request: 'join', ptype: 'publisher', room: 980, id: 5, display: 'five' });
    await r.ask({ request: 'join', ptype: 'publisher', room: 980, id: 6 });
    await settle(c);
    await p.ask({ request: 'listparticipants', room: 980 });
    for (const id of [undefined, 'x', -1, 0, null, 99]) {
      await p.ask({ request: 'kick', room: 980, id });
      await p.ask({ request: 'moderate', room: 980, id, mid: '0', mute: true });
    }
    for (const body of [{}, { mid: 5 }, { mid: '0' }, { mute: true }, { mid: '0', mute: 'x' }, { mid: '0', mute: 1 }, { mid: '9', mute: true }]) await p.ask({ request: 'moderate', room: 980, id: 5, ...body });
    for (const record of [undefined, 'x', 1, null, false, false, true, true, false]) await p.ask({ request: 'enable_recording', room: 980, record });
    await p.ask({ request: 'kick', room: 980, id: 5 });
    await settle(c);
    for (const request of ['configure', 'publish', 'unpublish', 'leave', 'join', 'joinandconfigure', 'start', 'subscribe']) await q.ask({ request, room: 980, ptype: 'publisher' });
    await p.ask({ request: 'kick', room: 980, id: 5 });
    await p.ask({ request: 'listparticipants', room: 980 });
    await settle(c);
    await p.ask({ request: 'destroy', room: 980 });
    await settle(c);
    for (const request of ['configure', 'publish', 'unpublish', 'leave', 'join']) await r.ask({ request, room: 980, ptype: 'publisher' });
    await settle(c);
  },
};
