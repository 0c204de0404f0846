// Builds the npm package of this folder into dist/: one ES module with its source map, React left to whoever uses it, and the
// declarations of what it exports. Called by `npm run build:react` and, before packing, by `npm pack`. Needs ../node_modules.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import esbuild from 'esbuild';

const HERE = import.meta.dirname;
const DIST = join(HERE, 'dist');
const DECLARATIONS = join(DIST, 'declarations');
/** Bytes, minified as a page would do it. */
const LIMIT = 60_000;

const bundle = {
  entryPoints: [join(HERE, '..', 'src', 'react', 'index.ts')],
  absWorkingDir: HERE,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  charset: 'utf8',
  jsx: 'automatic',
  external: ['react', 'react/jsx-runtime'],
  logLevel: 'warning',
};

async function buildScript() {
  // It holds hooks: frameworks that render on a server have to be told.
  const banner = { js: "'use client';" };
  await esbuild.build({ ...bundle, banner, outfile: join(DIST, 'index.js'), sourcemap: 'linked' });
  const { outputFiles } = await esbuild.build({ ...bundle, minify: true, write: false });
  const [{ contents }] = outputFiles;
  console.log(`forge-widgets-react: ${contents.length} bytes minified, ${gzipSync(contents).length} gzipped`);
  if (contents.length > LIMIT) throw new Error(`${contents.length} bytes minified, at most ${LIMIT} are allowed: find out what came in.`);
}

/** Declare what is exported, and only that: the files that index.d.ts leads to, all of them of src/react. */
async function buildDeclarations() {
  const tsc = join(HERE, '..', 'node_modules', 'typescript', 'bin', 'tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', HERE], { cwd: HERE }).catch(({ stdout }) => {
    throw new Error(`the declarations can't be written:\n${stdout}`);
  });
  const folder = join(DECLARATIONS, 'react');
  const waiting = [join(folder, 'index.d.ts')];
  const written = new Set();
  for (const file of waiting) {
    if (written.has(file)) continue;
    written.add(file);
    if (dirname(file) !== folder) throw new Error(`${relative(DECLARATIONS, file)} is not of src/react: what is exported must not name its types.`);
    // Node's own resolution wants the whole name.
    const text = (await readFile(file, 'utf8')).replace(/(from ['"])(\.[^'"]+)(['"])/g, (_, before, path, after) => {
      waiting.push(`${resolve(folder, path)}.d.ts`);
      return `${before}${path}.js${after}`;
    });
    await writeFile(join(DIST, relative(folder, file)), text);
  }
  await rm(DECLARATIONS, { recursive: true });
}

await rm(DIST, { recursive: true, force: true });
await mkdir(DIST, { recursive: true });
await Promise.all([buildScript(), buildDeclarations()]);
console.log((await readdir(DIST)).sort().join('  '));
