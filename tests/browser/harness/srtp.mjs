// SRTP with AES-128 in counter mode and HMAC-SHA1 (RFC 3711), as much of it as tests of forwarders need: whether a packet
// is authentic, and sealed RTCP.

import { createCipheriv, createHmac } from 'node:crypto';

const KEY = 16;
const RTCP_TAG = 10;
const LABELS = { rtp: [0, 1, 2], rtcp: [3, 4, 5] };

/** The keys of one direction out of 30 bytes. */
function keys(master, kind) {
  const [key, salt] = [master.subarray(0, KEY), master.subarray(KEY)];
  const [encryption, authentication, salting] = LABELS[kind].map((label, i) => {
    const iv = Buffer.alloc(16);
    salt.copy(iv);
    iv[7] ^= label;
    return counter(key, iv, Buffer.alloc([16, 20, 14][i]));
  });
  return { encryption, authentication, salting };
}

const counter = (key, iv, bytes) => createCipheriv('aes-128-ctr', key, iv).update(bytes);

function ivOf(salting, ssrc, index) {
  const iv = Buffer.alloc(16);
  salting.copy(iv);
  for (let i = 0; i < 4; i += 1) iv[4 + i] ^= (ssrc >>> (24 - 8 * i)) & 255;
  for (let i = 0; i < 4; i += 1) iv[10 + i] ^= (index >>> (24 - 8 * i)) & 255;
  return iv;
}

/** Whether an RTP packet was sealed with this key, by its tag of 10 or 4 bytes, while no sequence number has wrapped. */
export function isAuthentic(master, bytes, tag, rollovers = 0) {
  const { authentication } = keys(master, 'rtp');
  const body = bytes.subarray(0, bytes.length - tag);
  const index = Buffer.alloc(4);
  index.writeUInt32BE(rollovers);
  const own = createHmac('sha1', authentication).update(body).update(index).digest().subarray(0, tag);
  return own.equals(bytes.subarray(bytes.length - tag));
}

/** An RTCP packet, sealed. */
export function sealRtcp(master, bytes, index) {
  const { encryption, authentication, salting } = keys(master, 'rtcp');
  const trailer = Buffer.alloc(4);
  trailer.writeUInt32BE((0x80000000 | index) >>> 0);
  const iv = ivOf(salting, bytes.readUInt32BE(4), index);
  const sealed = Buffer.concat([bytes.subarray(0, 8), counter(encryption, iv, bytes.subarray(8)), trailer]);
  const tag = createHmac('sha1', authentication).update(sealed).digest().subarray(0, RTCP_TAG);
  return Buffer.concat([sealed, tag]);
}
