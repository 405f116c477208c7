// Two curves of the last minutes on a canvas: one as an area (left scale), one as a line (right scale).

'use strict';

class Chart {
  static SECONDS = 60;
  static RATE = { name: 'Bitrate', unit: 'kbit/s', spoken: 'kilobits per second', least: 100 };
  static TRIP = { name: 'round trip', unit: 'ms', spoken: 'milliseconds', least: 4 };

  /**
   * `small` leaves out all scales but the highest values. `first` and `second` say what the curves are; a curve with
   * `top` has that fixed end of its scale; without `second` there is one curve. `steps` are the parts of the scales;
   * `same` gives both curves one scale.
   */
  constructor(canvas, {
    small = false, seconds = Chart.SECONDS, first = Chart.RATE, second = Chart.TRIP, steps = 4, same = false,
  } = {}) {
    Object.assign(this, { canvas, small, seconds, curves: [first, second].filter(Boolean), steps, same });
    this.points = [];
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(canvas);
    this.ended = new AbortController();
    const { signal } = this.ended;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw(), { signal });
  }

  /** For a chart whose canvas goes while the page stays. */
  end() {
    this.observer.disconnect();
    this.ended.abort();
  }

  clear() {
    this.points = [];
    this.draw();
  }

  /** One point: seconds, then a value of each curve or null where none was measured. */
  add(at, first, second = null) {
    this.points.push({ at, values: [first, second] });
    while (this.points.length > 0 && this.points[0].at < at - this.seconds) this.points.shift();
    const said = this.curves.map(({ name, spoken }, i) => {
      const value = this.points.at(-1).values[i];
      return value === null ? null : `${name} ${Math.round(value * 10) / 10} ${spoken}`;
    });
    this.canvas.setAttribute('aria-label', `${said.filter(Boolean).join(', ')}; the last ${this.#minutes()} as curves`);
    this.draw();
  }

  /** The time between both sides: it grows with what was measured, up to `seconds`. */
  #window() {
    const measured = this.points.length > 1 ? this.points.at(-1).at - this.points[0].at : 0;
    return Math.min(this.seconds, Math.max(60, Math.ceil(measured / 60) * 60));
  }

  #minutes() {
    const minutes = Math.round(this.#window() / 60);
    return minutes === 1 ? 'minute' : `${minutes} minutes`;
  }

  draw() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (width === 0) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext('2d');
    pen.scale(scale, scale);
    const colour = (name) => getComputedStyle(this.canvas).getPropertyValue(name).trim();
    const box = this.small
      ? { left: 1, right: width - 1, top: 2, bottom: height - 2 }
      : { left: 46, right: width - (this.same || !this.curves[1] ? 8 : 40), top: 10, bottom: height - 22 };
    const tops = this.#tops();
    if (this.small) this.#edges(pen, box, tops, colour);
    else this.#grid(pen, box, tops, colour);
    if (this.points.length < 2) return;
    const last = this.points.at(-1).at;
    const shown = this.#window();
    const x = (at) => box.right - ((last - at) / shown) * (box.right - box.left);
    const curve = (i) => this.points.filter(({ values }) => values[i] !== null)
      .map(({ at, values }) => [x(at), box.bottom - (values[i] / tops[i]) * (box.bottom - box.top)]);
    this.#area(pen, box, curve(0), colour('--accent'));
    if (this.curves[1]) line(pen, curve(1), colour('--second'));
  }

  #tops() {
    const tops = this.curves.map(({ top, least }, i) => {
      const highest = Math.max(...this.points.map(({ values }) => values[i] ?? 0), 0);
      return top ?? axis(highest, least, this.steps);
    });
    return this.same ? [Math.max(...tops), Math.max(...tops)] : tops;
  }

  #grid(pen, box, tops, colour) {
    pen.font = '11px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    for (let step = 0; step <= this.steps; step += 1) {
      const y = Math.round(box.bottom - (step / this.steps) * (box.bottom - box.top)) + 0.5;
      pen.strokeStyle = colour('--line');
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(box.left, y);
      pen.lineTo(box.right, y);
      pen.stroke();
      pen.fillStyle = colour('--soft');
      pen.textAlign = 'right';
      pen.fillText(short((tops[0] * step) / this.steps), box.left - 8, y);
      if (this.same || !this.curves[1]) continue;
      pen.fillStyle = colour('--second');
      pen.textAlign = 'left';
      pen.fillText(short((tops[1] * step) / this.steps), box.right + 8, y);
    }
    pen.fillStyle = colour('--soft');
    pen.textAlign = 'left';
    pen.fillText(`${Math.round(this.#window() / 60)} min ago`, box.left, box.bottom + 14);
    pen.textAlign = 'right';
    pen.fillText('now', box.right, box.bottom + 14);
  }

  #edges(pen, box, tops, colour) {
    pen.strokeStyle = colour('--line');
    for (const y of [box.top, box.bottom]) {
      pen.beginPath();
      pen.moveTo(box.left, y - 0.5);
      pen.lineTo(box.right, y - 0.5);
      pen.stroke();
    }
    pen.font = '10px system-ui, sans-serif';
    pen.textBaseline = 'top';
    pen.fillStyle = colour('--soft');
    pen.fillText(`${short(tops[0])} ${this.curves[0].unit}`, box.left + 2, box.top + 3);
    if (!this.curves[1]) return;
    pen.fillStyle = colour('--second');
    pen.textAlign = 'right';
    pen.fillText(`${short(tops[1])} ${this.curves[1].unit}`, box.right - 2, box.top + 3);
  }

  #area(pen, box, points, colour) {
    if (points.length < 2) return;
    pen.beginPath();
    pen.moveTo(points[0][0], box.bottom);
    points.forEach(([x, y]) => pen.lineTo(x, y));
    pen.lineTo(points.at(-1)[0], box.bottom);
    pen.closePath();
    pen.globalAlpha = 0.16;
    pen.fillStyle = colour;
    pen.fill();
    pen.globalAlpha = 1;
    line(pen, points, colour);
  }
}

function line(pen, points, colour) {
  if (points.length < 2) return;
  pen.beginPath();
  points.forEach(([x, y], i) => (i === 0 ? pen.moveTo(x, y) : pen.lineTo(x, y)));
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.lineJoin = 'round';
  pen.stroke();
}

/** A round upper end of a scale: equal steps, at least `least`. */
function axis(highest, least, steps) {
  const wanted = Math.max(highest * 1.1, least) / steps;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= wanted) * power;
  return step * steps;
}

const short = (value) => (value >= 10_000 ? `${value / 1000}k` : String(Math.round(value * 10) / 10));
