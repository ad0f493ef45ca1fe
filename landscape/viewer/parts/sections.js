// The cross-sections through the point, of all planes in two charts, and what was measured there, in a table.

const sectionGraphs = [...document.querySelectorAll('.section')];

// One plane's row (along x) or column (along y) through the point.
function sectionOf(plane, key, along) {
  const grid = gridOf(plane, key);
  const { i, j } = nodeOf(plane, key);
  const pick = (rows) => (rows ? (along === 'x' ? rows[j] : rows.map((row) => row[i])) : null);
  return { nodes: grid[along], values: pick(plane.values[key]), ends: endsOf(plane, key)?.map(pick), at: along === 'x' ? i : j };
}

function sectionTraces(plane, number, key, how, along) {
  const { nodes, values, ends, at } = sectionOf(plane, key, along);
  const style = { ink: inkOf(number), dash: DASHES[Math.floor(number / INKS.length) % DASHES.length] };
  const y = values.map((value) => drawn(value, how));
  const texts = values.map((value, k) => (value === null ? '' : `${plain(shortened(plane.name, 40))}<br><b>${value}</b><br>${along} ${place(nodes[k])}`));
  return [
    ...errorBand(nodes, values, ends, how, style.ink),
    {
      x: nodes, y, type: 'scatter', mode: nodes.length > 1 ? 'lines' : 'markers', name: plain(shortened(plane.name, 40)), line: { color: style.ink, dash: style.dash, width: 2, simplify: false },
      hovertext: texts, hoverinfo: 'text', showlegend: false, connectgaps: false, marker: { color: style.ink },
    },
    { x: [nodes[at]], y: [y[at]], type: 'scatter', mode: 'markers', marker: { size: 8, color: style.ink, line: { color: colour('card'), width: 1.5 } }, hoverinfo: 'skip', showlegend: false },
  ];
}

function sectionLayout(key, how, along, range) {
  const at = view.at[along === 'x' ? 0 : 1];
  return {
    ...chartLayout(), margin: { l: 40, r: 10, t: 6, b: 34 }, showlegend: false, xaxis: { ...chartAxis(along), zeroline: false },
    yaxis: { ...chartAxis(''), ...chartHeights(range, how), zeroline: false },
    shapes: [{ type: 'line', xref: 'x', yref: 'paper', x0: at, x1: at, y0: 0, y1: 1, line: { color: colour('soft'), width: 1, dash: 'dot' } }],
  };
}

function drawSections(key, how) {
  if (!data.planes.length) return Promise.resolve();
  const range = extent(data.planes, key, how);
  return Promise.all(sectionGraphs.map((graph) => {
    const traces = data.planes.flatMap((plane, number) => sectionTraces(plane, number, key, how, graph.dataset.along));
    return Plotly.react(graph, traces, sectionLayout(key, how, graph.dataset.along, range), CONFIG);
  }));
}

const tell = (value, digits = 6) => (value === null || value === undefined ? '–' : String(Number(value.toPrecision(digits))));

function cell(kind, text, name = '') {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  if (kind === 'th') made.scope = name === 'name' ? 'row' : 'col';
  return made;
}

// The exact value, its standard error or interval, accuracy and examples of every plane at its node nearest to the point.
function drawReadout(key) {
  const table = document.getElementById('readout');
  if (!table) return;
  const metric = metricOf(key);
  const accuracy = `${metric.split}_accuracy`;
  const columns = [['', (plane) => plane.name], [titleOf(metric), (plane, { j, i }) => plane.values[key][j][i]]];
  if (data.planes.some((plane) => plane.stderr[key])) columns.push(['± std. error', (plane, { j, i }) => plane.stderr[key]?.[j][i]]);
  if (data.planes.some((plane) => plane.low[key])) {
    columns.push(['95 % from', (plane, { j, i }) => plane.low[key]?.[j][i]], ['to', (plane, { j, i }) => plane.high[key]?.[j][i]]);
  }
  if (key !== accuracy && metricOf(accuracy)) columns.push(['accuracy', (plane, { j, i }) => plane.values[accuracy][j][i]]);
  columns.push(['examples', (plane, { j, i }) => plane.examples[metric.split]?.[j][i]]);
  const head = document.createElement('tr');
  head.append(...columns.map(([title]) => (title ? cell('th', title) : cell('td', ''))));
  const rows = data.planes.map((plane, number) => {
    const row = document.createElement('tr');
    const node = nodeOf(plane, key);
    row.append(...columns.map(([, read], k) => (k === 0 ? named(plane, number) : valueCell(read(plane, node), k))));
    return row;
  });
  table.replaceChildren(head, ...rows);
  tellPlace(key);
}

function named(plane, number) {
  const made = cell('th', shortened(plane.name, 40), 'name');
  const swatch = document.createElement('i');
  swatch.style.background = inkOf(number);
  made.prepend(swatch);
  return made;
}

function valueCell(value, k) {
  const made = cell('td', tell(value, k === 1 ? 8 : 5));
  if (value !== null && value !== undefined) made.title = String(value); // every digit
  return made;
}

const signed = (number) => place(number).replace('-', '−');

function tellPlace(key) {
  const { x, y } = gridOf(data.planes[0], key);
  const { i, j } = nodeOf(data.planes[0], key);
  document.getElementById('place').textContent = `Through x ${signed(x[i])}, y ${signed(y[j])}`;
  const hold = document.getElementById('hold');
  hold.setAttribute('aria-pressed', String(view.held));
  hold.textContent = view.held ? 'Held' : 'Hold';
}
