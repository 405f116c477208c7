// A softphone: a name, who else is online, calls one to one by way of janus.js and the video call plugin.
//
// `?server=` names another address of the Janus API (http, https, ws or wss) than that of the page's own gateway; `?name=` goes
// online at once, `?call=` calls somebody then.

import {
  $, connect, deviceProblem, hideAlert, kilobits, log, make, milliseconds, pageProblem, serverAddress, setState, showAlert, words,
} from './page.js';
import { frames, rates, roundTrip, sample, size } from './connection-stats.js';

const STATS_EVERY_MS = 1000;
const PEOPLE_EVERY_MS = 3000;
const AGAIN_AFTER_MS = [500, 1000, 2000, 5000, 10_000];
const PATIENCE_MS = 15_000;
/** As long a gateway may take to find out that a former session is dead, its name is taken. */
const NAME_FREE_MS = 90_000;
/** What is still told of a call that has ended comes within this time. */
const ENDING_MS = 1000;

const chart = new Chart($('chart'));
/** `attempt` numbers sessions, so that what a former one says is not heard; `tries` are those since a session was lost, at `lostAt`. */
const phone = { janus: null, handle: null, name: '', people: null, again: null, attempt: 0, tries: 0, lostAt: 0, endedAt: 0 };
/** The call that is on: nothing, or with whom, and the offer that waits while it rings here. */
let call = null;

// --- online and offline ---

async function goOnline() {
  hideAlert();
  const amiss = pageProblem();
  if (amiss) return showAlert(amiss.title, amiss.text);
  phone.name = $('name').value.trim();
  if (!phone.name) return undefined;
  setState('busy', 'Connecting');
  $('register').disabled = true;
  return enter();
}

async function enter() {
  const attempt = (phone.attempt += 1);
  const isOver = () => phone.attempt !== attempt;
  try {
    const connecting = connect($('server').value.trim(), (reason) => { if (!isOver()) lost(reason); });
    // One that comes too late is not left behind.
    connecting.then((janus) => { if (isOver()) janus.destroy({ cleanupHandles: true }); }, () => {});
    const janus = await inTime(connecting);
    if (isOver()) return;
    phone.janus = janus;
    const handle = await inTime(attach(janus, isOver));
    if (isOver()) return;
    phone.handle = handle;
    tell({ request: 'register', username: phone.name });
  } catch (problem) {
    if (!isOver()) refused(problem);
  }
}

function inTime(promise) {
  const problem = { title: 'The gateway does not answer', text: `Not within ${PATIENCE_MS / 1000} seconds.` };
  return Promise.race([promise, new Promise((_, reject) => { setTimeout(() => reject(problem), PATIENCE_MS); })]);
}

/** The session has ended by itself: the gateway has (one that drains says so to whoever is in no call), or the network was away. */
function lost(reason) {
  log(`the session is over: ${reason}`);
  if (!phone.people && phone.tries === 0) return fail({ title: 'The gateway is gone', text: reason });
  if (call?.up) showAlert('The call is over', reason);
  return comeBack();
}

function refused(problem) {
  if (phone.tries === 0) return fail(problem);
  log(`${problem.title}: ${problem.text}`);
  return comeBack();
}

function comeBack() {
  forgetSession();
  setState('busy', 'Going online again');
  if (phone.tries === 0) phone.lostAt = Date.now();
  const after = AGAIN_AFTER_MS[Math.min(phone.tries, AGAIN_AFTER_MS.length - 1)];
  // A gateway that goes has many phones, which are not to come all at once.
  phone.again = setTimeout(enter, after * (0.5 + Math.random()));
  phone.tries += 1;
}

function attach(janus, isOver) {
  return new Promise((resolve, reject) => {
    janus.attach({
      plugin: 'janus.plugin.videocall',
      opaqueId: `videocall-${Janus.randomString(12)}`,
      success: (handle) => { log('attached to the video call plugin'); resolve(handle); },
      error: (reason) => reject({ title: 'No video calls here', text: `The gateway refused it: ${words(reason)}` }),
      consentDialog: (asking) => { if (asking) setState('busy', 'Waiting for your permission'); else showCallState(); },
      onmessage: (message, jsep) => { if (!isOver()) onMessage(message, jsep); },
      onlocaltrack: onOwnTrack,
      onremotetrack: onTheirTrack,
      webrtcState: onWebrtc,
      iceState: (state) => log(`ICE ${state}`),
      mediaState: (medium, receiving, mid) => log(`the gateway ${receiving ? 'receives' : 'no longer receives'} ${medium} (${mid})`),
      slowLink: (uplink, lost) => log(`slow link: ${lost} packets lost ${uplink ? 'on the way to' : 'from'} the gateway`),
      ondataopen: () => { setChat(true); log('data channel open'); },
      ondata: (text) => addLine(text, 'theirs'),
      oncleanup: clearStage,
      ondetached: () => { if (!isOver()) lost('the gateway detached this handle'); },
    });
  });
}

function forgetSession() {
  const { janus, people, again } = phone;
  Object.assign(phone, { janus: null, people: null, again: null, attempt: phone.attempt + 1 });
  endCall();
  phone.handle = null;
  clearInterval(people);
  clearTimeout(again);
  if (janus) janus.destroy({ cleanupHandles: true });
  showPeople([]);
}

function goOffline() {
  phone.tries = 0;
  forgetSession();
  $('register-form').hidden = false;
  $('phone').hidden = true;
  $('register').disabled = false;
  setState('idle', 'Not connected');
}

function fail(problem) {
  goOffline();
  setState('failed', 'Failed');
  showAlert(problem.title ?? 'Something went wrong', problem.text ?? words(problem));
}

const GONE = /^(458|459)\b/;

function tell(message, jsep) {
  const { handle } = phone;
  handle?.send({
    message,
    jsep,
    error: (reason) => {
      if (phone.handle !== handle) return undefined;
      if (!phone.people) return refused({ title: 'Not online', text: words(reason) });
      return GONE.test(words(reason)) ? lost(words(reason)) : showAlert('The gateway refused that', words(reason));
    },
  });
}

// --- what the plugin says ---

const TOLD = {
  registered: () => {
    $('phone-title').textContent = `You are ${phone.name}`;
    $('register-form').hidden = true;
    $('phone').hidden = false;
    phone.tries = 0;
    setState('up', 'Online');
    askWhoIsThere();
    phone.people = setInterval(askWhoIsThere, PEOPLE_EVERY_MS);
    const whom = new URLSearchParams(location.search).get('call');
    if (whom && !phone.called) ring(whom);
    phone.called = true;
  },
  calling: () => showCallState(),
  incomingcall: ({ username }, jsep) => {
    call = { with: username, offer: jsep, up: false };
    $('ringing-title').textContent = `${username} is calling`;
    $('ringing').hidden = false;
    $('accept').focus();
    showCallState();
    if ('Notification' in window && Notification.permission === 'granted') new Notification(`${username} is calling`);
  },
  accepted: ({ username }, jsep) => {
    log(username ? `${username} answered` : 'you answered');
    if (jsep) take(jsep);
  },
  update: (_, jsep) => (jsep?.type === 'offer' ? answer(jsep, [], 'set') : take(jsep)),
  hangup: ({ username, reason }) => {
    if (!call || call.waits) return;
    const whom = call.with;
    // Of the call before.
    if (username && username !== whom && username !== phone.name) return;
    if (username !== phone.name) log(`${username ?? whom} hung up: ${reason}`);
    const busy = reason === 'User busy';
    endCall();
    if (busy) showAlert(`${whom} is busy`, 'Try again later.');
  },
  slow_link: ({ media }) => log(`slow link: ${media}`),
  set: () => {},
};

function onMessage(message, jsep) {
  if (message.error) {
    log(`error ${message.error_code}: ${message.error}`);
    const problem = { title: 'Not online', text: message.error };
    if (message.error_code === 476 && Date.now() > phone.lostAt + NAME_FREE_MS) return fail(problem);
    if (!phone.people) return refused(problem);
    endCall();
    return showAlert('No call', message.error);
  }
  const { result } = message;
  if (result.list) return showPeople(result.list);
  log(`plugin: ${Object.entries(result).map((pair) => pair.join(' ')).join(', ')}`);
  return TOLD[result.event]?.(result, jsep);
}

const take = (jsep) => phone.handle.handleRemoteJsep({ jsep, error: (error) => hangUp(`The answer does not fit: ${words(error)}`) });

// --- who is there ---

function askWhoIsThere() {
  if (!call) tell({ request: 'list' });
}

function showPeople(names) {
  const others = names.filter((name) => name !== phone.name).sort((a, b) => a.localeCompare(b));
  const shown = [...$('people').children].map((item) => item.dataset.name);
  $('nobody').hidden = others.length > 0;
  if (others.join('\n') === shown.join('\n')) return;
  $('people').replaceChildren(...others.map((name) => {
    const button = make('button', { class: 'button slim', type: 'button', 'aria-label': `Call ${name}` }, 'Call');
    button.addEventListener('click', () => ring(name));
    return make('li', { 'data-name': name }, make('span', { title: name }, name), button);
  }));
}

// --- a call ---

const TRACKS = { sound: { type: 'audio', capture: true, recv: true }, picture: { type: 'video', capture: true, recv: true }, messages: { type: 'data' } };

function ring(name) {
  if (call || !phone.handle) return;
  hideAlert();
  call = { with: name, offer: null, up: false, waits: true };
  showStage();
  const mine = call;
  setTimeout(() => { if (call === mine) dial(mine); }, Math.max(0, phone.endedAt + ENDING_MS - Date.now()));
}

function dial(mine) {
  const { with: name } = mine;
  mine.waits = false;
  phone.handle.createOffer({
    tracks: [TRACKS.sound, TRACKS.picture, TRACKS.messages],
    success: (jsep) => { if (call === mine) tell({ request: 'call', username: name }, jsep); },
    error: (error) => { if (call === mine) giveUp(error); },
  });
}

function accept(withPicture) {
  const { offer } = call;
  call.taken = true;
  $('ringing').hidden = true;
  showStage();
  const picture = withPicture ? TRACKS.picture : { type: 'video', recv: true };
  answer(offer, [TRACKS.sound, picture, TRACKS.messages], 'accept');
}

function answer(jsep, tracks, request) {
  const mine = call;
  const wanted = tracks.filter(({ type }) => new RegExp(`^m=${type === 'data' ? 'application' : type} `, 'm').test(jsep.sdp));
  phone.handle.createAnswer({
    jsep,
    tracks: wanted,
    success: (ours) => { if (call === mine) tell({ request }, ours); },
    error: (error) => { if (call === mine) giveUp(error); },
  });
}

function giveUp(error) {
  const problem = deviceProblem(error);
  hangUp(problem.title);
  showAlert(problem.title, problem.text);
}

function hangUp(reason) {
  tell(reason ? { request: 'hangup', reason } : { request: 'hangup' });
  endCall();
}

function endCall() {
  clearInterval(call?.timer);
  if (call && !call.waits) phone.endedAt = Date.now();
  call = null;
  phone.handle?.hangup();
  $('ringing').hidden = true;
  $('talk').hidden = true;
  if (document.fullscreenElement) document.exitFullscreen();
  clearStage();
  if (phone.people) setState('up', 'Online');
  for (const id of ['call-form', 'people']) $(id).hidden = false;
  if (phone.people) askWhoIsThere();
}

function onWebrtc(up, reason) {
  log(up ? 'call is up' : `call is down: ${reason ?? 'no reason given'}`);
  // What is down may be the call before.
  if (!call || call.waits || (!up && call.offer && !call.taken)) return;
  if (!up) {
    endCall();
    return;
  }
  call.up = true;
  showCallState();
  for (const id of ['microphone', 'camera']) $(id).disabled = false;
  call.timer = setInterval(() => look().catch((error) => log(`statistics: ${error.message}`)), STATS_EVERY_MS);
}

function showCallState() {
  if (!call) return phone.people ? setState('up', 'Online') : undefined;
  if (call.up) return setState('up', `In a call with ${call.with}`);
  return setState('busy', call.offer ? `${call.with} is calling` : `Calling ${call.with}`);
}

// --- the stage ---

const streams = { own: new MediaStream(), theirs: new MediaStream() };

function showStage() {
  $('talk').hidden = false;
  $('theirs-name').textContent = call.with;
  $('theirs-empty').textContent = call.offer ? `Waiting for the picture of ${call.with}` : `Calling ${call.with} …`;
  $('lines').replaceChildren(make('p', { class: 'hint' }, 'Messages go over the data channel of the call.'));
  for (const id of ['call-form', 'people']) $(id).hidden = true;
  chart.draw();
  showCallState();
}

function clearStage() {
  for (const [id, stream] of Object.entries(streams)) {
    stream.getTracks().forEach((track) => { stream.removeTrack(track); });
    $(id).srcObject = null;
    $(`${id}-empty`).hidden = false;
    $(`${id}-size`).hidden = $(`${id}-rate`).hidden = true;
  }
  for (const id of ['microphone', 'camera']) Object.assign($(id), { checked: true, disabled: true });
  document.querySelectorAll('.figures dd').forEach((figure) => { figure.textContent = '–'; });
  setChat(false);
}

function onOwnTrack(track, on) {
  put('own', track, on);
}

function onTheirTrack(track, mid, on, about) {
  log(`their ${track.kind} ${on ? 'on' : 'off'} (${about?.reason ?? mid})`);
  put('theirs', track, on);
  if (!$('theirs-empty').hidden && call) $('theirs-empty').textContent = `${call.with} sends no picture`;
  $('theirs').play().catch(() => log('the browser waits for a click before it plays'));
}

function put(id, track, on) {
  const stream = streams[id];
  const has = stream.getTracks().includes(track);
  if (on && !has) stream.addTrack(track);
  if (!on && has) stream.removeTrack(track);
  if ($(id).srcObject !== stream) $(id).srcObject = stream;
  $(`${id}-empty`).hidden = stream.getVideoTracks().length > 0;
}

/** What is switched off neither leaves this browser nor goes on from the gateway. */
function mute(kind, on) {
  const verb = { audio: on ? 'unmuteAudio' : 'muteAudio', video: on ? 'unmuteVideo' : 'muteVideo' }[kind];
  phone.handle[verb]();
  tell({ request: 'set', [kind]: on });
}

// --- figures and messages ---

async function look() {
  const pc = phone.handle?.webrtcStuff.pc;
  if (!pc || !call) return;
  const [mine, now] = [call, await sample(pc)];
  if (call !== mine) return;
  show(now, call.before);
  call.before = now;
}

function show(now, before) {
  const trip = roundTrip(now);
  if (before) {
    const [inRate, outRate] = rates(before, now);
    chart.add(now.at, inRate, trip);
    $('figure-in').textContent = kilobits(inRate);
    $('figure-out').textContent = kilobits(outRate);
    badge('theirs-rate', kilobits(inRate));
    badge('own-rate', kilobits(outRate));
  }
  if (now.video?.frameWidth) badge('theirs-size', `${size(now.video)}, ${frames(now.video)} fps`);
  if (now.sent?.frameWidth) badge('own-size', `${size(now.sent)}, ${frames(now.sent)} fps`);
  $('figure-rtt').textContent = milliseconds(trip);
  $('figure-lost').textContent = String(now.lost);
  $('figure-codecs').textContent = now.codecs.join(', ') || '–';
  if (now.remote) $('figure-path').textContent = `${now.remote.protocol} ${now.remote.address ?? now.remote.ip ?? ''}`;
}

function badge(id, text) {
  $(id).hidden = false;
  $(id).textContent = text;
}

function setChat(open) {
  $('chat-text').disabled = $('chat-send').disabled = !open;
}

function addLine(text, whose) {
  $('lines').querySelector('.hint')?.remove();
  $('lines').append(make('p', { class: whose }, text));
  $('lines').scrollTop = $('lines').scrollHeight;
}

function send() {
  const text = $('chat-text').value.trim();
  if (!text || !call) return;
  phone.handle.data({ text, error: (reason) => showAlert('Not sent', words(reason)) });
  addLine(text, 'mine');
  $('chat-text').value = '';
}

// --- the page ---

function prepare() {
  const wanted = new URLSearchParams(location.search);
  $('server').value = serverAddress();
  $('name').value = wanted.get('name') ?? '';
  const submits = (form, what) => $(form).addEventListener('submit', (event) => { event.preventDefault(); what(); });
  submits('register-form', goOnline);
  submits('call-form', () => ring($('whom').value.trim()));
  submits('chat-form', send);
  $('leave').addEventListener('click', goOffline);
  $('accept').addEventListener('click', () => accept(true));
  $('accept-sound').addEventListener('click', () => accept(false));
  $('decline').addEventListener('click', () => hangUp('Declined'));
  $('hang-up').addEventListener('click', () => hangUp());
  $('microphone').addEventListener('change', (event) => mute('audio', event.target.checked));
  $('camera').addEventListener('change', (event) => mute('video', event.target.checked));
  $('full').addEventListener('click', () => $('stage').requestFullscreen().catch((error) => showAlert('No full screen', words(error))));
  $('alert-close').addEventListener('click', hideAlert);
  window.addEventListener('pagehide', () => { if (call) tell({ request: 'hangup' }); });
  if (wanted.get('name')) goOnline();
}

prepare();
