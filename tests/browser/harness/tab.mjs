// What a test does with a browser's tab, the same for every browser: run a function in it, wait for a condition,
// hold an echo call. A driver gives `evaluate(source, arg)`, `goto(url)`, `close()` and `console` (what the page said).

import assert from 'node:assert/strict';

const POLL_MS = 100;

export class Tab {
  constructor(driver) {
    this.driver = driver;
  }

  /** Runs `fn(arg)` in the page (it may be async) and gives its JSON value. */
  run(fn, arg) {
    return this.driver.evaluate(String(fn), arg);
  }

  goto(url) { return this.driver.goto(url); }

  /** Polls `fn(arg)` in the page until it is true; `what` names the condition in the error. */
  async until(what, ms, fn, arg) {
    const end = Date.now() + ms;
    for (;;) {
      const value = await this.run(fn, arg);
      if (value) return value;
      if (Date.now() > end) assert.fail(`${what}: not within ${ms} ms\n${await this.story()}`);
      await sleep(POLL_MS);
    }
  }

  /** What happened in the page, for the error of a failed test. */
  async story() {
    const events = await this.run(() => (window.call ? window.call.events.map((event) => JSON.stringify(event)) : []))
      .catch((error) => [`(${error.message})`]);
    return ['page events:', ...events.slice(-40), 'console:', ...this.driver.console.slice(-20)].join('\n  ');
  }

  async close() {
    await this.run(() => (window.call ? window.call.destroy() : undefined)).catch(() => {});
    await this.driver.close();
  }

  // --- an echo call ---

  open(options) { return this.run((o) => window.call.open(o), options); }

  offer(options) { return this.run((o) => window.call.offer(o), options); }

  message(body) { return this.run((b) => window.call.message(b), body); }

  stats() { return this.run(() => window.call.stats()); }

  picture() { return this.run(() => window.call.picture()); }

  events(kind) { return this.run((k) => window.call.events.filter((e) => !k || e.kind === k), kind); }

  /** Ends when an event of that kind with these fields has come. */
  seen(kind, fields = {}, ms = 10_000) {
    return this.until(`event ${kind} ${JSON.stringify(fields)}`, ms, ([k, f]) => window.call.events.find(
      (event) => event.kind === k && Object.entries(f).every(([name, value]) => event[name] === value)) ?? null, [kind, fields]);
  }

  /** Ends when the remote video shows a decoded picture: not one flat colour, or one that changes. */
  seesVideo(ms = 15_000) {
    return this.until('remote video', ms, () => {
      const now = window.call.picture();
      return now.spread > 5 || now.moved > 5 ? now : null;
    });
  }

  /** Ends when `count` more frames are decoded and, if asked, audio packets have come. */
  async flows({ frames = 15, audio = true, ms = 15_000 } = {}) {
    const before = await this.stats();
    await this.until(`${frames} more frames${audio ? ' and audio' : ''}`, ms, async ([f, packets, wanted]) => {
      const now = await window.call.stats();
      const video = (now.in.video?.framesDecoded ?? 0) >= f;
      return video && (!wanted || (now.in.audio?.packetsReceived ?? 0) > packets);
    }, [(before?.in.video?.framesDecoded ?? 0) + frames, before?.in.audio?.packetsReceived ?? 0, audio]);
    return this.stats();
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
