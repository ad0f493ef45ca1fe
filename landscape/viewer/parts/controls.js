// The controls by hand and by key, and what they set in motion.

const form = document.getElementById('controls');
const clip = document.getElementById('clip');
const slider = document.getElementById('clip-slider');
const main = document.querySelector('main');
let turn = 0; // counts the drawings asked for: only the last one ends the waiting

// The choice in force, in the form that can be drawn.
const howNow = () => usable(howOf(view.metric), view.metric);

function redraw() {
  const how = howNow();
  showControls();
  showNotes(how);
  main.setAttribute('aria-busy', 'true');
  turn += 1;
  const mine = turn;
  rememberSoon();
  return Promise.all([drawPlanes(view.metric, how), drawMaps(view.metric, how), drawSections(view.metric, how), drawLines(view.metric, how)])
    .then(showPoint).finally(() => main.setAttribute('aria-busy', String(mine !== turn)));
}

// The point has moved: everything that follows it.
function showPoint() {
  if (!data.planes.length) return;
  const how = howNow();
  drawReadout(view.metric);
  drawSections(view.metric, how);
  followPointOnMaps(view.metric);
  followPoint3d(view.metric, how);
}

function showControls() {
  const chosenHow = howOf(view.metric);
  const how = howNow();
  form.elements.metric.value = view.metric;
  form.elements.values.value = how.log ? 'log' : 'linear';
  form.elements.colours.value = view.colours;
  form.elements.scale.value = view.scale;
  form.elements.levels.value = view.levels;
  form.elements.height.value = view.height;
  clip.value = chosenHow.clip ?? '';
  clip.setCustomValidity(chosenHow.clip === null || how.clip !== null ? '' : 'A log scale has no place for a clip at or below 0.');
  clip.reportValidity();
  slider.value = sliderOf(chosenHow.clip, how.log);
  slider.setAttribute('aria-valuetext', chosenHow.clip === null ? 'none' : short(chosenHow.clip));
  form.elements.levels.setAttribute('aria-valuetext', `about ${view.levels} lines`);
  form.elements.height.setAttribute('aria-valuetext', `${view.height} times`);
}

function showNotes(how) {
  const cards = [...document.querySelectorAll('.relief .note'), ...document.querySelectorAll('.facts-of .note')];
  surfaces.forEach((surface, i) => {
    if (!cards[i]) return;
    cards[i].textContent = remarks(surface, view.metric, how);
    cards[i].classList.toggle('shown', cards[i].textContent !== '');
  });
}

// The slider runs over the heights on the scale in force; its right end is no clip at all.
const STEPS = 400;
const clipBounds = (log) => extent(surfaces, view.metric, { log, clip: null });

function sliderOf(value, log) {
  const bounds = clipBounds(log);
  if (value === null || !bounds || !(bounds.high > bounds.low)) return STEPS;
  const at = height(value, { log });
  return Math.round((STEPS * (at - bounds.low)) / (bounds.high - bounds.low));
}

function clipOf(step, log) {
  const bounds = clipBounds(log);
  if (step >= STEPS || !bounds) return null;
  const at = bounds.low + ((bounds.high - bounds.low) * Math.max(step, 1)) / STEPS;
  return Number((log ? 10 ** at : at).toPrecision(3));
}

// Drawing follows a slider as fast as it can, always ending with the last place.
let drawing = false;
let again = false;
function redrawSoon() {
  if (drawing) { again = true; return; }
  drawing = true;
  again = false;
  redraw().finally(() => {
    drawing = false;
    if (again) redrawSoon();
  });
}

// The address follows with a little delay: browsers count how often it changes.
let remembering = null;
function rememberSoon() {
  clearTimeout(remembering);
  remembering = setTimeout(writeAddress, 250);
}

function changed({ target: { name, value, id } }) {
  const how = howOf(view.metric);
  if (name === 'metric') view.metric = value;
  if (name === 'values') how.log = value === 'log';
  if (name === 'colours' || name === 'scale') view[name] = value;
  if (name === 'levels' || name === 'height') view[name] = Number(value);
  if (id === 'clip') how.clip = Number.isFinite(clip.valueAsNumber) ? clip.valueAsNumber : null;
  if (id === 'clip-slider') how.clip = clipOf(Number(value), how.log);
  redrawSoon();
}

function reset() {
  beginView();
  camera = null;
  redraw().then(resetCameras);
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else (document.querySelector('.stage') ?? document.querySelector('.along')).requestFullscreen?.().catch(() => say('This browser allows no full screen here.'));
}

// The next of some choices, and back to the first after the last.
const following = (list, now) => list[(list.indexOf(now) + 1) % list.length];

function nudgeClip(steps) {
  const how = howOf(view.metric);
  how.clip = clipOf(Number(sliderOf(how.clip, how.log)) + steps, how.log);
}

const KEYS = {
  m: () => { view.metric = following(data.metrics.map(({ key }) => key), view.metric); },
  l: () => { howOf(view.metric).log = !howOf(view.metric).log; },
  c: () => { view.colours = following(COLOUR_MAPS, view.colours); },
  s: () => { view.scale = view.scale === 'own' ? 'shared' : 'own'; },
  '[': () => nudgeClip(-10),
  ']': () => nudgeClip(10),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input:not([type=radio]):not([type=range]), select, textarea')) return;
  const key = event.key.toLowerCase();
  if (key === 'escape') closeMenus();
  else if (key === 'r') reset();
  else if (key === 'f') fullScreen();
  else if (key === '?') document.getElementById('keys').toggleAttribute('open');
  else if (KEYS[key]) { KEYS[key](); redrawSoon(); }
}

function closeMenus(except = null) {
  for (const menu of document.querySelectorAll('.menu[open]')) if (menu !== except) menu.open = false;
}

// The point, moved by steps of the grid.
function movePoint(right, up) {
  const { x, y } = gridOf(data.planes[0], view.metric);
  const { i, j } = nodeOf(data.planes[0], view.metric);
  const step = (axis, at, by) => axis[Math.min(axis.length - 1, Math.max(0, at + (axis[0] <= axis[axis.length - 1] ? by : -by)))];
  view.at = [step(x, i, right), step(y, j, up)];
  if (view.held) rememberSoon();
  showPoint();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function mapKey(event) {
  if (ARROWS[event.key]) movePoint(...ARROWS[event.key]);
  else if (event.key === 'Enter') hold(!view.held);
  else return;
  event.preventDefault();
}

function reliefKey(event) {
  if (ARROWS[event.key]) turnBy(-8 * ARROWS[event.key][0], 5 * ARROWS[event.key][1]);
  else if (event.key === '+' || event.key === '=') turnBy(0, 0, 0.9);
  else if (event.key === '-') turnBy(0, 0, 1 / 0.9);
  else return;
  event.preventDefault();
}

function hold(held) {
  view.held = held;
  rememberSoon();
  showPoint();
}

function pointAt({ points: [point] }, holding) {
  if (!holding && (view.held || dragging)) return;
  if (typeof point.x !== 'number' || typeof point.y !== 'number') return;
  if (!onGrid(point)) return; // its label says all there is: no cross-section runs through it
  if (!holding && view.at[0] === point.x && view.at[1] === point.y) return; // a redrawing under a resting pointer says it again
  view.at = [point.x, point.y];
  if (holding) hold(true);
  else showPoint();
}

const onGrid = ({ x, y }) => data.planes.some((plane) => {
  const grid = gridOf(plane, view.metric);
  return grid.x.includes(x) && grid.y.includes(y);
});

// A click in a cross-section moves the point along it.
function sectionClicked(graph, { points: [point] }) {
  view.at[graph.dataset.along === 'x' ? 0 : 1] = point.x;
  hold(true);
}

function fillChoices() {
  const metrics = form.elements.metric;
  const maps = form.elements.colours;
  metrics.replaceChildren(...data.metrics.map(({ key, label }) => new Option(label, key)));
  maps.replaceChildren(...COLOUR_MAPS.map((name) => new Option(name, name)));
  for (const item of document.querySelectorAll('.planar')) item.hidden = data.planes.length === 0;
  for (const item of document.querySelectorAll('.linear')) item.hidden = data.lines.length === 0;
  document.getElementById('sharing').hidden = data.planes.length < 2;
}

function listenToForm() {
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('change', changed);
  form.addEventListener('input', (event) => { if (event.target.type === 'range') changed(event); });
  document.getElementById('reset').addEventListener('click', reset);
  document.getElementById('full').addEventListener('click', fullScreen);
  document.addEventListener('keydown', pressed);
  document.addEventListener('click', (event) => {
    closeMenus(event.target.closest('.menu'));
    const button = event.target.closest('.copy');
    if (button) copy(button.parentNode.querySelector('code').textContent, 'Command');
  });
  for (const button of document.querySelectorAll('[data-take]')) {
    button.addEventListener('click', () => { closeMenus(); TAKES[button.dataset.take](); });
  }
}

function listenToDrawings() {
  document.getElementById('hold')?.addEventListener('click', () => hold(!view.held));
  for (const graph of mapGraphs) {
    graph.addEventListener('keydown', mapKey);
    graph.on('plotly_hover', (event) => pointAt(event, false));
    graph.on('plotly_click', (event) => pointAt(event, true));
    graph.on('plotly_afterplot', () => followPointOnMaps(view.metric));
  }
  for (const graph of planeGraphs) {
    graph.addEventListener('keydown', reliefKey);
    graph.on('plotly_hover', (event) => pointAt(event, false));
    graph.on('plotly_click', (event) => pointAt(event, true));
  }
  for (const graph of sectionGraphs) graph.on('plotly_click', (event) => sectionClicked(graph, event));
}
