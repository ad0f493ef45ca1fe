// What a reader takes away: pictures, numbers, the camera, a link.

function saveAs(name, address) {
  const link = Object.assign(document.createElement('a'), { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

function saveText(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  saveAs(name, address);
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

const fileStem = () => (surfaces.map((surface) => surface.name).join('-').replace(/[^\w.-]+/g, '_').slice(0, 60) || 'landscape');

function loadedImage(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = address;
  });
}

const CAPTION = 26; // pixels above each drawing, for its name

// All reliefs side by side with their names, at twice the size they have on the screen.
async function relievesPicture() {
  const images = await Promise.all(planeGraphs.map(async (graph) => loadedImage(
    await Plotly.toImage(graph, { format: 'png', width: graph.clientWidth, height: graph.clientHeight, scale: 2 }))));
  const canvas = document.createElement('canvas');
  const [width, tall] = [images.map((image) => image.width), Math.max(...images.map((image) => image.height))];
  Object.assign(canvas, { width: width.reduce((sum, some) => sum + some, 0), height: tall + 2 * CAPTION });
  const pen = canvas.getContext('2d');
  pen.fillStyle = colour('card');
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = colour('ink');
  pen.font = `600 28px ${dress().family}`;
  images.forEach((image, i) => {
    const left = width.slice(0, i).reduce((sum, some) => sum + some, 0);
    pen.fillText(`${shortened(surfaces[i].name, 40)} · ${titleOf(metricOf(view.metric))}`, left + 16, 38, width[i] - 32);
    pen.drawImage(image, left, 2 * CAPTION);
  });
  return canvas.toDataURL('image/png');
}

// Several drawings as one SVG, side by side with their names above.
async function vectorPicture(graphs, names) {
  const parts = await Promise.all(graphs.map(async (graph) => {
    const address = await Plotly.toImage(graph, { format: 'svg', width: graph.clientWidth, height: graph.clientHeight });
    return new DOMParser().parseFromString(decodeURIComponent(address.slice(address.indexOf(',') + 1)), 'image/svg+xml').documentElement;
  }));
  const space = 'http://www.w3.org/2000/svg';
  const whole = document.implementation.createDocument(space, 'svg').documentElement;
  let left = 0;
  parts.forEach((part, i) => {
    const title = document.createElementNS(space, 'text');
    title.textContent = names[i];
    for (const [key, value] of Object.entries({ x: left + 12, y: 18, 'font-family': 'sans-serif', 'font-size': 13, 'font-weight': 600, fill: colour('ink') })) title.setAttribute(key, value);
    part.setAttribute('x', left);
    part.setAttribute('y', CAPTION);
    left += graphs[i].clientWidth;
    whole.append(title, part);
  });
  const tall = CAPTION + Math.max(...graphs.map((graph) => graph.clientHeight));
  for (const [key, value] of Object.entries({ width: left, height: tall, viewBox: `0 0 ${left} ${tall}` })) whole.setAttribute(key, value);
  whole.style.background = colour('card');
  return new XMLSerializer().serializeToString(whole);
}

// A text as one field: quoted where it must be, and never a formula to a spreadsheet.
function field(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Every number of the metric shown, with all its digits: as measured, never as clipped.
function table() {
  const key = view.metric;
  const metric = metricOf(key);
  const rows = [['surface', 'x', 'y', key, 'standard_error', 'low', 'high', 'examples'].map(field).join(',')];
  const put = (surface, at, second, row, i) => {
    const held = [...['values', 'stderr', 'low', 'high'].map((kind) => surface[kind][key]), surface.examples[metric.split]];
    const numbers = held.map((some) => some?.[row][i] ?? '');
    rows.push([field(surface.name), at, second, ...numbers].join(','));
  };
  for (const plane of data.planes) {
    const { x, y } = gridOf(plane, key);
    y.forEach((second, j) => x.forEach((at, i) => put(plane, at, second, j, i)));
    for (const point of beyondOf(plane, key)) rows.push([field(plane.name), point.x, point.y, point.value ?? '', '', '', '', ''].join(','));
  }
  for (const line of data.lines) {
    const { x } = gridOf(line, key);
    line.values[key].forEach((_, draw) => x.forEach((at, i) => put(line, at, line.draws[draw] ?? '', draw, i)));
  }
  return `${rows.join('\n')}\n`;
}

// The camera as `landscape plot` takes it: elevation and azimuth of the way from what it looks at to the eye, as matplotlib counts them.
function cameraOptions() {
  const { eye, center } = camera ?? home();
  const [x, y, z] = ['x', 'y', 'z'].map((axis) => eye[axis] - center[axis]);
  const degrees = (angle) => String(Math.round((angle * 1800) / Math.PI) / 10);
  return `--camera=${degrees(Math.asin(z / Math.hypot(x, y, z)))},${degrees(Math.atan2(y, x))}`;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or an old browser
    const area = Object.assign(document.createElement('textarea'), { value: text, className: 'hidden-copy' });
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  say(`${what} copied: ${shortened(text, 90)}`);
}

// A short word at the foot of the page, also for those who listen.
let saying = null;
function say(text) {
  const said = document.getElementById('said');
  said.textContent = text;
  said.classList.add('shown');
  clearTimeout(saying);
  saying = setTimeout(() => said.classList.remove('shown'), 4000);
}

const names = () => data.planes.map((plane) => `${shortened(plane.name, 40)} · ${titleOf(metricOf(view.metric))}`);

const TAKES = {
  reliefs: async () => saveAs(`${fileStem()}-3d.png`, await relievesPicture()),
  maps: async () => saveText(`${fileStem()}-maps.svg`, await vectorPicture(mapGraphs, names()), 'image/svg+xml'),
  sections: async () => saveText(`${fileStem()}-sections.svg`, await vectorPicture(sectionGraphs, sectionNames()), 'image/svg+xml'),
  lines: async () => saveText(`${fileStem()}-lines.svg`, await vectorPicture([lineGraph], [titleOf(metricOf(view.metric))]), 'image/svg+xml'),
  table: async () => saveText(`${fileStem()}-${view.metric}.csv`, table(), 'text/csv'),
  camera: async () => copy(cameraOptions(), 'Camera'),
  link: async () => { writeAddress(); await copy(location.href, 'Link'); },
};

const sectionNames = () => sectionGraphs.map((graph) => (
  `${titleOf(metricOf(view.metric))} along ${graph.dataset.along} at ${graph.dataset.along === 'x' ? `y ${place(view.at[1])}` : `x ${place(view.at[0])}`}`));
