// Free ports of this machine. None of those the kernel takes for outgoing connections (from 32768 on): between the time
// a port is found free and the time a gateway listens there, another test's connection may have taken it.

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
