// Builds plotly.min.js, the part of plotly.js that the page draws with; called by scripts/bundle_plotly.
//
// The recipe is plotly.js' own (its esbuild-config.js and its custom bundles), with two things left out that no trace here needs:
// the style sheet of its maps, and the texts that document each attribute.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);
const { environmentPlugin } = require('esbuild-plugin-environment');
const { glsl } = require('esbuild-plugin-glsl');

const [target] = process.argv.slice(2);
const home = dirname(require.resolve('plotly.js/package.json'));
const { version } = require('plotly.js/package.json');
const traces = ['surface', 'scatter3d', 'contour', 'heatmap']; // lib/core brings scatter

const TEXT = String.raw`(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")`;
const JOINED = String.raw`\[\s*(?:${TEXT}\s*(?:\+\s*)?,?\s*)*\]\.join\(${TEXT}\)`;
const DOCUMENTATION = new RegExp(String.raw`\b(?:description|hrName):\s*(?:${JOINED}|${TEXT}(?=\s*[,}])),?`, 'g');

const leaveOut = {
  name: 'leave-out',
  setup(bundle) {
    bundle.onLoad({ filter: /\.css$/ }, () => ({ contents: '', loader: 'js' }));
    bundle.onLoad({ filter: /plotly\.js[\\/]src[\\/].*attributes.*\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(DOCUMENTATION, ''),
      loader: 'js',
    }));
  },
};

const entry = `var Plotly = require('plotly.js/lib/core');
Plotly.register([${traces.map((trace) => `require('plotly.js/lib/${trace}')`).join(', ')}]);
module.exports = Plotly;`;

const result = await build({
  stdin: { contents: entry, resolveDir: dirname(fileURLToPath(import.meta.url)) },
  bundle: true,
  write: false,
  minify: true,
  charset: 'ascii',
  legalComments: 'none', // the notices stand in plotly.LICENSE.txt
  format: 'iife',
  globalName: 'Plotly',
  target: 'es2020',
  plugins: [leaveOut, glsl({ minify: true }), environmentPlugin({ NODE_DEBUG: false })],
  alias: { regl: '@plotly/regl', stream: 'stream-browserify' },
  define: { global: 'window', 'define.amd': 'false' },
  metafile: true,
});

const script = result.outputFiles[0].text.trimEnd().replace(/\r\n?/g, '\n');
if (/<\/script|<!--/i.test(script)) throw new Error('the bundle would end the script element it is written into');
await writeFile(join(target, 'plotly.min.js'), `/* plotly.js ${version}: ${['scatter', ...traces].join(', ')}; licences: plotly.LICENSE.txt */\n${script}\n`);

// The same library on a content delivery network that serves npm packages: its bytes are those of the package.
const whole = await readFile(join(home, 'dist', 'plotly.min.js'));
const integrity = `sha384-${createHash('sha384').update(whole).digest('base64')}`;
const address = `https://cdn.jsdelivr.net/npm/plotly.js@${version}/dist/plotly.min.js`;
await writeFile(join(target, 'plotly.json'), `${JSON.stringify({ version, address, integrity }, null, 2)}\n`);

await writeFile(join(target, 'plotly.LICENSE.txt'), await licences());
console.log(`plotly.min.js: ${(script.length / 1e6).toFixed(2)} MB`);

// The licence of every package of which some code is in the bundle.
async function licences() {
  const inputs = Object.values(result.metafile.outputs).flatMap(({ inputs: all }) => Object.entries(all));
  const packages = [...new Set(inputs.filter(([path, { bytesInOutput }]) => bytesInOutput > 0 && !path.endsWith('.css')).map(([path]) => packageOf(path)).filter(Boolean))].sort();
  const parts = await Promise.all(packages.map(licenceOf));
  const vendored = 'plotly.js also holds stackgl_modules, its bundle of the gl-vis packages (MIT, (c) Mikola Lysenko and contributors).';
  return `What is in plotly.min.js, and under which licence.\n${vendored}\n\n${parts.join('\n\n')}\n`;
}

function packageOf(path) {
  return path.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1];
}

async function licenceOf(name) {
  const folder = join(dirname(home), name);
  const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  let text = '';
  for (const file of ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'LICENCE', 'LICENSE-MIT']) {
    text ||= await readFile(join(folder, file), 'utf8').catch(() => '');
  }
  return `==== ${name} ${about.version}: ${about.license}\n\n${text.replace(/\r\n?/g, '\n').trim() || `(the package brings no licence text; ${about.license})`}`;
}
