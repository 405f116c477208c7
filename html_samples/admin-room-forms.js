// Making, changing and destroying rooms: what forms say, as requests of the VideoRoom plugin.

import { make } from './page.js';
import { confirmed, question } from './admin-dom.js';

/** With `string_ids` the plugin names rooms with texts: what is not a number goes as one. */
const asId = (text) => (/^[1-9]\d{0,15}$/.test(text) ? Number(text) : text);

/** The request of the form on the page. */
export function createRequest(form) {
  const request = { request: 'create' };
  for (const input of form.querySelectorAll('[data-key]')) {
    const { key, type } = input.dataset;
    const value = input.type === 'checkbox' ? input.checked : input.value.trim();
    if (value === '' || value === false) continue;
    if (key === 'room') request.room = asId(value);
    else if (type === 'kilobits') request[key] = Math.round(Number(value) * 1000);
    else request[key] = input.type === 'number' ? Number(value) : value;
  }
  return request;
}

function field(name, attributes) {
  const input = make('input', { autocomplete: 'off', ...attributes });
  return { input, label: make('label', { class: 'field' }, make('span', {}, name), input) };
}

function toggle(name, checked) {
  const input = make('input', { type: 'checkbox', role: 'switch', checked });
  return { input, label: make('label', { class: 'switch' }, input, name) };
}

const KEEP = () => toggle('Also in the configuration file', false);

export async function editRoom(rooms, room) {
  const description = field('Description', { type: 'text', value: room.description ?? '', maxlength: '200' });
  const publishers = field('Publishers at most', {
    type: 'number',
    min: '0',
    value: String(room.max_publishers ?? ''),
  });
  const bitrate = field('Bitrate of each, kbit/s (0: no limit)', {
    type: 'number',
    min: '0',
    value: room.bitrate === undefined ? '' : String(room.bitrate / 1000),
  });
  const pin = field('New PIN (empty: as it is)', { type: 'text' });
  const hidden = toggle('Private: not in the list', Boolean(room.is_private || room.unlisted));
  const kept = KEEP();
  const sure = await question(`Room ${room.room}`, 'Who is in the room stays in it.', {
    yes: 'Save',
    kind: 'main',
    fields: [description, publishers, bitrate, pin, hidden, kept].map(({ label }) => label),
  });
  if (!sure) return;
  const request = {
    request: 'edit',
    room: room.room,
    new_is_private: hidden.input.checked,
    permanent: kept.input.checked,
  };
  if (description.input.value.trim()) request.new_description = description.input.value.trim();
  if (publishers.input.value) request.new_publishers = Number(publishers.input.value);
  if (bitrate.input.value) request.new_bitrate = Math.round(Number(bitrate.input.value) * 1000);
  if (pin.input.value) request.new_pin = pin.input.value;
  await rooms.app.act(`Room ${room.room} was changed.`, () => rooms.ask(request, room.room));
}

export async function destroyRoom(rooms, room) {
  const kept = KEEP();
  const people =
    room.num_participants > 0 ? `${room.num_participants} people are in it: their calls end.` : 'Nobody is in it.';
  if (!(await confirmed(`Destroy room ${room.room}?`, people, 'Destroy', [kept.label]))) return;
  const request = { request: 'destroy', room: room.room, permanent: kept.input.checked };
  await rooms.app.act(`Room ${room.room} was destroyed.`, () => rooms.ask(request, room.room));
}
