// Where our answers may differ from those of Debian's Janus 1.1.2, and why. A difference that no row explains fails
// the test; a row that explains nothing any more fails it too.
//
// `request` matches what was sent (all of `case: request`), `drop`/`add` are lines only Janus or only we have, in the
// form of shape.mjs. All lines a row names must be there for the row to hold.

export const ARGUED = [];
