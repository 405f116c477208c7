// Makes docs/images/echotest.png: the sample page in a call with the gateway. The camera is a drawn one.
//
//   node tests/browser/screenshot.mjs

import path from 'node:path';

import { closeBrowser, newTab } from './harness/chromium.mjs';
import { ROOT, startGateway } from './harness/gateway.mjs';
import { sleep } from './harness/tab.mjs';

const gateway = await startGateway({ janus: { nat: { ice_enforce_list: '127.0.0.1' } } });
const tab = await newTab({ viewport: { width: 1040, height: 860 }, colorScheme: 'light' });
try {
  await tab.page.addInitScript(drawnCamera);
  await tab.goto(`${gateway.origin.replace('127.0.0.1', 'localhost')}/demos/echotest.html`);
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
  await tab.page.evaluate(() => document.activeElement.blur());
  await tab.page.screenshot({ path: path.join(ROOT, 'docs/images/echotest.png'), fullPage: true });
} finally {
  await tab.close();
  await closeBrowser();
  await gateway.stop();
}

/** In the page: a camera that shows hills under a moving sun. */
function drawnCamera() {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await real(wanted);
    if (!wanted.video) return stream;
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const pen = canvas.getContext('2d');
    const draw = () => {
      const time = performance.now() / 1000;
      // Flat bands instead of a gradient: the picture stays small as a PNG.
      ['#2b3a78', '#4a4585', '#70508f', '#9a5f92', '#c97a88', '#f2a07b'].forEach((colour, i) => {
        pen.fillStyle = colour;
        pen.fillRect(0, i * 80, 1280, 720);
      });
      pen.fillStyle = '#fff3d1';
      pen.beginPath();
      pen.arc(820 + Math.sin(time / 5) * 120, 330 + Math.cos(time / 5) * 30, 70, 0, 7);
      pen.fill();
      [['#6b4b7f', 430, 70, 0.004, 0.6], ['#46386a', 510, 60, 0.006, 0.9], ['#232447', 600, 45, 0.009, 1.4]].forEach(([colour, base, high, dense, speed]) => {
        pen.fillStyle = colour;
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
