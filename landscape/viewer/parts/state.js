// What the reader chose, and the address that says so: whoever opens a copied link sees the same.

const COLOUR_MAPS = ['viridis', 'cividis', 'plasma', 'inferno', 'magma'];
const view = {};

// Each metric keeps its own choice of scale and clip.
let chosen = {};
const howOf = (key) => { chosen[key] ??= proposed(key); return chosen[key]; };

function beginView() {
  chosen = {};
  Object.assign(view, {
    metric: data.metric, colours: COLOUR_MAPS[0], scale: 'shared', levels: 14, height: 1, eye: null, at: [0, 0], held: false,
  });
}

const round = (number) => Number(number.toPrecision(6));

// What differs from the beginning, as key=value pairs.
function encoded() {
  const how = howOf(view.metric);
  const first = proposed(view.metric);
  const pairs = [];
  if (view.metric !== data.metric) pairs.push(['metric', view.metric]);
  if (how.log !== first.log) pairs.push(['values', how.log ? 'log' : 'linear']);
  if (how.clip !== null) pairs.push(['clip', how.clip]);
  if (view.colours !== COLOUR_MAPS[0]) pairs.push(['colours', view.colours]);
  if (view.scale !== 'shared') pairs.push(['scale', view.scale]);
  if (view.levels !== 14) pairs.push(['levels', view.levels]);
  if (view.height !== 1) pairs.push(['height', view.height]);
  if (view.eye) pairs.push(['eye', ['x', 'y', 'z'].map((axis) => round(view.eye.eye[axis])).join(',')]);
  if (view.eye) pairs.push(['centre', ['x', 'y', 'z'].map((axis) => round(view.eye.center[axis])).join(',')]);
  if (view.held) pairs.push(['at', view.at.map((number) => place(number)).join(',')]);
  return pairs.map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%2C', ',')}`).join('&');
}

const triple = (text) => {
  const [x, y, z] = text.split(',').map(Number);
  return [x, y, z].every(Number.isFinite) ? { x, y, z } : null;
};

// How each word of the address is read; what makes no sense is left as it is.
const READERS = {
  metric: (text) => { if (metricOf(text)) view.metric = text; },
  values: (text) => { howOf(view.metric).log = text === 'log'; },
  clip: (text) => { if (text !== '' && Number.isFinite(Number(text))) howOf(view.metric).clip = Number(text); },
  colours: (text) => { if (COLOUR_MAPS.includes(text)) view.colours = text; },
  scale: (text) => { view.scale = text === 'own' ? 'own' : 'shared'; },
  levels: (text) => { if (Number(text) >= 0 && Number(text) <= 30) view.levels = Math.round(Number(text)); },
  height: (text) => { if (Number(text) >= 0.2 && Number(text) <= 3) view.height = Number(text); },
  eye: (text) => { const eye = triple(text); if (eye) view.eye = { eye, up: { x: 0, y: 0, z: 1 }, center: home().center }; },
  centre: (text) => { const center = triple(text); if (center && view.eye) view.eye.center = center; },
  at: (text) => {
    const at = text.split(',').map(Number);
    if (at.length === 2 && at.every(Number.isFinite)) Object.assign(view, { at, held: true });
  },
};

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const [name, read] of Object.entries(READERS)) if (words.has(name)) read(words.get(name));
}

function writeAddress() {
  const words = encoded();
  if (location.hash.slice(1) === words) return;
  try {
    history.replaceState(null, '', words ? `#${words}` : location.pathname + location.search);
  } catch { // some browsers allow no new address for a file
    location.replace(`#${words}`);
  }
}
