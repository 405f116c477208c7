// Media for tests: cameras of one colour and microphones of one tone, so that it shows whose picture and sound arrives;
// and what is seen of a remote picture: every decoded frame with its time, size and colour.

'use strict';

window.media = (() => {
  const timers = [];
  const claps = [];
  let sound = null;
  /** A clapper shows and sounds for so long at the beginning of each second. */
  const CLAP_MS = 200;

  /** A camera that shows `colour` and a square going round, or a `clapper`: white when it claps; `busy` random blocks make it hard to compress. */
  function camera({ width = 640, height = 360, colour = '#808080', fps = 15, busy = 0, clapper = false }) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const pen = canvas.getContext('2d');
    let turn = 0;
    let clapping = false;
    const draw = () => {
      turn += 0.1;
      const clap = clapper && performance.now() % 1000 < CLAP_MS;
      pen.fillStyle = clap ? '#ffffff' : colour;
      pen.fillRect(0, 0, width, height);
      if (clapper) {
        if (clap !== clapping) claps.forEach((sounds) => sounds(clap));
        clapping = clap;
        return;
      }
      for (let i = 0; i < busy; i += 1) {
        pen.fillStyle = `rgb(${Math.random() * 255} ${Math.random() * 255} ${Math.random() * 255})`;
        pen.fillRect(width * (0.2 + Math.random() * 0.7), height * (0.2 + Math.random() * 0.7), width / 16, height / 16);
      }
      pen.fillStyle = '#ffffff';
      pen.fillRect(width * (0.5 + Math.cos(turn) / 4), height * (0.5 + Math.sin(turn) / 4), width / 10, height / 10);
    };
    draw();
    timers.push(setInterval(draw, 1000 / fps));
    return canvas.captureStream(fps).getVideoTracks()[0];
  }

  /** A microphone that hears a tone of `hertz`, with `clapper` only while a camera that is one shows it; its track's `loudness(0..1)` changes how loud. */
  function microphone({ hertz, loudness = 0.5, clapper = false }) {
    sound ??= new AudioContext();
    const [source, gain, end] = [sound.createOscillator(), sound.createGain(), sound.createMediaStreamDestination()];
    source.frequency.value = hertz;
    gain.gain.value = clapper ? 0 : loudness;
    if (clapper) claps.push((on) => gain.gain.setValueAtTime(on ? loudness : 0, sound.currentTime));
    source.connect(gain).connect(end);
    source.start();
    const [track] = end.stream.getAudioTracks();
    track.loudness = (value) => { gain.gain.value = value; };
    return track;
  }

  /** Follows a remote video track: `{frames, first, last, gap, width, height, colour()}`, times of `performance.now`. */
  function watch(track) {
    const seen = { frames: 0, first: null, last: null, gap: 0, width: 0, height: 0, asked: [] };
    seen.colour = () => new Promise((resolve) => { seen.asked.push(resolve); });
    if (typeof MediaStreamTrackProcessor === 'function') readFrames(track, seen);
    return seen;
  }

  async function readFrames(track, seen) {
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (;;) {
      const { value: frame, done } = await reader.read();
      if (done) return;
      const now = performance.now();
      seen.frames += 1;
      seen.first ??= now;
      if (seen.last !== null) seen.gap = Math.max(seen.gap, now - seen.last);
      seen.last = now;
      seen.width = frame.displayWidth;
      seen.height = frame.displayHeight;
      const asked = seen.asked.splice(0);
      if (asked.length > 0) {
        const colour = corner(frame);
        asked.forEach((tell) => tell(colour));
      }
      frame.close();
    }
  }

  function corner(frame) {
    const context = new OffscreenCanvas(8, 8).getContext('2d', { willReadFrequently: true });
    context.drawImage(frame, 0, 0, frame.displayWidth / 8, frame.displayHeight / 8, 0, 0, 8, 8);
    const { data } = context.getImageData(2, 2, 4, 4);
    const sum = [0, 0, 0];
    for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 3; c += 1) sum[c] += data[i + c] / (data.length / 4);
    return sum.map(Math.round);
  }

  /** The loudest frequency of a remote sound, in hertz, to about 25. */
  async function pitch(track) {
    sound ??= new AudioContext();
    const analyser = sound.createAnalyser();
    analyser.fftSize = 2048;
    sound.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    await new Promise((resolve) => { setTimeout(resolve, 400); });
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const top = levels.indexOf(Math.max(...levels));
    return { hertz: Math.round((top * sound.sampleRate) / analyser.fftSize), level: Math.round(levels[top]) };
  }

  function end() {
    timers.splice(0).forEach(clearInterval);
  }

  return { camera, microphone, watch, pitch, end };
})();
