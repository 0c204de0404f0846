// Lint rules of the front end. The rooms (stream <- components <- widget, page, lab, react) are held here: a file that
// imports against the arrow, or JupyterLab outside lab, fails the build.
import { defineConfig, globalIgnores } from 'eslint/config';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

const JUPYTERLAB = ['@jupyterlab/*', '@lumino/*'];
const REACT = ['react', 'react/*', 'react-dom', 'react-dom/*'];

/** Forbid in `room` the imports of other rooms and of packages. */
function room(name, { rooms, packages }) {
  const group = [...rooms.map((other) => `**/${other}/**`), ...packages];
  const message = `src/${name} may not import this: stream <- components <- widget, page, lab, react; only lab knows JupyterLab.`;
  return {
    files: [`src/${name}/**/*.{ts,tsx}`],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [{ group, message }] }] },
  };
}

export default defineConfig(
  globalIgnores(['lib/', 'node_modules/', 'react/dist/']),
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  reactHooks.configs.flat['recommended-latest'],
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': ['error', { allow: ['warn', 'error'] }],
      'no-restricted-properties': [
        'error',
        ...['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'dangerouslySetInnerHTML'].map((property) => ({
          property,
          message: 'Text of users is text, never markup: use textContent or React.',
        })),
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: 'Text of users is text, never markup.',
        },
      ],
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
  room('stream', { rooms: ['components', 'widget', 'page', 'lab', 'react'], packages: [...JUPYTERLAB, ...REACT] }),
  room('components', { rooms: ['widget', 'page', 'lab', 'react'], packages: JUPYTERLAB }),
  room('widget', { rooms: ['page', 'lab', 'react'], packages: JUPYTERLAB }),
  room('page', { rooms: ['widget', 'lab', 'react'], packages: JUPYTERLAB }),
  room('lab', { rooms: ['widget', 'page', 'react'], packages: [] }),
  room('react', { rooms: ['widget', 'page', 'lab'], packages: JUPYTERLAB }),
  room('preact', { rooms: ['stream', 'components', 'widget', 'page', 'lab'], packages: JUPYTERLAB }),
  { files: ['**/*.mjs'], extends: [tseslint.configs.disableTypeChecked], rules: { 'no-console': 'off' } },
);
