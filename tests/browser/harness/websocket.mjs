// The WebSocket client of all tests, from this folder's packages.

export { default as WebSocket } from 'ws';
