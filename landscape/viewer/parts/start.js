// The page begins: the numbers are unpacked, the address read, everything drawn once, and from then on it listens.

async function begin() {
  if (typeof Plotly === 'undefined') throw new Error(`${document.querySelector('script[src]')?.getAttribute('src') ?? 'plotly.js'} is missing`);
  await load(JSON.parse(document.getElementById('data').textContent));
  beginView();
  readAddress();
  fillChoices();
  listenToForm();
  await redraw();
  linkCameras();
  watchDragging();
  listenToDrawings();
  dark.addEventListener('change', redraw);
  window.addEventListener('hashchange', () => {
    beginView();
    readAddress();
    camera = view.eye ?? home();
    redraw().then(() => turnTo(camera));
  });
  if (typeof followServer === 'function') followServer();
}

begin().catch((error) => {
  document.querySelector('main').setAttribute('aria-busy', 'false');
  document.getElementById('said').textContent = `This page could not be drawn: ${error.message}.${typeof Plotly === 'undefined' ? '' : ' A browser of 2023 or later is needed.'}`;
  document.getElementById('said').classList.add('shown');
  throw error;
});
