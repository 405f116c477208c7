// Makes docs/images/echotest.png and videoroom.png: sample pages in a call with the gateway. The cameras are drawn ones.
//
//   node tests/browser/screenshot.mjs [echotest|videoroom]

import path from 'node:path';

import { closeBrowser, newTab } from './harness/chromium.mjs';
import { ROOT, startGateway } from './harness/gateway.mjs';
import { sleep } from './harness/tab.mjs';

const PICTURES = {
  echotest: async (base) => {
    const tab = await open(`${base}/echotest.html`, { width: 1040, height: 860 });
    await tab.page.selectOption('#layers', 'simulcast');
    await tab.page.click('#start');
    await tab.until('a call', 20_000, () => document.getElementById('echo').videoWidth > 0);
    await sleep(25_000);
    await tab.page.click('#substream label:has(input[value="1"])');
    await sleep(12_000);
    await tab.page.click('#substream label:has(input[value="2"])');
    await tab.page.fill('#chat-text', 'Hello, gateway');
    await tab.page.press('#chat-text', 'Enter');
    await sleep(15_000);
    return tab;
  },
  videoroom: async (base) => {
    const people = ['Ada', 'Grace', 'Edsger'];
    const tabs = [];
    for (const [i, name] of people.entries()) {
      const wish = new URLSearchParams({ name, autojoin: '', layers: i === 1 ? 'simulcast' : '' });
      tabs.push(await open(`${base}/videoroom.html?${wish}`, { width: 1240, height: 860 }, i));
      await sleep(2_000);
    }
    await tabs[0].until('everybody', 20_000, () => [...document.querySelectorAll('.tile video')].filter((video) => video.videoWidth > 0).length === 3);
    await sleep(25_000);
    return tabs[0];
  },
};

async function open(address, viewport, scene = 0) {
  const tab = await newTab({ viewport, colorScheme: 'light' });
  await tab.page.addInitScript(drawnCamera, scene);
  await tab.goto(address);
  return tab;
}

const wanted = process.argv[2] ? [process.argv[2]] : Object.keys(PICTURES);
const gateway = await startGateway({
  janus: { nat: { ice_enforce_list: '127.0.0.1' } },
  'janus.plugin.videoroom': { 'room-1234': { bitrate: 2_000_000, audiolevel_event: true, audio_active_packets: 10, audio_level_average: 100 } },
});
try {
  for (const name of wanted) {
    const tab = await PICTURES[name](`${gateway.origin.replace('127.0.0.1', 'localhost')}/demos`);
    await tab.page.evaluate(() => document.activeElement.blur());
    await tab.page.screenshot({ path: path.join(ROOT, `docs/images/${name}.png`), fullPage: true });
  }
} finally {
  await closeBrowser();
  await gateway.stop();
}

/** In the page: a camera that shows hills under a moving sun, at one of three times of the day. */
function drawnCamera(scene) {
  const [sky, hills] = [
    [['#2b3a78', '#4a4585', '#70508f', '#9a5f92', '#c97a88', '#f2a07b'], ['#6b4b7f', '#46386a', '#232447']],
    [['#3f83c8', '#5595d3', '#6ca7de', '#86b9e6', '#a4cbee', '#c9e0f4'], ['#6f9c86', '#4a7d68', '#2d5a4c']],
    [['#0c1430', '#121c40', '#182550', '#1f2f60', '#273a70', '#304580'], ['#22304f', '#18233d', '#0d1526']],
  ][scene];
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await real(wanted);
    if (!wanted.video) return stream;
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const pen = canvas.getContext('2d');
    const draw = () => {
      const time = performance.now() / 1000;
      // Flat bands instead of a gradient: the picture stays small as a PNG.
      sky.forEach((colour, i) => {
        pen.fillStyle = colour;
        pen.fillRect(0, i * 80, 1280, 720);
      });
      pen.fillStyle = '#fff3d1';
      pen.beginPath();
      pen.arc(820 + Math.sin(time / 5) * 120, 330 + Math.cos(time / 5) * 30, 70, 0, 7);
      pen.fill();
      [[430, 70, 0.004, 0.6], [510, 60, 0.006, 0.9], [600, 45, 0.009, 1.4]].forEach(([base, high, dense, speed], i) => {
        pen.fillStyle = hills[i];
        pen.beginPath();
        pen.moveTo(0, 720);
        for (let x = 0; x <= 1280; x += 10) pen.lineTo(x, base + Math.sin(x * dense + time * speed * 0.3) * high + Math.sin(x * dense * 2.7) * high * 0.3);
        pen.lineTo(1280, 720);
        pen.fill();
      });
    };
    draw();
    setInterval(draw, 40);
    const [drawn] = canvas.captureStream(25).getVideoTracks();
    return new MediaStream([...stream.getAudioTracks(), drawn]);
  };
}
