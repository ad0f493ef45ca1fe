// The 3-D drawings: one Plotly graph for each plane, their cameras linked.

const planeGraphs = [...document.querySelectorAll('.plane')];
const copied = (some) => JSON.parse(JSON.stringify(some));

// Where the eye starts: farther away where a plane has little width or height, so that its axes stay in the picture.
function home() {
  const box = planeGraphs[0]?.getBoundingClientRect() ?? { width: 1300, height: 1000 };
  const far = Math.min(1.8, Math.max(1, (1.3 * box.height) / box.width, 400 / box.height));
  return { eye: { x: 1.05 * far, y: -1.33 * far, z: 0.8 * far }, up: { x: 0, y: 0, z: 1 }, center: { x: 0, y: 0, z: -0.17 } };
}

let camera = home();

// What hovering over a measured value says: every digit of it, its error, its examples, and the accuracy where that is held.
function described(surface, key, row, column, value) {
  const metric = metricOf(key);
  const said = [`<b>${plain(metric.label)} ${value}</b>${metric.unit ? ` ${plain(metric.unit)}` : ''}`];
  const error = surface.stderr[key]?.[row][column] ?? null;
  if (error !== null) said.push(`standard error ${error}`);
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
    ax: 0, ay: -34, arrowcolor: colour('mark'), arrowwidth: 1.2, arrowhead: 0, standoff: 3, bgcolor: colour('card'), bordercolor: colour('rule'),
    borderpad: 3, opacity: 0.92, font: { color: colour('ink'), size: 11.5 },
  }));
}

function planeTraces(plane, key, how, paint) {
  const measured = plane.values[key];
  const { x, y } = gridOf(plane, key);
  const z = measured.map((row) => row.map((value) => drawn(value, how)));
  const tones = measured.map((row) => row.map((value) => tone(value, how, paint)));
  const texts = measured.map((row, j) => row.map((value, i) => (z[j][i] === null ? ''
    : [...described(plane, key, j, i, value), `x ${place(x[i])}`, `y ${place(y[j])}`].join('<br>'))));
  const colours = { cmin: 0, cmax: 1, colorscale: paint.colorscale, showscale: false };
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
      z: marks.map((point) => drawn(point.values[key], how)), showlegend: false,
      hovertext: marks.map((point) => [`<b>${plain(shortened(point.name, 80))}</b>`, `${plain(metricOf(key).label)} ${point.values[key]}, its own`,
        `x ${place(point.coordinates[0])}`, `y ${place(point.coordinates[1])}`].join('<br>')),
      hoverinfo: 'text',
      marker: { size: 5, color: colour('mark'), symbol: 'diamond', line: { color: colour('card'), width: 1 } },
    },
  ];
}

function planeLayout(plane, key, how, range, wide) {
  const axis = (title) => ({
    title: { text: plain(shortened(title, 40)), font: { size: 12, color: colour('soft') } }, tickfont: { size: 10.5, color: colour('soft') },
    gridcolor: colour('rule'), zerolinecolor: colour('rule'), linecolor: colour('rule'), showspikes: false, nticks: 6,
  });
  const steps = range ? ticks(range, how.log, 7) : [];
  const z = {
    ...axis(wide ? titleOf(metricOf(key)) : ''), type: how.log ? 'log' : 'linear', range: padded(range ?? { low: 0, high: 1 }),
    tickvals: steps.map(([at]) => (how.log ? 10 ** at : at)), ticktext: steps.map(([, label]) => label),
  };
  const { family, modebar } = dress();
  return {
    margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: 'rgba(0,0,0,0)', font: { family },
    hoverlabel: { bgcolor: colour('card'), bordercolor: colour('rule'), align: 'left', font: { color: colour('ink'), size: 12, family } },
    modebar,
    xaxis: { visible: false }, yaxis: { visible: false }, // what Plotly would draw for a plane without a single value
    scene: {
      annotations: flags(plane, key, how),
      camera: copied(camera), aspectmode: 'manual', aspectratio: { x: 1, y: 1, z: 0.72 },
      xaxis: axis(plane.x_label), yaxis: axis(plane.y_label), zaxis: z,
    },
  };
}

// What every graph wears alike.
const dress = () => ({
  family: getComputedStyle(document.body).fontFamily,
  modebar: { bgcolor: 'rgba(0,0,0,0)', color: colour('soft'), activecolor: colour('ink') },
});

const configOf = (name) => ({
  responsive: true, displaylogo: false, modeBarButtons: [['toImage']], toImageButtonOptions: { filename: shortened(name, 60), scale: 2 },
});

// Draws every plane; resolves when all are there.
function drawPlanes(key, how, shared) {
  return Promise.all(planeGraphs.map((graph, i) => {
    const plane = data.planes[i];
    const group = shared ? data.planes : [plane];
    const range = extent(group, key, how);
    const flat = isClipped(group, key, how);
    drawScale(graph.closest('.card').querySelector('.scale'), key, range, how, flat);
    return Plotly.react(graph, planeTraces(plane, key, how, colouring(range, flat)), planeLayout(plane, key, how, range, graph.clientWidth >= 420), configOf(plane.name));
  }));
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
  return turnOthers(source);
}

function onTurn(source) {
  if (turning.has(source)) return;
  if (turning.size) waiting = source;
  else follow(source);
}

function linkCameras() {
  for (const graph of planeGraphs) {
    graph.on('plotly_relayouting', () => onTurn(graph));
    graph.on('plotly_relayout', () => onTurn(graph));
    graph.addEventListener('wheel', () => requestAnimationFrame(() => onTurn(graph)), { passive: true });
  }
}

function resetCameras() {
  camera = home();
  return turnOthers(null);
}
