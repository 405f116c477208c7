// Two transcripts, line by line.

/**
 * The differences no row of `argued` explains, as texts. `used` collects the rows that explained one.
 * A row: `{why, request: RegExp, drop: [RegExp], add: [RegExp]}`.
 */
export function differences(title, expected, got, argued, used) {
  const found = [];
  for (const [i, j] of aligned(expected.map((e) => e.request), got.map((e) => e.request))) {
    const [theirs, ours] = [expected[i], got[j]];
    const where = `${title}: ${(theirs ?? ours).request}`;
    let change = changes(theirs?.answer ?? [ABSENT], ours?.answer ?? [ABSENT]);
    for (const row of argued.filter((r) => r.request.test(where))) change = explained(change, row, used);
    if (change.length > 0) found.push([where, ...change.map(([mark, line]) => `    ${mark} ${line}`)].join('\n'));
  }
  return found;
}

/** Where a case asked only one of the two, because of what that one had said before. */
const ABSENT = 'not asked';

/** What of a change is left when a row has explained its part; the row holds only as a whole. */
function explained(change, row, used) {
  const wanted = [...(row.drop ?? []).map((p) => ['-', p]), ...(row.add ?? []).map((p) => ['+', p])];
  const rest = [...change];
  for (const [mark, pattern] of wanted) {
    const at = rest.findIndex(([m, line]) => m === mark && pattern.test(line));
    if (at < 0) return change;
    // A pattern explains every line it fits.
    for (let i = rest.length - 1; i >= 0; i -= 1) if (rest[i][0] === mark && pattern.test(rest[i][1])) rest.splice(i, 1);
  }
  used.add(row);
  return rest;
}

/** Lines only the first list has (`-`) and only the second (`+`), in order: the longest common subsequence stays. */
export function changes(first, second) {
  return aligned(first, second).filter(([i, j]) => i === undefined || j === undefined)
    .map(([i, j]) => (j === undefined ? ['-', first[i]] : ['+', second[j]]));
}

/** Pairs of indices: what is equal beside each other, what only one has alone. */
function aligned(first, second) {
  const table = Array.from({ length: first.length + 1 }, () => new Array(second.length + 1).fill(0));
  for (let i = first.length - 1; i >= 0; i -= 1) {
    for (let j = second.length - 1; j >= 0; j -= 1) {
      table[i][j] = first[i] === second[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const result = [];
  let [i, j] = [0, 0];
  while (i < first.length || j < second.length) {
    if (i < first.length && j < second.length && first[i] === second[j]) {
      result.push([i, j]);
      i += 1;
      j += 1;
    } else if (i < first.length && (j === second.length || table[i + 1][j] >= table[i][j + 1])) {
      result.push([i, undefined]);
      i += 1;
    } else {
      result.push([undefined, j]);
      j += 1;
    }
  }
  return result;
}
