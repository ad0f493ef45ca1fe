// What curves have in common: inks, bands and axes, for the cross-sections and for lines alike.

// Six colours that colour-blind readers tell apart (Okabe and Ito), those of good contrast first; then the dashes change.
const INKS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
const inkOf = (number) => (dark.matches ? [...INKS].reverse() : INKS)[number % INKS.length];
const DASHES = ['solid', 'dash', 'dot', 'dashdot'];
const translucent = (hex, share) => `rgba(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(', ')}, ${share})`;

// The middle half of the draws as a closed shape for each stretch without a hole.
function bandShape(nodes, low, high) {
  const x = [];
  const y = [];
  let start = null;
  for (let i = 0; i <= nodes.length; i += 1) {
    const there = i < nodes.length && low[i] !== null && high[i] !== null;
    if (there && start === null) start = i;
    if (there || start === null) continue;
    for (let at = start; at < i; at += 1) { x.push(nodes[at]); y.push(low[at]); }
    for (let at = i - 1; at >= start; at -= 1) { x.push(nodes[at]); y.push(high[at]); }
    x.push(nodes[start], null);
    y.push(low[start], null);
    start = null;
  }
  return { x, y };
}

// Where the values may end below and above, row by row: a fraction's 95 % interval, or one standard error; null where neither is known.
function endsOf(surface, key) {
  if (surface.low[key]) return [surface.low[key], surface.high[key]];
  const errors = surface.stderr[key];
  if (!errors) return null;
  const shifted = (value, error, sign) => (value === null || error === null ? null : value + sign * error);
  return [-1, 1].map((sign) => surface.values[key].map((row, j) => row.map((value, i) => shifted(value, errors[j][i], sign))));
}

// The band between those ends, `[low, high]`; on a logarithmic scale it has no end at or below zero.
function errorBand(nodes, values, ends, how, ink) {
  if (!ends) return [];
  const at = (end) => values.map((value, i) => (value === null || end[i] === null ? null : bounded(end[i], value, how)));
  return [{
    ...bandShape(nodes, at(ends[0]), at(ends[1])), type: 'scatter', mode: 'lines', fill: 'toself', fillcolor: translucent(ink, 0.22), line: { width: 0, simplify: false },
    hoverinfo: 'skip', showlegend: false,
  }];
}

function bounded(end, value, how) {
  if (how.log && end <= 0) return drawn(value, how) === null ? null : drawn(value / 10, how);
  return drawn(end, how);
}

// An axis of a chart: its title and the colours of the page.
const chartAxis = (title, room = 60) => ({
  title: { text: plain(shortened(title, room)), font: { size: 12 }, standoff: 6 }, gridcolor: colour('rule'), zerolinecolor: colour('rule'),
  linecolor: colour('rule'), tickfont: { size: 11 }, automargin: true, fixedrange: true,
});

// Between which heights a chart runs, and its ticks.
function chartHeights(range, how) {
  const steps = range ? ticks(range, how.log, 6) : [];
  return {
    type: how.log ? 'log' : 'linear', range: padded(range ?? { low: 0, high: 1 }), tickvals: steps.map(([at]) => (how.log ? 10 ** at : at)),
    ticktext: steps.map(([, label]) => label),
  };
}

function chartLayout() {
  const { family } = dress();
  return {
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', hovermode: 'closest', dragmode: false, font: { family, color: colour('soft') },
    hoverlabel: { bgcolor: colour('card'), align: 'left', font: { color: colour('ink'), size: 12, family } },
  };
}
