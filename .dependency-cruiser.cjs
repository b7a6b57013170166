// Imports run downward only, and capabilities never import each other: see "How it is built" in README.md.
const capabilities = 'registration|confirmation|sessions|passwords|email-change|account|administration|gateway|mailbox|welcome|operations';

/** Every layer, from the top, with what it may import besides itself. */
const bottom = '^src/(config|environment|guessable-secret|clock|failpoints|repeater|schemas|telemetry)\\.ts$|^src/problems/';
const data = `${bottom}|^src/db/`;
const mechanisms = `${data}|^src/(credentials|tokens|identity)/`;
const middle = `${mechanisms}|^src/(guard|http|limits|mail|pages)/|^src/services\\.ts$`;

const layer = (name, from, to) => ({ name, severity: 'error', from: { path: from }, to: { path: '^src/', pathNot: `${from}|${to}` } });

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-dev', 'unknown'] },
    },
    { name: 'nothing-imports-the-entry', severity: 'error', from: {}, to: { path: '^src/(server|cli/main)\\.ts$' } },
    layer('bottom', '^src/(config|environment|guessable-secret|clock|failpoints|repeater|schemas|telemetry)\\.ts$', '^$'),
    layer('problems', '^src/problems/', '^src/(config|clock|schemas)\\.ts$'),
    layer('db', '^src/db/', bottom),
    layer('mechanisms', '^src/(credentials|tokens|identity)/', data),
    layer('middle', '^src/(guard|http|limits|mail)/', mechanisms),
    layer('pages', '^src/pages/', `${mechanisms}|^src/(guard|http|limits|mail)/`),
    layer('purge', '^src/purge/', `${mechanisms}|^src/(guard|limits|mail)/`),
    layer('doctor', '^src/doctor/', `${data}|^src/(credentials|mail)/`),
    layer('services', '^src/services\\.ts$', `${mechanisms}|^src/(guard|limits|mail|pages)/`),
    {
      name: 'capabilities-apart',
      severity: 'error',
      from: { path: `^src/(${capabilities})/` },
      to: { path: '^src/', pathNot: `${middle}|^src/$1/` },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};
