// From measured values to what is drawn: linear or logarithmic, clipped or not, and the colours. Nothing here changes the data.

// Plotly reads some HTML in its labels; names from a file are plain text.
const plain = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const shortened = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const dark = matchMedia('(prefers-color-scheme: dark)');
const counted = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
const short = (value) => {
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(1).replace('.0e', 'e').replace('e+', 'e') : String(Number(value.toPrecision(3)));
};

// A coordinate as a person would write it: the last digits of a float64 step such as 0.40000000000000013 say nothing about the place.
const place = (coordinate) => String(Number(coordinate.toPrecision(12)));

// How a metric is drawn until the reader chooses: logarithmic where its positive values span more than 1000 and none is zero or below.
function proposed(key) {
  let low = Infinity;
  let high = -Infinity;
  for (const surface of surfaces) {
    for (const value of finiteOf(surface, key)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return { log: low > 0 && high / low > 1e3, clip: null };
}

// The choice as it can be drawn: single precision, which WebGL draws with, has no room for more on a linear scale,
// and a clip at or below 0 has no place on a logarithmic one.
const DRAWABLE = 1e30;
function usable({ log, clip }, key) {
  if (log) return { log, clip: clip !== null && clip <= 0 ? null : clip };
  const exceeds = surfaces.some((surface) => finiteOf(surface, key).some((value) => value > DRAWABLE));
  return { log, clip: exceeds ? Math.min(clip ?? DRAWABLE, DRAWABLE) : clip };
}

// A value as it is drawn, null where it has no place.
function drawn(value, how) {
  if (value === null || (how.log && value <= 0)) return null;
  return how.clip !== null && value > how.clip ? how.clip : value;
}

const height = (value, how) => (value === null ? null : how.log ? Math.log10(value) : value);

// Lowest and highest of what is drawn, in the axis's own units (decades when logarithmic), or null when there is nothing.
function extent(planes, key, how) {
  let low = Infinity;
  let high = -Infinity;
  for (const plane of planes) {
    const marks = plane.points.map((point) => point.values[key] ?? null);
    for (const value of [...finiteOf(plane, key), ...marks]) {
      const at = height(drawn(value, how), how);
      if (at === null) continue;
      low = Math.min(low, at);
      high = Math.max(high, at);
    }
  }
  return low <= high ? { low, high } : null;
}

// Room above and below, and some height for a surface that is flat.
function padded({ low, high }) {
  const room = high > low ? 0.05 * (high - low) : Math.max(0.05 * Math.abs(high), 1e-3);
  return [low - room, high + room];
}

function isClipped(planes, key, how) {
  return how.clip !== null && planes.some((plane) => finiteOf(plane, key).some((value) => value > how.clip));
}

// The colours of a range; clipped values lie above it, in grey, so that a flat top is never taken for a measured one.
function colouring(range, flat) {
  const share = flat ? 0.96 : 1;
  const stops = data.colours[view.colours];
  const colorscale = stops.map((stop, i) => [(share * i) / (stops.length - 1), stop]);
  if (flat) colorscale.push([share + 0.005, colour('clipped')], [1, colour('clipped')]);
  return { ...(range ?? { low: 0, high: 1 }), share, colorscale };
}

// Where a value lies among the colours, 0 to 1: a graphics card holds no number above 1e38, so it is never given the value itself.
function tone(value, how, { low, high, share }) {
  const at = height(drawn(value, how), how);
  if (at === null) return null;
  if (how.clip !== null && value > how.clip) return 1;
  return high > low ? (share * (at - low)) / (high - low) : 0;
}

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';
function decade(power) {
  if (power >= -2 && power <= 4) return String(Number((10 ** power).toPrecision(1)));
  return `10${power < 0 ? '⁻' : ''}${[...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[digit]).join('')}`;
}

function decades(low, high, most) {
  const parts = [[1, 2, 5], [1, 3], [1]].find((some) => some.length * (high - low) <= most) ?? [1];
  const step = Math.ceil((high - low) / most);
  const found = [];
  for (let power = Math.floor(low / step) * step; power <= high; power += step) {
    for (const part of parts) {
      const at = power + Math.log10(part);
      if (at >= low && at <= high) found.push([at, part === 1 ? decade(power) : short(part * 10 ** power)]);
    }
  }
  return found;
}

// The height that the uppermost colour stands for: a little above the highest where grey is needed for what is clipped.
const topOf = ({ low, high, share }) => (high > low ? low + (high - low) / share : low + 1);

// Round numbers between two ends, as [where, label], about `most` of them: decades, or parts of them,
// on a logarithmic scale; 1, 2 or 5 times a power of ten on a linear one.
function ticks({ low, high }, log, most) {
  if (!(high > low)) return [[low, short(log ? 10 ** low : low)]];
  if (log && high - low >= 1) return decades(low, high, most);
  const found = [];
  const [from, to] = log ? [10 ** low, 10 ** high] : [low, high];
  const rough = to / most - from / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  for (let i = Math.ceil(from / step); i * step <= to; i += 1) found.push([log ? Math.log10(i * step) : i * step, short(i * step)]);
  return found;
}

// As many ticks as have room side by side in `width` pixels.
function fitting(range, log, width) {
  const room = (found) => found.length * (12 + 7 * Math.max(...found.map(([, label]) => label.length)));
  return [8, 6, 4, 3, 2].map((most) => ticks(range, log, most)).find((found, i) => i === 4 || room(found) <= width);
}

// The colour bar above a plane.
function drawScale(element, key, range, how, flat) {
  const made = (kind, name, text = '') => {
    const child = document.createElement(kind);
    child.className = name;
    child.textContent = text;
    return child;
  };
  const bar = made('div', 'bar');
  const strip = made('div', 'ticks');
  bar.style.background = `linear-gradient(to right, ${data.colours[view.colours].join(', ')})`;
  element.replaceChildren(made('span', 'title', titleOf(metricOf(key))), bar, strip);
  for (const [at, label] of range ? fitting(range, how.log, strip.clientWidth) : []) {
    const tick = made('span', '', label);
    tick.style.left = `${range.high > range.low ? 100 * (at / (range.high - range.low) - range.low / (range.high - range.low)) : 0}%`;
    strip.append(tick);
  }
  if (flat) {
    const chip = made('div', 'flat', `above ${short(how.clip)}: clipped`);
    chip.prepend(document.createElement('i'));
    element.append(chip);
  }
}

// What a picture leaves out or draws otherwise than measured, in words.
function remarks(surface, key, how) {
  const { unmeasured, nan, infinite } = surface.holes[key];
  const values = finiteOf(surface, key);
  const low = how.log ? values.filter((value) => value <= 0).length : 0;
  const flat = how.clip === null ? 0 : values.filter((value) => value > how.clip).length;
  const gaps = [];
  if (unmeasured) gaps.push(`${counted(unmeasured, 'point', 'points')} not measured yet`);
  if (nan) gaps.push(`${counted(nan, 'value', 'values')} NaN`);
  if (infinite) gaps.push(`${counted(infinite, 'value', 'values')} infinite`);
  if (low) gaps.push(`${counted(low, 'value', 'values')} ≤ 0, which a log scale cannot show`);
  const said = [...surface.notes[key], ...(gaps.length ? [`Left empty: ${gaps.join('; ')}.`] : [])];
  if (flat) said.push(`Drawn flat: ${counted(flat, 'value', 'values')} above ${how.clip}; hovering gives what was measured.`);
  return said.join(' ');
}
