// The page of results: tables, and one chart of ratios.

const WIDTH = 760;
const LABEL = 300;
const ROW = 26;

export const median = (values) => {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.floor(sorted.length / 2)];
};

const number = (value) => {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
};

/** The better Janus' figure divided by ours; `results[server][round]` are the reports of the load generator. */
export function ratio(scenario, results) {
  const [, , of] = scenario.figures[0];
  const [ours, ...others] = results.map((rounds) => median(rounds.map(of)));
  return Math.min(...others.filter(Number.isFinite)) / ours;
}

export function table(scenario, results, servers) {
  const lines = [
    `### ${scenario.name}`, '', `    portunus-loadtest ${scenario.args.join(' ')}`, '',
    `| median of ${results[0].length} (lowest, highest) | ${servers.map(({ name }) => name).join(' | ')} |`,
    `|---|${servers.map(() => '---|').join('')}`,
  ];
  for (const [name, unit, of] of scenario.figures) {
    const cells = results.map((rounds) => {
      const values = rounds.map(of).filter(Number.isFinite);
      if (values.length === 0) return 'none';
      return `${number(median(values))} ${unit} (${number(Math.min(...values))}, ${number(Math.max(...values))})`;
    });
    lines.push(`| ${name} | ${cells.join(' | ')} |`);
  }
  const wanted = [['must', scenario.must], ['aim', scenario.aim]].filter(([, value]) => value);
  const goals = wanted.map(([word, value]) => `${word} ${value}`).join(', ');
  lines.push('', `The better Janus takes ${number(ratio(scenario, results))} times as much${goals ? ` (${goals})` : ''}.`, '');
  return lines.join('\n');
}

export function chart(rows) {
  const height = rows.length * ROW + 40;
  const most = Math.max(4, ...rows.map(({ value }) => value));
  const x = (value) => LABEL + (value / most) * (WIDTH - LABEL - 60);
  const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const bars = rows.map(({ name, value }, i) => {
    const y = 24 + i * ROW;
    return `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escape(name)}</text>`
      + `<rect x="${LABEL}" y="${y}" width="${(x(value) - LABEL).toFixed(1)}" height="${ROW - 8}" fill="#2f6f9f"/>`
      + `<text x="${(x(value) + 6).toFixed(1)}" y="${y + 14}">${number(value)}</text>`;
  });
  const line = (value) => `<line x1="${x(value)}" x2="${x(value)}" y1="16" y2="${height - 8}" stroke="#999" stroke-dasharray="3 3"/>`
    + `<text x="${x(value)}" y="12" text-anchor="middle" fill="#666">${value}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="13">`
    + `<rect width="100%" height="100%" fill="#fff"/>${line(1)}${line(3)}${bars.join('')}</svg>\n`;
}
