// A minute of two curves on a canvas: bitrate as an area (left scale), round-trip time as a line (right scale).

'use strict';

class Chart {
  static SECONDS = 60;

  /** `small` leaves out all scales but the highest values. */
  constructor(canvas, { small = false } = {}) {
    this.canvas = canvas;
    this.small = small;
    this.points = [];
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  clear() {
    this.points = [];
    this.draw();
  }

  /** One point: seconds, kbit/s, and milliseconds or null where none was measured. */
  add(at, rate, roundTrip) {
    this.points.push({ at, rate, roundTrip });
    while (this.points.length > 0 && this.points[0].at < at - Chart.SECONDS) this.points.shift();
    const said = roundTrip === null ? '' : `, round trip ${Math.round(roundTrip)} milliseconds`;
    this.canvas.setAttribute('aria-label', `Bitrate ${Math.round(rate)} kilobits per second${said}; the last minute as curves`);
    this.draw();
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
      : { left: 46, right: width - 40, top: 10, bottom: height - 22 };
    const rates = axis(Math.max(...this.points.map((point) => point.rate), 0), 100);
    const trips = axis(Math.max(...this.points.map((point) => point.roundTrip ?? 0), 0), 4);
    if (this.small) this.#edges(pen, box, rates, trips, colour);
    else this.#grid(pen, box, rates, trips, colour);
    if (this.points.length < 2) return;
    const last = this.points.at(-1).at;
    const x = (at) => box.right - ((last - at) / Chart.SECONDS) * (box.right - box.left);
    const y = (value, top) => box.bottom - (value / top) * (box.bottom - box.top);
    this.#area(pen, box, this.points.map((point) => [x(point.at), y(point.rate, rates.top)]), colour('--accent'));
    const measured = this.points.filter((point) => point.roundTrip !== null);
    line(pen, measured.map((point) => [x(point.at), y(point.roundTrip, trips.top)]), colour('--second'));
  }

  #grid(pen, box, rates, trips, colour) {
    pen.font = '11px system-ui, sans-serif';
    pen.textBaseline = 'middle';
    for (let step = 0; step <= 4; step += 1) {
      const y = Math.round(box.bottom - (step / 4) * (box.bottom - box.top)) + 0.5;
      pen.strokeStyle = colour('--line');
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(box.left, y);
      pen.lineTo(box.right, y);
      pen.stroke();
      pen.fillStyle = colour('--soft');
      pen.textAlign = 'right';
      pen.fillText(short((rates.top * step) / 4), box.left - 8, y);
      pen.fillStyle = colour('--second');
      pen.textAlign = 'left';
      pen.fillText(short((trips.top * step) / 4), box.right + 8, y);
    }
    pen.fillStyle = colour('--soft');
    pen.fillText('1 min ago', box.left, box.bottom + 14);
    pen.textAlign = 'right';
    pen.fillText('now', box.right, box.bottom + 14);
  }

  #edges(pen, box, rates, trips, colour) {
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
    pen.fillText(`${short(rates.top)} kbit/s`, box.left + 2, box.top + 3);
    pen.fillStyle = colour('--second');
    pen.textAlign = 'right';
    pen.fillText(`${short(trips.top)} ms`, box.right - 2, box.top + 3);
  }

  #area(pen, box, points, colour) {
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

/** A round upper end of a scale: four equal steps, at least `least`. */
function axis(highest, least) {
  const wanted = Math.max(highest * 1.1, least) / 4;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= wanted) * power;
  return { top: step * 4 };
}

const short = (value) => (value >= 10_000 ? `${value / 1000}k` : String(Math.round(value * 10) / 10));
