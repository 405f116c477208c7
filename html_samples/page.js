// What every sample page has: the state in its bar, the alert, the list of events, and words for what went wrong.

import { IceServers } from './ice-servers.js';

export const $ = (id) => document.getElementById(id);

const EVENTS_KEPT = 200;

/** An element. What is text stays text: children are appended, never parsed. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'class') element.className = value;
    else if (typeof value === 'boolean') element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export function setState(state, text) {
  $('state').dataset.state = state;
  $('state').textContent = text;
}

export function showAlert(title, text) {
  $('alert-title').textContent = title;
  $('alert-text').textContent = text;
  $('alert').hidden = false;
  log(`${title}: ${text}`);
  $('alert').scrollIntoView({ block: 'nearest' });
}

export function hideAlert() {
  $('alert').hidden = true;
}

export function log(text) {
  const item = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toLocaleTimeString();
  item.append(time, text);
  $('events').prepend(item);
  while ($('events').children.length > EVENTS_KEPT) $('events').lastChild.remove();
}

/** The reason of a failure, whatever janus.js or the browser made of it. */
export function words(reason) {
  if (reason && typeof reason === 'object') return reason.text ?? reason.message ?? JSON.stringify(reason);
  return String(reason);
}

export const kilobits = (rate) => (rate >= 1000 ? `${(rate / 1000).toFixed(2)} Mbit/s` : `${Math.round(rate)} kbit/s`);

export const milliseconds = (time) => (time === null ? '–' : time < 1 ? '< 1 ms' : `${Math.round(time)} ms`);

/** What is wrong with the page's surroundings, `null` if nothing is. */
export function pageProblem() {
  if (!window.isSecureContext || !navigator.mediaDevices) {
    return {
      title: 'This address is not secure',
      text: 'Browsers give camera and microphone only to pages from https or from localhost. Open the page under such an address.',
    };
  }
  if (typeof Janus === 'undefined' || typeof adapter === 'undefined') {
    return {
      title: 'janus.js is missing',
      text: 'Install it with "npm ci" in the html_samples folder ("make run" does) and load the page again.',
    };
  }
  return null;
}

/** Words for what the browser says when it gives no camera, microphone or screen. */
export function deviceProblem(error) {
  const about = {
    NotAllowedError: ['No permission', 'The browser was not allowed to use camera, microphone or screen. Allow it in the address bar, then start again.'],
    SecurityError: ['No permission', 'This page may not use camera and microphone here.'],
    NotFoundError: ['No camera or microphone', 'None was found. Plug one in, then start again.'],
    NotReadableError: ['The camera is busy', 'Another program is using the camera or the microphone. Close it, then start again.'],
    OverconstrainedError: ['The camera cannot do that', 'Choose another camera size, then start again.'],
  }[error?.name];
  return about ? { title: about[0], text: about[1] } : { title: 'No call could be made', text: words(error) };
}

/**
 * Opens a session at `server`, whose PeerConnections use the ICE servers that the gateway hands out (`ice` of the session);
 * `lost(words)` is called if it ends by itself later.
 */
export async function connect(server, lost) {
  await new Promise((resolve) => { Janus.init({ debug: ['warn', 'error'], callback: resolve }); });
  const ice = await new IceServers(server, log).start();
  return new Promise((resolve, reject) => {
    let open = false;
    const janus = new Janus({
      server,
      iceServers: ice.list,
      iceTransportPolicy: ice.policy,
      success: () => { open = true; resolve(Object.assign(janus, { ice })); },
      error: (reason) => {
        ice.stop();
        if (open) lost(words(reason));
        else reject({ title: 'The gateway does not answer', text: `${server}: ${words(reason)}` });
      },
      destroyed: () => { ice.stop(); log('session ended'); },
    });
  });
}

/** The address of the Janus API: `?server=` or that of the page's own gateway. */
export const serverAddress = () => new URLSearchParams(location.search).get('server') ?? new URL('/janus', location.href).href;
