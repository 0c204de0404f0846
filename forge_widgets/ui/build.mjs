// Bundles everything that runs outside JupyterLab into ../static: the anywidgets and the stand-alone page, with
// React aliased to what we use of it on preact, and plotly.js beside them. The widget's script has a size limit, held here.
// Called by `npm run build:widget`; `--watch` rebuilds, `--size` only prints what was built.
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import esbuild from 'esbuild';

const OUT = join(import.meta.dirname, '..', 'static');
/** Bytes; the anywidget's script travels over the comm and into saved notebooks. */
const LIMITS = { 'widget.js': 80_000 };
/** The packages of others whose code is in the bundles. */
const BUNDLED = ['preact', 'plotly.js-basic-dist-min'];
const LICENCES = 'THIRD_PARTY_LICENSES.txt';

/** Hands a stylesheet over as text, minified: it travels inside the scripts. */
const cssAsText = {
  name: 'css-as-text',
  setup(build) {
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await esbuild.transform(await readFile(path, 'utf8'), { loader: 'css', minify: true });
      return { contents: code, loader: 'text' };
    });
  },
};

/** Scripts with components in them, and those without; `lens-1` is what the widget fetches (src/widget/lens.ts). */
const COMPONENTS = { widget: 'src/widget/widget.ts', page: 'src/page/page.ts' };
const PLAIN = { chart: 'src/widget/chart.ts', 'lens-1': 'src/stream/lens.ts' };

const plain = {
  entryPoints: PLAIN,
  absWorkingDir: import.meta.dirname,
  outdir: OUT,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'eof',
  plugins: [cssAsText],
  define: { 'process.env.NODE_ENV': '"production"' },
  alias: {
    react: './src/preact/react.ts',
    'react-dom/client': './src/preact/client.ts',
  },
  logLevel: 'info',
};

/** In place of tsconfig.json, whose way of writing JSX is the lab's. */
const JSX = { jsx: 'react', jsxFactory: 'jsxElement', jsxFragmentFactory: 'JsxFragment', verbatimModuleSyntax: true };
const components = {
  ...plain,
  entryPoints: COMPONENTS,
  tsconfigRaw: { compilerOptions: JSX },
  inject: ['src/preact/jsx.ts'],
};

async function checkSizes() {
  for (const name of (await readdir(OUT)).sort()) {
    const content = await readFile(join(OUT, name));
    const size = content.length;
    const gzipped = gzipSync(content).length;
    console.log(`${name.padEnd(24)} ${String(size).padStart(9)} bytes  ${String(gzipped).padStart(8)} gzipped`);
    if (size > (LIMITS[name] ?? Infinity)) {
      console.error(`${name} has ${size} bytes, at most ${LIMITS[name]} are allowed: move what it need not hold elsewhere.`);
      process.exitCode = 1;
    }
  }
}

async function copyPlotly() {
  const require = createRequire(import.meta.url);
  await copyFile(require.resolve('plotly.js-basic-dist-min/plotly-basic.min.js'), join(OUT, 'plotly-basic.min.js'));
}

/** Write the licences of what the bundles hold beside them. */
async function writeLicences() {
  const texts = BUNDLED.map(async (name) => {
    const text = await readFile(join(import.meta.dirname, 'node_modules', name, 'LICENSE'), 'utf8');
    return `${name}\n${'='.repeat(name.length)}\n\n${text.trim()}\n`;
  });
  await writeFile(join(OUT, LICENCES), (await Promise.all(texts)).join('\n'));
}

/** Files are replaced in place, so that a running server never misses one; what no entry makes any more goes. */
async function removeStale() {
  const scripts = Object.keys({ ...COMPONENTS, ...PLAIN }).map((entry) => `${entry}.js`);
  const made = new Set([...scripts, 'plotly-basic.min.js', LICENCES]);
  for (const name of await readdir(OUT)) {
    if (!made.has(name)) await rm(join(OUT, name), { recursive: true });
  }
}

if (process.argv.includes('--size')) {
  await checkSizes();
} else if (process.argv.includes('--watch')) {
  await mkdir(OUT, { recursive: true });
  await copyPlotly();
  for (const options of [plain, components]) await (await esbuild.context(options)).watch();
} else {
  await mkdir(OUT, { recursive: true });
  for (const options of [plain, components]) await esbuild.build(options);
  await copyPlotly();
  await writeLicences();
  await removeStale();
  await checkSizes();
}
