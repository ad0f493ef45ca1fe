// The 2-D drawing: every line over one pair of axes; several draws of a line as median and band.

// Six colours that colour-blind readers tell apart (Okabe and Ito), those of good contrast first; then the dashes change.
const INKS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
const inkOf = (number) => (dark.matches ? [...INKS].reverse() : INKS)[number % INKS.length];
const DASHES = ['solid', 'dash', 'dot', 'dashdot'];
const translucent = (hex, share) => `rgba(${[1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).join(', ')}, ${share})`;

const lineGraph = document.querySelector('.lines');

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

function drawsTraces(line, key, how, style) {
  const [low, middle, high] = line.quartiles[key];
  const at = (row) => row.map((value) => drawn(value, how));
  const nodes = gridOf(line, key).x;
  const band = bandShape(nodes, at(low), at(high));
  const x = line.values[key].flatMap(() => [...nodes, null]);
  const y = line.values[key].flatMap((row) => [...at(row), null]);
  const metric = metricOf(key);
  const unit = metric.unit ? ` ${plain(metric.unit)}` : '';
  const texts = nodes.map((where, i) => [plain(shortened(line.name, 60)), `<b>median ${plain(metric.label)} ${middle[i]}</b>${unit}`,
    `quartiles ${low[i]} and ${high[i]}`, `${line.values[key].filter((row) => row[i] !== null).length} of ${line.draws.length} draws`, `x ${place(where)}`].join('<br>'));
  return [
    { ...band, type: 'scatter', mode: 'lines', fill: 'toself', fillcolor: translucent(style.ink, 0.2), line: { width: 0, simplify: false }, hoverinfo: 'skip',
      showlegend: false, legendgroup: line.name },
    { x, y, type: 'scatter', mode: 'lines', line: { color: translucent(style.ink, 0.25), width: 0.8, simplify: false }, hoverinfo: 'skip', showlegend: false,
      legendgroup: line.name, connectgaps: false },
    { x: nodes, y: at(middle), type: 'scatter', mode: 'lines', name: plain(`${shortened(line.name, 60)}, median of ${line.draws.length} draws`),
      legendgroup: line.name, line: { color: style.ink, dash: style.dash, width: 2.2, simplify: false }, hovertext: texts, hoverinfo: 'text', connectgaps: false },
  ];
}

function lineTraces(line, key, how, number) {
  const style = { ink: inkOf(number), dash: DASHES[Math.floor(number / INKS.length) % DASHES.length] };
  const marks = marksOf(line, key, how);
  const before = data.lines.slice(0, number).flatMap((other) => other.points);
  const named = (point) => before.some(({ name, coordinates }) => name === point.name && coordinates[0] === point.coordinates[0]);
  const dots = {
    x: marks.map((point) => point.coordinates[0]), y: marks.map((point) => drawn(point.values[key], how)), type: 'scatter', mode: 'markers+text',
    text: marks.map((point) => (named(point) ? '' : plain(shortened(point.name, 28)))), textposition: 'top center', textfont: { color: colour('soft'), size: 11.5 },
    hovertext: marks.map((point) => [`<b>${plain(shortened(point.name, 80))}</b>`, `${plain(metricOf(key).label)} ${point.values[key]}, its own`,
      `x ${place(point.coordinates[0])}`].join('<br>')),
    hoverinfo: 'text', showlegend: false, legendgroup: line.name, cliponaxis: false,
    marker: { size: 9, symbol: 'diamond', color: style.ink, line: { color: colour('card'), width: 1.5 } },
  };
  if (line.draws.length) return [...drawsTraces(line, key, how, style), dots];
  const values = line.values[key][0];
  const nodes = gridOf(line, key).x;
  const texts = values.map((value, i) => (value === null ? ''
    : [plain(shortened(line.name, 60)), ...described(line, key, 0, i, value), `x ${place(nodes[i])}`].join('<br>')));
  const y = values.map((value) => drawn(value, how));
  const alone = y.map((value, i) => ((y[i - 1] ?? null) === null && (y[i + 1] ?? null) === null ? value : null));
  return [
    { x: nodes, y, type: 'scatter', mode: 'lines', name: plain(shortened(line.name, 60)), legendgroup: line.name, connectgaps: false,
      line: { color: style.ink, dash: style.dash, width: 2.2, simplify: false }, hovertext: texts, hoverinfo: 'text' },
    { x: nodes, y: alone, type: 'scatter', mode: 'markers', showlegend: false, legendgroup: line.name, marker: { size: 5, color: style.ink },
      hovertext: texts, hoverinfo: 'text' },
    dots,
  ];
}

function linesLayout(key, how) {
  const labels = new Set(data.lines.map((line) => line.x_label));
  const axis = (title) => ({
    title: { text: plain(shortened(title, 60)), font: { size: 12.5 }, standoff: 8 }, gridcolor: colour('rule'), zerolinecolor: colour('rule'),
    linecolor: colour('rule'), tickfont: { size: 11.5 }, automargin: true,
  });
  const { family, modebar } = dress();
  return {
    margin: { l: 56, r: 14, t: 30, b: 44 }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', hovermode: 'closest', modebar,
    font: { family, color: colour('soft') }, showlegend: true,
    legend: { orientation: 'h', x: 0, y: 1.02, yanchor: 'bottom', font: { color: colour('ink'), size: 12.5 } },
    hoverlabel: { bgcolor: colour('card'), align: 'left', font: { color: colour('ink'), size: 12, family } },
    xaxis: axis(labels.size === 1 ? [...labels][0] : 'x'),
    yaxis: { ...axis(titleOf(metricOf(key))), type: how.log ? 'log' : 'linear', exponentformat: 'e' },
  };
}

function drawLines(key, how) {
  if (!lineGraph) return Promise.resolve();
  const traces = data.lines.flatMap((line, number) => lineTraces(line, key, how, number));
  return Plotly.react(lineGraph, traces, linesLayout(key, how), configOf('lines'));
}
