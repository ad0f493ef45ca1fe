// The contour maps: colour for every measured value, lines at round heights, the marks, and the point with its two cross-sections.

const mapGraphs = [...document.querySelectorAll('.map')];

// Heights of the map: the metric's own, or decades; what is clipped stands at the top, where the colours are grey.
function heightsOf(plane, key, how, paint) {
  const top = topOf(paint);
  return plane.values[key].map((row) => row.map((value) => levelOn(value, how, top)));
}

const levelOn = (value, how, top) => (how.clip !== null && value !== null && value > how.clip ? top : height(drawn(value, how), how));

// The points beyond the complete grid, as small squares in the colours of the map.
function beyondTrace(plane, key, how, paint) {
  const points = beyondOf(plane, key).filter(({ value }) => drawn(value, how) !== null);
  return {
    type: 'scatter', mode: 'markers', x: points.map(({ x }) => x), y: points.map(({ y }) => y), showlegend: false, visible: points.length > 0,
    hovertext: points.map((point) => saidBeyond(key, point)), hoverinfo: 'text',
    marker: {
      symbol: 'square', size: 5, color: points.map(({ value }) => levelOn(value, how, topOf(paint))), cmin: paint.low, cmax: topOf(paint),
      colorscale: paint.colorscale, showscale: false, line: { color: 'rgba(255, 255, 255, 0.6)', width: 0.5 },
    },
  };
}

function saidBeyond(key, { x, y, value }) {
  const { label, unit } = metricOf(key);
  return [`<b>${plain(label)} ${value}</b>${unit ? ` ${plain(unit)}` : ''}`, 'beyond the complete grid', `x ${place(x)}`, `y ${place(y)}`].join('<br>');
}

function mapTraces(plane, key, how, paint) {
  const { x, y } = gridOf(plane, key);
  const z = heightsOf(plane, key, how, paint);
  const texts = plane.values[key].map((row, j) => row.map((value, i) => (z[j][i] === null ? ''
    : [...described(plane, key, j, i, value), `x ${place(x[i])}`, `y ${place(y[j])}`].join('<br>'))));
  const levels = levelsOf(paint, how);
  const lines = levels.flatMap(([level]) => levelLine(x, y, z, level));
  const labels = labelPlaces(x, y, z, levels, plane.points);
  const { edge, lowest } = featuresOf(plane, key);
  const marks = marksOf(plane, key, how);
  const line = { hoverinfo: 'skip', showlegend: false, type: 'scatter', mode: 'lines' };
  const rim = [polyline(edge, 0), polyline(edge, 1)];
  return [
    {
      type: 'heatmap', x, y, z, zmin: paint.low, zmax: topOf(paint), colorscale: paint.colorscale, showscale: false, zsmooth: x.length > 1 && y.length > 1 ? 'best' : false,
      hovertext: texts, hoverinfo: 'text', hoverongaps: false, connectgaps: false,
    },
    { ...line, x: polyline(lines, 0), y: polyline(lines, 1), line: { color: 'rgba(10, 12, 20, 0.42)', width: 0.9, simplify: false } },
    {
      ...line, mode: 'text', x: labels.map(({ at }) => at[0]), y: labels.map(({ at }) => at[1]), text: labels.map(({ label }) => label),
      textfont: { size: 10.5, color: '#14161c', shadow: '0 0 2px #fff, 0 0 2px #fff, 0 0 3px #fff' },
    },
    { ...line, x: rim[0], y: rim[1], line: { color: '#14161c', width: 4, simplify: false }, visible: edge.length > 0 },
    { ...line, x: rim[0], y: rim[1], line: { color: '#ffffff', width: 2.2, simplify: false }, visible: edge.length > 0 },
    {
      ...line, mode: 'markers', x: lowest ? [lowest.x] : [], y: lowest ? [lowest.y] : [],
      marker: { size: 9, symbol: 'cross', color: '#ffffff', line: { color: '#14161c', width: 1.2 } },
    },
    {
      ...line, mode: 'markers', x: marks.map((point) => point.coordinates[0]), y: marks.map((point) => point.coordinates[1]),
      marker: { size: 8, symbol: 'diamond', color: '#ffffff', line: { color: '#14161c', width: 1.5 } },
    },
    beyondTrace(plane, key, how, paint),
  ];
}

// The contour levels, as many as asked for, at round heights.
function levelsOf({ range, flat }, how) {
  if (!range || view.levels === 0) return [];
  const inside = ticks(range, how.log, view.levels).filter(([at]) => at > range.low && at < range.high);
  return flat ? inside : inside.filter(([at]) => at < range.high);
}

// Where each level's number stands: on its line, away from the edges and from the other numbers.
function labelPlaces(x, y, z, levels, points) {
  const [width, depth] = [x, y].map((axis) => Math.abs(axis[axis.length - 1] - axis[0]) || 1);
  const placed = points.map(({ coordinates }) => ({ at: coordinates, label: '' }));
  for (const [level, label] of levels) {
    const places = levelLine(x, y, z, level).map(([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2])
      .filter((at) => Math.abs(at[0] - (x[0] + x[x.length - 1]) / 2) < 0.44 * width && Math.abs(at[1] - (y[0] + y[y.length - 1]) / 2) < 0.44 * depth);
    const apart = (at) => placed.reduce((least, other) => Math.min(least, Math.hypot((at[0] - other.at[0]) / width, (at[1] - other.at[1]) / depth)), 0.5);
    const best = places.filter((_, i) => i % Math.ceil(places.length / 200) === 0).map((at) => ({ at, label, far: apart(at) })).sort((a, b) => b.far - a.far)[0];
    if (best && best.far > 0.15) placed.push(best);
  }
  return placed.filter(({ label }) => label);
}

function mapLayout(plane, key, how) {
  const { x, y } = gridOf(plane, key);
  const bounds = (axis) => {
    const room = axis.length > 1 ? 0 : 0.5;
    return [axis[0] - room, axis[axis.length - 1] + room].sort((a, b) => a - b);
  };
  const [across, up] = [bounds(x), bounds(y)];
  const ratio = (across[1] - across[0]) / (up[1] - up[0]);
  const square = ratio > 0.4 && ratio < 2.5 ? { scaleanchor: 'x', scaleratio: 1, constrain: 'domain' } : {}; // one unit, one length
  return {
    ...chartLayout(), margin: { l: 40, r: 8, t: 4, b: 36 }, showlegend: false, annotations: nameplates(plane, key, how, across),
    xaxis: { ...chartAxis(axisName(plane.x_label, 'x'), 44), range: across, constrain: 'domain', zeroline: false, showgrid: false, ticks: 'outside', ticklen: 3, tickcolor: colour('rule') },
    yaxis: { ...chartAxis(axisName(plane.y_label, 'y'), 34), range: up, zeroline: false, showgrid: false, ticks: 'outside', ticklen: 3, tickcolor: colour('rule'), ...square },
  };
}

// The models' names above their marks, where they have room.
function nameplates(plane, key, how, [left, right]) {
  const side = (x) => { const share = (x - left) / (right - left); return share < 0.3 ? 'left' : share > 0.7 ? 'right' : 'center'; };
  return marksOf(plane, key, how).filter(({ name }) => name).map(({ name, coordinates: [x, y] }) => ({
    x, y, text: plain(shortened(name, 22)), ax: 0, ay: -30, xanchor: side(x), arrowhead: 0, arrowwidth: 1, arrowcolor: '#14161c', standoff: 6,
    bgcolor: 'rgba(255, 255, 255, 0.82)', borderpad: 2, font: { size: 11, color: '#14161c' },
  }));
}

// Long labels stand above the map.
const axisName = (label, name) => (label.length > 24 ? name : label);

function drawMaps(key, how) {
  return Promise.all(mapGraphs.map((graph, i) => {
    const plane = data.planes[i];
    return Plotly.react(graph, mapTraces(plane, key, how, paintOf(plane, key, how)), mapLayout(plane, key, how), CONFIG);
  }));
}

// The point on each map: two hairlines and a ring, laid over the drawing, which stays as it is.
function followPointOnMaps(key) {
  mapGraphs.forEach((graph, i) => {
    const { xaxis, yaxis } = graph._fullLayout ?? {};
    if (!xaxis?.l2p) return;
    const { x, y } = gridOf(data.planes[i], key);
    const node = nodeOf(data.planes[i], key);
    const [left, top] = [xaxis._offset + xaxis.l2p(x[node.i]), yaxis._offset + yaxis.l2p(y[node.j])];
    const overlay = graph.parentNode.querySelector('.overlay') ?? madeOverlay(graph);
    Object.assign(overlay.children[0].style, { left: `${left}px`, top: `${yaxis._offset}px`, height: `${yaxis._length}px` });
    Object.assign(overlay.children[1].style, { top: `${top}px`, left: `${xaxis._offset}px`, width: `${xaxis._length}px` });
    Object.assign(overlay.children[2].style, { left: `${left}px`, top: `${top}px` });
    overlay.classList.toggle('held', view.held);
  });
}

function madeOverlay(graph) {
  const overlay = document.createElement('div');
  overlay.className = 'overlay';
  overlay.append(...['upright', 'level', 'ring'].map((name) => Object.assign(document.createElement('i'), { className: name })));
  graph.after(overlay);
  return overlay;
}
