// A program that a test has started: what it says, and its end.

const LOG_LIMIT = 4_000_000;
const STOP_WITHIN_MS = 5_000;

/** A program that runs; `log` is what it said. */
export class Program {
  constructor(child) {
    Object.assign(this, { child, log: '', exited: null });
    const keep = (bytes) => { this.log = (this.log + bytes).slice(-LOG_LIMIT); };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.exit = new Promise((resolve) => {
      child.once('error', (error) => resolve((this.exited = `cannot start: ${error.message}`)));
      child.once('exit', (code, signal) => resolve((this.exited = signal ?? code)));
    });
  }

  get pid() { return this.child.pid; }

  signal(name) { this.child.kill(name); }

  async stop(signal = 'SIGINT') {
    if (this.exited !== null) return;
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill('SIGKILL'), STOP_WITHIN_MS);
    await this.exit;
    clearTimeout(late);
  }
}
