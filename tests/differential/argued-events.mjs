// argued.mjs for event handlers, in the same form. A request reads "event handlers / case: somebody: body of 32/1 ...".

export const ARGUED_EVENTS = [];
