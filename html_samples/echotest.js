// The echo test: a call with the echo plugin by way of janus.js, its switches, and what getStats says about it.
//
// `?server=` names another address of the Janus API (http, https, ws or wss) than that of the page's own gateway.

import {
  $, connect, deviceProblem, hideAlert, kilobits, log, milliseconds, pageProblem, serverAddress, setState, showAlert, words,
} from './page.js';
import { frames, rates, roundTrip, sample, size } from './connection-stats.js';

const SIZES = { low: 4, middle: 2, high: 1 };
const STATS_EVERY_MS = 1000;

const chart = new Chart($('chart'));
const call = { janus: null, handle: null, own: new MediaStream(), echo: new MediaStream(), timer: null, before: null };

// --- start and end ---

async function start() {
  hideAlert();
  const amiss = pageProblem();
  if (amiss) return showAlert(amiss.title, amiss.text);
  setState('busy', 'Connecting');
  setRunning(true);
  try {
    call.janus = await connect($('server').value.trim(), (reason) => fail({ title: 'The gateway is gone', text: reason }));
    await attach();
    await offer({ tracks: tracks() });
    call.timer = setInterval(() => look().catch((error) => log(`statistics: ${error.message}`)), STATS_EVERY_MS);
  } catch (problem) {
    fail(problem);
  }
}

function attach() {
  return new Promise((resolve, reject) => {
    call.janus.attach({
      plugin: 'janus.plugin.echotest',
      opaqueId: `echotest-${Janus.randomString(12)}`,
      success: (handle) => { call.handle = handle; log('attached to the echo plugin'); resolve(); },
      error: (reason) => reject({ title: 'No echo plugin', text: `The gateway refused it: ${words(reason)}` }),
      consentDialog: (asking) => { if (asking) setState('busy', 'Waiting for your permission'); },
      onmessage: onMessage,
      onlocaltrack: onOwnTrack,
      onremotetrack: onEchoTrack,
      webrtcState: onWebrtc,
      iceState: (state) => log(`ICE ${state}`),
      mediaState: (medium, receiving, mid) => log(`the gateway ${receiving ? 'receives' : 'no longer receives'} ${medium} (${mid})`),
      slowLink: (uplink, lost) => log(`slow link: ${lost} packets lost ${uplink ? 'on the way to' : 'from'} the gateway`),
      ondataopen: () => { setChat(true); log('data channel open'); },
      ondata: (text) => addLine(text, 'theirs'),
      oncleanup: onCleanup,
      ondetached: () => log('handle detached'),
    });
  });
}

/** Offers what the page's choices say. The codecs go with every offer: without them the plugin chooses anew. */
function offer({ tracks: list, iceRestart = false }) {
  const body = { audio: $('echo-audio').checked, video: $('echo-video').checked, bitrate: Number(chosen('cap')) };
  if ($('video-codec').value) body.videocodec = $('video-codec').value;
  if ($('audio-codec').value) body.audiocodec = $('audio-codec').value;
  return new Promise((resolve, reject) => {
    call.handle.createOffer({
      tracks: list,
      iceRestart,
      success: (jsep) => {
        call.handle.send({ message: body, jsep, error: (reason) => reject({ title: 'The gateway refused the offer', text: words(reason) }) });
        resolve();
      },
      error: (error) => reject(deviceProblem(error)),
    });
  });
}

function tracks() {
  const [width, height] = $('resolution').value.split('x').map(Number);
  const camera = { type: 'video', capture: { width: { ideal: width }, height: { ideal: height } }, recv: true };
  if ($('layers').value === 'svc') camera.svc = 'L3T3';
  if ($('layers').value === 'simulcast') {
    camera.simulcast = true;
    const ceiling = Math.round(width * height * 2.2);
    camera.sendEncodings = [['h', SIZES.high], ['m', SIZES.middle], ['l', SIZES.low]].map(([rid, smaller]) => ({
      rid, active: true, scalabilityMode: 'L1T3', scaleResolutionDownBy: smaller, maxBitrate: Math.max(Math.round(ceiling / smaller ** 1.5), 80_000),
    }));
  }
  return [{ type: 'audio', capture: true, recv: true }, camera, { type: 'data' }];
}

function stop() {
  const { janus, handle } = call;
  if (handle) handle.hangup(true);
  if (janus) janus.destroy({ cleanupHandles: true });
  Object.assign(call, { janus: null, handle: null });
  onCleanup();
  setState('idle', 'Not connected');
  setRunning(false);
}

function fail(problem) {
  if (call.janus) stop();
  onCleanup();
  setRunning(false);
  setState('failed', 'Failed');
  showAlert(problem.title ?? 'Something went wrong', problem.text ?? words(problem));
}

// --- what janus.js tells ---

function onMessage(message, jsep) {
  if (message.error) {
    log(`error ${message.error_code}: ${message.error}`);
    fail({ title: 'The echo plugin refused', text: `${message.error} (${message.error_code})` });
    return;
  }
  for (const name of ['substream', 'spatial_layer']) if (message[name] !== undefined) markLayer('substream', message[name]);
  for (const name of ['temporal', 'temporal_layer']) if (message[name] !== undefined) markLayer('temporal', message[name]);
  log(`plugin: ${Object.entries(message).filter(([name]) => name !== 'echotest').map((pair) => pair.join(' ')).join(', ')}`);
  if (!jsep || !call.handle) return;
  call.handle.handleRemoteJsep({ jsep, error: (error) => fail({ title: 'The answer does not fit', text: words(error) }) });
}

function onWebrtc(up, reason) {
  log(up ? 'call is up' : `call is down: ${reason ?? 'no reason given'}`);
  if (up) return setState('up', 'Connected');
  if (!call.janus) return undefined;
  stop();
  return showAlert('The call has ended', reason ? `The gateway said: ${reason}.` : 'The gateway ended it.');
}

function onOwnTrack(track, on) {
  replaceTrack(call.own, track, on);
  $('own').srcObject = call.own;
  $('own-empty').hidden = call.own.getVideoTracks().length > 0;
}

function onEchoTrack(track, mid, on, about) {
  log(`echo ${track.kind} ${on ? 'on' : 'off'} (${about?.reason ?? mid})`);
  replaceTrack(call.echo, track, on);
  if ($('echo').srcObject !== call.echo) $('echo').srcObject = call.echo;
  const shown = call.echo.getVideoTracks().length > 0;
  $('echo-empty').hidden = shown;
  if (!shown) $('echo-empty').textContent = 'No picture comes back';
  $('echo').play().catch(() => log('the browser waits for a click before it plays'));
}

function replaceTrack(stream, track, on) {
  const has = stream.getTracks().includes(track);
  if (on && !has) stream.addTrack(track);
  if (!on && has) stream.removeTrack(track);
}

function onCleanup() {
  clearInterval(call.timer);
  for (const stream of [call.own, call.echo]) stream.getTracks().forEach((track) => { stream.removeTrack(track); });
  $('own').srcObject = null;
  $('echo').srcObject = null;
  $('own-empty').hidden = $('echo-empty').hidden = false;
  $('echo-empty').textContent = "The gateway's echo appears here";
  for (const id of ['own-size', 'own-rate', 'echo-size', 'echo-rate']) $(id).hidden = true;
  document.querySelectorAll('.figures dd').forEach((figure) => { figure.textContent = '–'; });
  call.before = null;
  setChat(false);
}

// --- switches ---

function tell(body) {
  call.handle?.send({ message: body, error: (reason) => showAlert('The gateway refused that', words(reason)) });
}

function chooseLayer(name, value) {
  const svc = $('layers').value === 'svc';
  const field = { substream: svc ? 'spatial_layer' : 'substream', temporal: svc ? 'temporal_layer' : 'temporal' }[name];
  tell({ [field]: Number(value) });
}

function markLayer(name, layer) {
  document.querySelectorAll(`#${name} label`).forEach((label) => {
    label.classList.toggle('now', label.firstElementChild.value === String(layer));
  });
}

// --- statistics ---

async function look() {
  const pc = call.handle?.webrtcStuff.pc;
  if (!pc) return;
  const now = await sample(pc);
  show(now);
  call.before = now;
}

function show(now) {
  const { before } = call;
  const trip = roundTrip(now);
  if (before) {
    const [inRate, outRate] = rates(before, now);
    chart.add(now.at, inRate, trip);
    put('figure-in', kilobits(inRate));
    put('figure-out', kilobits(outRate));
    badge('echo-rate', kilobits(inRate));
    badge('own-rate', kilobits(outRate));
  }
  const { video, sent, remote } = now;
  if (video?.frameWidth) {
    put('figure-size', size(video));
    put('figure-frames', `${frames(video)} / s`);
    badge('echo-size', `${size(video)}, ${frames(video)} fps`);
  }
  if (sent?.frameWidth) badge('own-size', `${size(sent)}, ${frames(sent)} fps`);
  put('figure-lost', String(now.lost));
  put('figure-codecs', now.codecs.join(', ') || '–');
  put('figure-rtt', milliseconds(trip));
  if (remote) {
    const address = remote.address ?? remote.ip ?? '';
    put('figure-path', `${remote.protocol} ${address}`, `${remote.protocol} ${address}, port ${remote.port}`);
  }
}

function put(id, text, title = text) {
  $(id).textContent = text;
  $(id).title = title;
}

function badge(id, text) {
  $(id).hidden = false;
  $(id).textContent = text;
}

// --- the page ---

function setRunning(on) {
  $('start').hidden = on;
  $('stop').hidden = !on;
  for (const id of ['restart', 'cap', 'echo-video', 'echo-audio']) $(id).disabled = !on;
  for (const id of ['video-codec', 'audio-codec', 'layers', 'resolution', 'server']) $(id).disabled = on;
  const layers = $('layers').value;
  $('substream').hidden = $('temporal').hidden = !(on && layers);
  $('substream-name').textContent = layers === 'svc' ? 'Size layer' : 'Simulcast stream';
  if (!on) {
    for (const id of ['echo-video', 'echo-audio']) $(id).checked = true;
    for (const name of ['substream', 'temporal']) {
      document.querySelector(`#${name} input[value="2"]`).checked = true;
      markLayer(name, -1);
    }
  } else {
    chart.clear();
  }
}

function setChat(on) {
  $('chat-text').disabled = $('chat-send').disabled = !on;
}

function addLine(text, whose) {
  $('lines').querySelector('.hint')?.remove();
  const line = document.createElement('p');
  line.className = whose;
  line.textContent = text;
  $('lines').append(line);
  $('lines').scrollTop = $('lines').scrollHeight;
}

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

/** Fills a list with what this browser can both send and take. */
function fillCodecs(select, kind, names) {
  const can = (end) => new Set((end?.getCapabilities?.(kind)?.codecs ?? []).map((codec) => codec.mimeType.split('/')[1].toLowerCase()));
  const [send, take] = [can(window.RTCRtpSender), can(window.RTCRtpReceiver)];
  for (const [value, label] of Object.entries(names)) {
    if (send.has(value) && take.has(value)) select.add(new Option(label, value));
  }
}

function prepare() {
  $('server').value = serverAddress();
  fillCodecs($('video-codec'), 'video', { vp8: 'VP8', vp9: 'VP9', h264: 'H.264', av1: 'AV1', h265: 'H.265' });
  fillCodecs($('audio-codec'), 'audio', { opus: 'Opus', g722: 'G.722', pcmu: 'PCMU', pcma: 'PCMA' });
  $('start-form').addEventListener('submit', (event) => { event.preventDefault(); start(); });
  $('stop').addEventListener('click', stop);
  $('restart').addEventListener('click', () => {
    log('ICE restart');
    call.janus.ice.refresh(call.handle.webrtcStuff.pc);
    offer({ tracks: [], iceRestart: true }).catch(fail);
  });
  $('echo-audio').addEventListener('change', (event) => tell({ audio: event.target.checked }));
  $('echo-video').addEventListener('change', (event) => tell({ video: event.target.checked }));
  $('hear').addEventListener('change', (event) => { $('echo').muted = !event.target.checked; });
  $('cap').addEventListener('change', (event) => tell({ bitrate: Number(event.target.value) }));
  for (const name of ['substream', 'temporal']) $(name).addEventListener('change', (event) => chooseLayer(name, event.target.value));
  $('layers').addEventListener('change', () => {
    const { value } = $('layers');
    const codec = $('video-codec');
    if (value === 'svc' && !['vp9', 'av1'].includes(codec.value)) codec.value = 'vp9';
    if (value === 'simulcast' && codec.value === '') codec.value = 'vp8';
  });
  $('chat-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = $('chat-text').value.trim();
    if (!text || !call.handle) return;
    call.handle.data({ text, error: (reason) => showAlert('Not sent', words(reason)) });
    addLine(text, 'mine');
    $('chat-text').value = '';
  });
  $('alert-close').addEventListener('click', hideAlert);
  chart.draw();
}

prepare();
