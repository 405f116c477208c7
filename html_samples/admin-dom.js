// What the views of the admin page are made of: lists that keep their elements, figures, bars, and questions.

import { $, make } from './page.js';

export const button = (text, does, kind = '') => {
  const element = make('button', { class: `button ${kind}`.trim(), type: 'button' }, text);
  element.addEventListener('click', does);
  return element;
};

/**
 * Makes the children of `parent` fit `items`, one each. What stays keeps its element, and with it the focus;
 * `create(item)` gives an element, `update(element, item)` fills it. What comes up to `after` is not touched.
 * What goes is told so by way of its `view`.
 */
export function keyed(parent, items, key, create, update, after = null) {
  const known = (parent.known ??= new Map());
  const wanted = new Map(items.map((item) => [String(key(item)), item]));
  // First what goes: an element that is moved loses the focus, and none has to move for it.
  for (const [id, element] of known) {
    if (wanted.has(id)) continue;
    element.view?.close();
    element.remove();
    known.delete(id);
  }
  let place = after ? after.nextSibling : parent.firstChild;
  for (const [id, item] of wanted) {
    const element = known.get(id) ?? create(item);
    known.set(id, element);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
    update(element, item);
  }
}

/** Sets a text only where it is another: screen readers and selections are left alone. */
export function put(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
  return element;
}

/** `pairs` of name and value in a `dl`; those without a value are left out. */
export function facts(list, pairs) {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== null && value !== '');
  keyed(
    list,
    shown,
    ([name]) => name,
    ([name]) => make('div', {}, make('dt', {}, name), make('dd')),
    (row, [, value]) => {
      put(row.lastChild, value);
      row.lastChild.title = String(value);
    },
  );
}

/** One row of cells; `cells` are texts or elements. */
export const row = (cells, kind = 'td') =>
  make('tr', {}, ...cells.map((cell) => make(kind, kind === 'th' ? { scope: 'col' } : {}, cell)));

export function table(label, heads) {
  const body = make('tbody');
  const element = make('table', { 'aria-label': label }, make('thead', {}, row(heads, 'th')), body);
  return {
    box: make('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': label }, element),
    element,
    body,
  };
}

/** A question in a dialogue. Ends with what `answer()` gives, or `null` if it is called off. */
export function question(title, text, { yes, kind, fields = [], answer = () => true }) {
  const dialog = make('dialog', { 'aria-labelledby': 'question-title', class: 'panel' });
  const form = make(
    'form',
    { method: 'dialog', class: 'stack' },
    make('h2', { id: 'question-title' }, title),
    make('p', {}, text),
    ...fields,
  );
  const no = button('Cancel', () => dialog.close());
  const go = make('button', { class: `button ${kind}`, type: 'submit', value: 'yes' }, yes);
  form.append(make('div', { class: 'commands' }, go, no));
  dialog.append(form);
  document.body.append(dialog);
  const asked = document.activeElement;
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes' ? answer() : null);
      dialog.remove();
      asked?.focus?.();
    });
    dialog.showModal();
    // What cannot be undone is not what Enter does.
    (kind === 'stop' ? no : (form.querySelector('input') ?? no)).focus();
  });
}

export const confirmed = (title, text, yes, fields = []) => question(title, text, { yes, kind: 'stop', fields });

export function askSecret(title, text) {
  const input = make('input', { type: 'password', autocomplete: 'off', spellcheck: 'false' });
  const field = make('label', { class: 'field' }, make('span', {}, 'Secret'), input);
  return question(title, text, { yes: 'Go on', kind: 'main', fields: [field], answer: () => input.value });
}

/** Tells what was done, where everybody sees or hears it. */
export function say(text) {
  $('said').textContent = text;
}

/** A copy button: the clipboard is not there on plain http, then the text is selected. */
export function copyButton(source) {
  const element = button(
    'Copy',
    async () => {
      try {
        await navigator.clipboard.writeText(source.textContent);
        say('Copied.');
      } catch {
        getSelection().selectAllChildren(source);
        say('Selected: copy it with Ctrl+C.');
      }
    },
    'plain slim',
  );
  return element;
}

/** Seconds as people say them. */
export function span(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86_400)} days`;
}

export const plain = (name) => name.replace(/^janus\.(plugin|transport)\./, '');
export const spoken = (key) => key.replaceAll(/[-_]/g, ' ');
