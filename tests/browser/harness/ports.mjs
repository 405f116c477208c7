// Free ports of this machine, asked from the kernel.

import dgram from 'node:dgram';
import net from 'node:net';

/** A TCP port nobody listens on. */
export function freeTcpPort(host = '127.0.0.1') {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The first of `count` neighbouring UDP ports nobody has bound. */
export async function freeUdpPorts(count, host = '127.0.0.1') {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const first = 20000 + Math.floor(Math.random() * 20000);
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isUdpFree(first + i, host)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no ${count} neighbouring UDP ports are free`);
}

function isUdpFree(port, host) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    socket.once('error', () => resolve(false));
    socket.bind(port, host, () => socket.close(() => resolve(true)));
  });
}
