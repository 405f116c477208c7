// Free ports of this machine. None of those the kernel takes for outgoing connections (from 32768 on): between the time
// a port is found free and the time a gateway listens there, another test's connection may have taken it.

import dgram from 'node:dgram';
import net from 'node:net';

const [FIRST, COUNT] = [12_000, 20_000];
const given = new Set();

/** A TCP port nobody listens on, another one each time. */
export async function freeTcpPort(host = '127.0.0.1') {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port)) continue;
    given.add(port);
    if (await listens(port, host)) return port;
  }
}

/** Whether it can be listened on. */
function listens(port, host) {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** Two UDP ports nobody listens on, the first even: RTP and RTCP of a player, its number. */
export async function freeUdpPair(host = '127.0.0.1') {
  for (;;) {
    const port = FIRST + 2 * Math.floor((Math.random() * COUNT) / 2);
    if (given.has(port)) continue;
    given.add(port);
    if (await receives(port, host) && await receives(port + 1, host)) return port;
  }
}

function receives(port, host) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind(port, host, () => socket.close(() => resolve(true)));
  });
}
