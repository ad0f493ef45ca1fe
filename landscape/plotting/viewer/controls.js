// The controls, and what is chosen; each metric keeps its own choice of scale and clip.

const form = document.getElementById('controls');
const clip = document.getElementById('clip');
const chosen = Object.fromEntries(data.metrics.map((metric) => [metric.key, proposed(metric.key)]));
const main = document.querySelector('main');
let current = data.metric;
let turn = 0; // counts the drawings asked for: only the last one ends the waiting

function redraw() {
  const how = chosen[current];
  const drawable = usable(how, current);
  form.elements.values.value = how.log ? 'log' : 'linear';
  clip.value = how.clip ?? '';
  clip.setCustomValidity(how.clip === null || drawable.clip !== null ? '' : 'A log scale has no place for a clip at or below 0.');
  clip.reportValidity();
  const notes = [...document.querySelectorAll('article .note')];
  surfaces.forEach((surface, i) => {
    notes[i].textContent = remarks(surface, current, drawable);
    notes[i].classList.toggle('shown', notes[i].textContent !== '');
  });
  main.setAttribute('aria-busy', 'true');
  turn += 1;
  const mine = turn;
  Promise.all([drawPlanes(current, drawable, form.elements.scale.value === 'shared'), drawLines(current, drawable)])
    .finally(() => main.setAttribute('aria-busy', String(mine !== turn)));
}

for (const metric of data.metrics) {
  const label = document.createElement('label');
  const input = Object.assign(document.createElement('input'), { type: 'radio', name: 'metric', value: metric.key });
  const text = document.createElement('span');
  text.textContent = metric.label;
  input.checked = metric.key === current;
  label.append(input, text);
  document.getElementById('metrics').append(label);
}

form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('change', (event) => {
  const { name, value } = event.target;
  if (name === 'metric') current = value;
  if (name === 'values') chosen[current].log = value === 'log';
  if (event.target === clip) chosen[current].clip = Number.isFinite(clip.valueAsNumber) ? clip.valueAsNumber : null;
  redraw();
});
document.getElementById('reset').addEventListener('click', resetCameras);
document.getElementById('sharing').hidden = data.planes.length < 2;
document.getElementById('view').hidden = data.planes.length === 0;
dark.addEventListener('change', redraw);
redraw();
linkCameras();
