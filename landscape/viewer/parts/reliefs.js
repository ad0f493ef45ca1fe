// The 3-D drawings: one Plotly graph for each plane, their cameras linked, the point and its two cross-sections drawn on each.

const planeGraphs = [...document.querySelectorAll('.plane')];
const copied = (some) => JSON.parse(JSON.stringify(some));

// Where the eye starts: farther away where a plane has little width or height, so that its axes stay in the picture.
function home() {
  const box = planeGraphs[0]?.getBoundingClientRect() ?? { width: 1300, height: 1000 };
  const far = Math.min(1.8, Math.max(0.88, (1.35 * box.height) / box.width));
  return { eye: { x: 1.05 * far, y: -1.33 * far, z: 0.8 * far }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: -0.19 } };
}

let camera = null; // the one of all

// What hovering over a measured value says: every digit of it, its error, its examples, and the accuracy where that is held.
function described(surface, key, row, column, value) {
  const metric = metricOf(key);
  const said = [`<b>${plain(metric.label)} ${value}</b>${metric.unit ? ` ${plain(metric.unit)}` : ''}`];
  const error = surface.stderr[key]?.[row][column] ?? null;
  if (error !== null) said.push(`standard error ${error}`);
  const [low, high] = [surface.low, surface.high].map((ends) => ends[key]?.[row][column] ?? null);
  if (low !== null && high !== null) said.push(`95 % interval ${low} to ${high}`);
  const { split } = metric;
  const examples = surface.examples[split]?.[row][column] ?? null;
  if (examples !== null) said.push(`${counted(examples, 'example', 'examples')}`);
  const accuracy = surface.values[`${split}_accuracy`]?.[row][column] ?? null;
  if (accuracy !== null && key !== `${split}_accuracy`) said.push(`${plain(split)} accuracy ${accuracy}`);
  return said;
}

// Which nodes no drawn cell touches: a measured point among missing ones, or a grid of one row. They are drawn as dots.
function lonely(z) {
  const there = (j, i) => (z[j]?.[i] ?? null) !== null;
  const cell = (j, i) => there(j, i) && there(j + 1, i) && there(j, i + 1) && there(j + 1, i + 1);
  const found = [];
  z.forEach((row, j) => row.forEach((value, i) => {
    if (value !== null && !(cell(j, i) || cell(j - 1, i) || cell(j, i - 1) || cell(j - 1, i - 1))) found.push([j, i]);
  }));
  return found;
}

const marksOf = (surface, key, how) => surface.points.filter((point) => drawn(point.values[key] ?? null, how) !== null);

// The names of the models in the plane, before the surface so that no hill hides them.
function flags(plane, key, how) {
  return marksOf(plane, key, how).map((point) => ({
    x: point.coordinates[0], y: point.coordinates[1], z: height(drawn(point.values[key], how), how), text: plain(shortened(point.name, 28)),
    ax: 58, ay: -44, arrowcolor: colour('mark'), arrowwidth: 1.2, arrowhead: 0, standoff: 3, bgcolor: colour('card'), bordercolor: colour('rule'),
    borderpad: 3, opacity: 0.92, font: { color: colour('ink'), size: 11.5 },
  }));
}

function planeTraces(plane, key, how, paint) {
  const measured = plane.values[key];
  const { x, y } = gridOf(plane, key);
  const z = measured.map((row) => row.map((value) => height(drawn(value, how), how)));
  const tones = measured.map((row) => row.map((value) => tone(value, how, paint)));
  const texts = measured.map((row, j) => row.map((value, i) => (z[j][i] === null ? ''
    : [...described(plane, key, j, i, value), `x ${place(x[i])}`, `y ${place(y[j])}`].join('<br>'))));
  const colours = { cmin: 0, cmax: 1, colorscale: paint.colorscale, showscale: false };
  const { edge, lowest } = featuresOf(plane, key);
  const rim = lifted(rimOf(plane, key), how, paint);
  const dots = lonely(z);
  const marks = marksOf(plane, key, how);
  return [
    {
      type: 'surface', x, y, z, surfacecolor: tones, ...colours, hovertext: texts, hoverinfo: 'text',
      connectgaps: false, visible: z.some((row) => row.some((value) => value !== null)), lighting: { ambient: 0.62, diffuse: 0.62, specular: 0.12, roughness: 0.7, fresnel: 0.1 },
      lightposition: { x: -2e4, y: -3e4, z: 5e4 },
    },
    {
      type: 'scatter3d', mode: 'markers', x: dots.map(([, i]) => x[i]), y: dots.map(([j]) => y[j]),
      z: dots.map(([j, i]) => z[j][i]), hovertext: dots.map(([j, i]) => texts[j][i]), hoverinfo: 'text', showlegend: false,
      marker: { size: 3.5, color: dots.map(([j, i]) => tones[j][i]), ...colours },
    },
    {
      type: 'scatter3d', mode: 'markers', x: marks.map((point) => point.coordinates[0]), y: marks.map((point) => point.coordinates[1]),
      z: marks.map((point) => height(drawn(point.values[key], how), how)), showlegend: false,
      hovertext: marks.map((point) => [`<b>${plain(shortened(point.name, 80))}</b>`, `${plain(metricOf(key).label)} ${point.values[key]}, its own`,
        `x ${place(point.coordinates[0])}`, `y ${place(point.coordinates[1])}`].join('<br>')),
      hoverinfo: 'text',
      marker: { size: 5, color: colour('mark'), symbol: 'diamond', line: { color: colour('card'), width: 1 } },
    },
    { ...crossTrace(plane, key, how, paint) },
    {
      type: 'scatter3d', mode: 'lines', x: polyline(edge, 0), y: polyline(edge, 1), z: edge.flatMap(() => [rim, rim, null]),
      line: { color: '#ffffff', width: 5 }, hoverinfo: 'skip', showlegend: false, visible: edge.length > 0 && drawn(rimOf(plane, key), how) === rimOf(plane, key),
    },
    {
      type: 'scatter3d', mode: 'markers', x: lowest ? [lowest.x] : [], y: lowest ? [lowest.y] : [], z: lowest ? [height(drawn(lowest.value, how), how)] : [],
      marker: { size: 5, symbol: 'cross', color: '#ffffff', line: { color: '#1d2330', width: 1 } }, hoverinfo: 'text', showlegend: false,
      hovertext: lowest ? [[`<b>lowest on the grid ${lowest.value}</b>`, `x ${place(lowest.x)}`, `y ${place(lowest.y)}`].join('<br>')] : [],
    },
    beyondTrace3d(plane, key, how, paint),
  ];
}

// The points beyond the complete grid, as dots.
function beyondTrace3d(plane, key, how, paint) {
  const points = beyondOf(plane, key).filter(({ value }) => drawn(value, how) !== null);
  return {
    type: 'scatter3d', mode: 'markers', x: points.map(({ x }) => x), y: points.map(({ y }) => y), z: points.map(({ value }) => height(drawn(value, how), how)),
    hovertext: points.map((point) => saidBeyond(key, point)), hoverinfo: 'text', showlegend: false, visible: points.length > 0,
    marker: { size: 1.8, color: points.map(({ value }) => tone(value, how, paint)), cmin: 0, cmax: 1, colorscale: paint.colorscale, showscale: false },
  };
}

// A hair above the surface, so that a line on it is not half buried.
function lifted(value, how, { low, high }) {
  const at = height(drawn(value, how), how);
  return at === null || !Number.isFinite(at) ? null : at + 0.006 * (high - low);
}

// The two cross-sections through the point, as they run over the surface.
function crossTrace(plane, key, how, paint) {
  const { x, y } = gridOf(plane, key);
  const { j, i } = nodeOf(plane, key);
  const rows = plane.values[key];
  const along = [...x.map((at, k) => [at, y[j], rows[j][k]]), [null, null, null], ...y.map((at, k) => [x[i], at, rows[k][i]])];
  return {
    type: 'scatter3d', mode: 'lines', x: along.map(([at]) => at), y: along.map(([, at]) => at), z: along.map(([, , value]) => lifted(value, how, paint)),
    line: { color: colour('ink'), width: 3 }, hoverinfo: 'skip', showlegend: false, connectgaps: false,
  };
}

// The node of a plane that is nearest to the point.
function nodeOf(plane, key) {
  const { x, y } = gridOf(plane, key);
  return { i: nearest(x, view.at[0]), j: nearest(y, view.at[1]) };
}

function planeLayout(plane, key, how, range, wide) {
  const axis = (title) => ({
    title: { text: plain(shortened(title, 40)), font: { size: 12, color: colour('soft') } }, tickfont: { size: 10.5, color: colour('soft') },
    gridcolor: colour('rule'), zerolinecolor: colour('rule'), linecolor: colour('rule'), showspikes: false, nticks: 6,
  });
  const steps = range ? ticks(range, how.log, 7) : [];
  const z = {
    ...axis(wide && titleOf(metricOf(key)).length < 24 ? titleOf(metricOf(key)) : ''), range: padded(range ?? { low: 0, high: 1 }), // a linear axis: decades are heights already
    tickvals: steps.map(([at]) => at), ticktext: steps.map(([, label]) => label),
  };
  const { family, modebar } = dress();
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: 'rgba(0,0,0,0)', font: { family },
    hoverlabel: { bgcolor: colour('card'), bordercolor: colour('rule'), align: 'left', font: { color: colour('ink'), size: 12, family } },
    modebar,
    xaxis: { visible: false }, yaxis: { visible: false }, // what Plotly would draw for a plane without a single value
    scene: {
      annotations: flags(plane, key, how),
      camera: copied(camera), aspectmode: 'manual', aspectratio: { x: 1, y: 1, z: 0.72 * view.height }, dragmode: 'turntable',
      xaxis: axis(axisName(plane.x_label, 'x')), yaxis: axis(axisName(plane.y_label, 'y')), zaxis: z,
    },
  };
}

// What every graph wears alike.
const dress = () => ({
  family: getComputedStyle(document.body).fontFamily,
  modebar: { bgcolor: 'rgba(0,0,0,0)', color: colour('soft'), activecolor: colour('ink') },
});

const CONFIG = { responsive: true, displayModeBar: false, showTips: false };

// Draws every plane; resolves when all are there.
function drawPlanes(key, how) {
  camera ??= view.eye ?? home();
  return Promise.all(planeGraphs.map((graph, i) => {
    const plane = data.planes[i];
    const paint = paintOf(plane, key, how);
    drawScale(graph.closest('.card').querySelector('.scale'), key, paint.range, how, paint.flat);
    return Plotly.react(graph, planeTraces(plane, key, how, paint), planeLayout(plane, key, how, paint.range, graph.clientWidth >= 420), CONFIG);
  }));
}

// The range and colours of a plane: those of all planes, or its own.
function paintOf(plane, key, how) {
  const group = view.scale === 'shared' ? data.planes : [plane];
  const range = extent(group, key, how);
  const flat = isClipped(group, key, how);
  return { ...colouring(range, flat), range, flat };
}

const CROSS = 3; // its number among the traces
let crossing3d = false;
let missed = false;

// The lines through the point follow it as fast as the reliefs can be drawn, and not while one is being turned.
function followPoint3d(key, how) {
  missed = crossing3d || dragging;
  if (missed) return;
  crossing3d = true;
  Promise.all(planeGraphs.map((graph, i) => {
    const { x, y, z } = crossTrace(data.planes[i], key, how, paintOf(data.planes[i], key, how));
    return graph.data ? Plotly.restyle(graph, { x: [x], y: [y], z: [z] }, [CROSS]) : null;
  })).finally(() => {
    crossing3d = false;
    if (missed) showPoint();
  });
}

let dragging = false;
function watchDragging() {
  for (const graph of planeGraphs) graph.addEventListener('pointerdown', () => { dragging = true; });
  for (const ending of ['pointerup', 'pointercancel', 'blur']) {
    window.addEventListener(ending, () => {
      dragging = false;
      if (missed) showPoint();
    });
  }
}

// One camera for all. A graph that is being turned by us stays silent: its own report of the turn would come back as an echo,
// and a late one would pull the graph under the reader's hand backwards.
const turning = new Set();
let waiting = null;

function turnOthers(source) {
  const followers = planeGraphs.filter((graph) => graph !== source);
  followers.forEach((graph) => turning.add(graph));
  return Promise.all(followers.map((graph) => Plotly.relayout(graph, { 'scene.camera': copied(camera) }))).then(() => {
    followers.forEach((graph) => turning.delete(graph));
    const next = waiting;
    waiting = null;
    return next ? follow(next) : undefined;
  });
}

function follow(source) {
  const now = source._fullLayout.scene?._scene?.getCamera(); // a plane without values has no scene
  if (!now || JSON.stringify(now) === JSON.stringify(camera)) return undefined;
  camera = copied(now);
  source.layout.scene.camera = copied(now); // Plotly leaves this out after a wheel's turn
  view.eye = camera;
  rememberSoon();
  return turnOthers(source);
}

function onTurn(source) {
  if (turning.has(source)) return;
  if (turning.size) waiting = source;
  else follow(source);
}

// After its last event Plotly moves a camera on for some frames, and says nothing of it.
function onTurnEnding(source) {
  for (const later of [0, 100, 250, 500, 1000, 2000]) setTimeout(() => onTurn(source), later);
}

function linkCameras() {
  for (const graph of planeGraphs) {
    graph.on('plotly_relayouting', () => onTurn(graph));
    graph.on('plotly_relayout', () => onTurn(graph));
    graph.addEventListener('wheel', () => onTurnEnding(graph), { passive: true });
    graph.addEventListener('mouseup', () => onTurnEnding(graph));
  }
}

function turnTo(next) {
  camera = next;
  return turnOthers(null);
}

function resetCameras() {
  view.eye = null;
  return turnTo(home());
}

// Turning by keys: the eye moves on a sphere around what it looks at, by degrees, or nearer and farther.
function turnBy(sideways, upwards, nearer = 1) {
  const { eye } = camera;
  const distance = Math.hypot(eye.x, eye.y, eye.z) * nearer;
  const azimuth = Math.atan2(eye.y, eye.x) + (sideways * Math.PI) / 180;
  const limit = (89 * Math.PI) / 180;
  const elevation = Math.min(limit, Math.max(-limit, Math.asin(eye.z / Math.hypot(eye.x, eye.y, eye.z)) + (upwards * Math.PI) / 180));
  const next = copied(camera);
  next.eye = { x: distance * Math.cos(elevation) * Math.cos(azimuth), y: distance * Math.cos(elevation) * Math.sin(azimuth), z: distance * Math.sin(elevation) };
  view.eye = next;
  rememberSoon();
  return turnTo(next);
}
