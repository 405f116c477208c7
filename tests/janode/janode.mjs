// Janode without its other transport: Unix sockets need a native module, which `npm ci --ignore-scripts` does not build.

import { register } from 'node:module';

const NONE = "export function createSocket() { throw new Error('no Unix sockets in these tests'); }";
const HOOK = `export const resolve = (name, context, next) => (name === 'unix-dgram'
  ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(NONE)}`)}, shortCircuit: true } : next(name, context));`;
register(`data:text/javascript,${encodeURIComponent(HOOK)}`);

export const { default: Janode } = await import('janode');
export const { default: VideoRoom } = await import('janode/plugins/videoroom');
