// Two transcripts, line by line.

/**
 * The differences no row of `argued` explains, as texts. `used` collects the rows that explained one.
 * A row: `{why, request: RegExp, drop: [RegExp], add: [RegExp]}`.
 */
export function differences(title, expected, got, argued, used) {
  const found = [];
  const length = Math.max(expected.length, got.length);
  for (let i = 0; i < length; i += 1) {
    const request = expected[i]?.request ?? got[i]?.request;
    const where = `${title}: ${request}`;
    let change = changes(expected[i]?.answer ?? [], got[i]?.answer ?? []);
    for (const row of argued.filter((r) => r.request.test(where))) change = explained(change, row, used);
    if (change.length > 0) found.push([where, ...change.map(([mark, line]) => `    ${mark} ${line}`)].join('\n'));
  }
  return found;
}

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
      i += 1;
      j += 1;
    } else if (i < first.length && (j === second.length || table[i + 1][j] >= table[i][j + 1])) {
      result.push(['-', first[i]]);
      i += 1;
    } else {
      result.push(['+', second[j]]);
      j += 1;
    }
  }
  return result;
}
