// The back end of an event handler: an HTTP server that keeps what is posted to it and answers as a test wants.

import http from 'node:http';
import { gunzipSync } from 'node:zlib';

const POLL_MS = 10;

/** `answer(response, post, backend)` ends the response, or does not. */
export async function startBackend({ port = 0, answer = (response) => response.end() } = {}) {
  const backend = new Backend(answer);
  await backend.start(port);
  return backend;
}

class Backend {
  constructor(answer) {
    Object.assign(this, { answer, posts: [], events: [], connections: 0, unreadable: [] });
  }

  async start(port = this.port) {
    this.server = http.createServer((request, response) => this.#take(request, response));
    this.server.on('connection', () => {
      this.connections += 1;
    });
    await new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}/events?from=test`;
  }

  #take(request, response) {
    const parts = [];
    // Whoever gives up waiting cuts the connection.
    response.on('error', () => {});
    request.on('error', () => {});
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const post = {
        method: request.method,
        path: request.url,
        headers: request.headers,
        bytes: Buffer.concat(parts),
        at: Date.now(),
      };
      try {
        post.text = (post.headers['content-encoding'] === 'gzip' ? gunzipSync(post.bytes) : post.bytes).toString();
        post.json = JSON.parse(post.text);
        post.events = [post.json].flat();
      } catch (error) {
        this.unreadable.push(`${error.message}: ${post.bytes.subarray(0, 200)}`);
        post.events = [];
      }
      this.posts.push(post);
      this.events.push(...post.events);
      this.answer(response, post, this);
    });
  }

  /** Until an event fits: that event; undefined when none did in time. */
  async until(fits, ms = 10_000) {
    const end = Date.now() + ms;
    for (;;) {
      const found = this.events.find(fits);
      if (found || Date.now() > end) return found;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Refuses connections until it is started again. */
  stop() {
    const ended = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    return ended;
  }
}

/** Settings for a gateway that tells its events here; `handler` and `events` are laid over them. */
export function eventSettings(backend, { handler = {}, events = {} } = {}) {
  return {
    janus: {
      general: { admin_secret: ADMIN_SECRET, server_name: 'somewhere' },
      events: { broadcast: true, stats_period: 1, ...events },
    },
    'janus.eventhandler.sampleevh': {
      general: { enabled: true, events: 'all', grouping: true, json: 'compact', backend: backend.url, ...handler },
    },
  };
}

export const ADMIN_SECRET = 'operators only';
