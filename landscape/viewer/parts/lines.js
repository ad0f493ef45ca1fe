// Lines: every one over the same pair of axes, with its band of one standard error or, of a fraction, its 95 % interval; several draws as median and band of quartiles.

const lineGraph = document.querySelector('.lines');

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
    ...errorBand(nodes, values, endsOf(line, key)?.map((rows) => rows[0]), how, style.ink).map((band) => ({ ...band, legendgroup: line.name })),
    { x: nodes, y, type: 'scatter', mode: 'lines', name: plain(shortened(line.name, 60)), legendgroup: line.name, connectgaps: false,
      line: { color: style.ink, dash: style.dash, width: 2.2, simplify: false }, hovertext: texts, hoverinfo: 'text' },
    { x: nodes, y: alone, type: 'scatter', mode: 'markers', showlegend: false, legendgroup: line.name, marker: { size: 5, color: style.ink },
      hovertext: texts, hoverinfo: 'text' },
    dots,
  ];
}

// From the first to the last point of all lines.
function acrossLines(key) {
  const nodes = data.lines.flatMap((line) => gridOf(line, key).x);
  const [low, high] = [Math.min(...nodes), Math.max(...nodes)];
  return high > low ? [low, high] : [low - 0.5, high + 0.5];
}

function linesLayout(key, how) {
  const labels = new Set(data.lines.map((line) => line.x_label));
  return {
    ...chartLayout(), margin: { l: 56, r: 14, t: 30, b: 44 }, showlegend: true,
    legend: { orientation: 'h', x: 0, y: 1.02, yanchor: 'bottom', font: { color: colour('ink'), size: 12.5 } },
    xaxis: { ...chartAxis(labels.size === 1 ? [...labels][0] : 'x'), range: acrossLines(key) },
    yaxis: { ...chartAxis(titleOf(metricOf(key))), type: how.log ? 'log' : 'linear', exponentformat: 'e' },
  };
}

// What the bands are, in words.
function linesCaption(key) {
  const said = [];
  const single = data.lines.filter((line) => !line.draws.length);
  if (single.some((line) => line.stderr[key])) said.push('Bands: ± 1 standard error.');
  if (single.some((line) => line.low[key])) said.push('Bands: 95 % interval.');
  if (data.lines.some((line) => line.draws.length)) said.push('Several draws: median, band from the lower to the upper quartile, each draw a thin line.');
  return said.join(' ');
}

function drawLines(key, how) {
  if (!lineGraph) return Promise.resolve();
  const traces = data.lines.flatMap((line, number) => lineTraces(line, key, how, number));
  document.getElementById('along').textContent = linesCaption(key);
  return Plotly.react(lineGraph, traces, linesLayout(key, how), CONFIG);
}
