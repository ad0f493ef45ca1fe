// What is shown: the surfaces as Python wrote them into the page, unpacked, and the metrics that follow from those measured.

let data = null;
let surfaces = [];

// All numbers of the page: a zlib stream of float64, their bytes sorted by significance (see packing.py).
async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 8;
  const bytes = new Uint8Array(planes.length);
  for (let byte = 0; byte < 8; byte += 1) {
    for (let i = 0; i < count; i += 1) bytes[8 * i + byte] = planes[byte * count + i];
  }
  return new Float64Array(bytes.buffer);
}

// Rows of numbers, null for what is not finite: a hole is drawn as a hole.
function rowsAt([offset, nRows, nColumns], numbers) {
  return Array.from({ length: nRows }, (_, row) => Array.from(
    numbers.subarray(offset + row * nColumns, offset + (row + 1) * nColumns), (value) => (Number.isFinite(value) ? value : null),
  ));
}

const mapped = (entries, change) => Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, change(entry)]));

function expand(surface, numbers) {
  for (const name of ['values', 'values_beyond', 'stderr', 'low', 'high', 'examples', 'quartiles']) {
    if (surface[name]) surface[name] = mapped(surface[name], (reference) => rowsAt(reference, numbers));
  }
}

// Of an accuracy also the error; of whatever has a standard error in every surface, that error.
function derive(metric) {
  const made = [];
  if (metric.name === 'accuracy') {
    const key = `${metric.split}_error`;
    made.push({ ...metric, key, name: 'error', label: `${metric.split} error`, base: metric.key });
    for (const surface of surfaces) deriveError(surface, metric.key, key);
  }
  if (surfaces.every((surface) => surface.stderr[metric.key])) {
    const key = `${metric.key}_stderr`;
    made.push({ ...metric, key, name: 'standard error', label: `standard error of ${metric.label}`, base: metric.key });
    for (const surface of surfaces) deriveStandardError(surface, metric.key, key);
  }
  return made;
}

function deriveError(surface, from, to) {
  const inverse = (rows) => rows.map((row) => row.map((value) => (value === null ? null : 1 - value)));
  surface.values[to] = inverse(surface.values[from]);
  if (surface.values_beyond) surface.values_beyond[to] = inverse(surface.values_beyond[from]);
  if (surface.stderr[from]) surface.stderr[to] = surface.stderr[from];
  if (surface.low[from]) [surface.low[to], surface.high[to]] = [inverse(surface.high[from]), inverse(surface.low[from])];
  if (surface.quartiles?.[from]) surface.quartiles[to] = inverse([...surface.quartiles[from]].reverse());
  for (const point of surface.points) if (from in point.values) point.values[to] = 1 - point.values[from];
  copyNotes(surface, from, to);
}

function deriveStandardError(surface, from, to) {
  surface.values[to] = surface.stderr[from];
  if (surface.quartiles?.[from]) surface.quartiles[to] = surface.quartiles[from].map((row) => row.map(() => null));
  copyNotes(surface, from, to);
  const missing = surface.values[to].flat().filter((value) => value === null).length;
  surface.holes[to] = { ...surface.holes[from], nan: missing - surface.holes[from].unmeasured, infinite: 0 };
}

function copyNotes(surface, from, to) {
  surface.holes[to] = surface.holes[from];
  surface.notes[to] = surface.notes[from];
}

async function load(source) {
  const numbers = await unpacked(source.numbers);
  data = source;
  surfaces = [...data.planes, ...data.lines];
  surfaces.forEach((surface) => expand(surface, numbers));
  const measured = [...data.metrics];
  data.metrics = [...measured, ...measured.flatMap(derive)];
}

const metricOf = (key) => data.metrics.find((metric) => metric.key === key);
const gridOf = (surface, key) => surface.grids[metricOf(key).split]; // the splits of a run that ended early may lie on different ones
const titleOf = (metric) => (metric.unit ? `${metric.label} (${metric.unit})` : metric.label);
const finiteOf = (surface, key) => [...surface.values[key].flat(), ...beyondOf(surface, key).map(({ value }) => value)].filter((value) => value !== null);

// The points measured beyond the grid that is complete: while a sweep runs they come one by one.
function beyondOf(surface, key) {
  const values = surface.values_beyond?.[key]?.[0] ?? [];
  const { x, y } = surface.beyond?.[metricOf(key).split] ?? {};
  return values.map((value, i) => ({ x: x[i], y: y[i], value }));
}

// The index of the number nearest to one.
function nearest(numbers, wanted) {
  return numbers.reduce((best, number, i) => (Math.abs(number - wanted) < Math.abs(numbers[best] - wanted) ? i : best), 0);
}
