import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';

/** The levels of all requirements of ASVS 5.0.0: a line a chapter, a group a section, a digit a requirement. */
const published = `
22 1111122223 112222222223 222 123
122 112 12223 23
3 113 12223 11222233 11122333 3 22333
12233 23333 22 1222
2 112333 113 222
122 111111112222 11223333 112233 22222333 2223 33 2222
222 1111 22 11222 223 22
1233 1123 133 23
111 1222
22 223 22223 1111122222233333 22222 22 222
2233 22233 11233 1222 23 23 33
12233 11 22223
2333 222223 2233 1222233
22 12223333 122
12233 12233 1222222 3333
2 22222 2222 222 2223
23 22223333 22`;

const levels = new Map(
  published
    .trim()
    .split('\n')
    .flatMap((chapter, c) =>
      chapter
        .split(' ')
        .flatMap((section, s) => [...section].map((level, r) => [`${c + 1}.${s + 1}.${r + 1}`, Number(level)] as [string, number])),
    )
    .filter(([, level]) => level < 3),
);

const verdicts = ['met', 'partly', 'not met', 'not applicable'];

interface Row {
  readonly line: string;
  readonly ids: readonly string[];
  readonly level: string;
  readonly verdict: string;
  readonly evidence: string;
}

function rowOf(line: string): Row {
  const [, id = '', level = '', , verdict = '', evidence = ''] = line.split('|').map((cell) => cell.trim());
  return { line, ids: id.split(', ').flatMap(expand), level, verdict, evidence };
}

/** A range has the requirements of levels 1 and 2 in it. */
function expand(range: string): string[] {
  const [first = '', last = first] = range.split('–');
  const number = (id: string) => Number(id.split('.')[2]);
  const section = first.replace(/\d+$/, '');
  const ids = Array.from({ length: number(last) - number(first) + 1 }, (_, index) => `${section}${number(first) + index}`);
  return first === last ? ids : ids.filter((id) => levels.has(id));
}

/** What a document says of a test or a function: its file, and what must be found there. */
const quotedTitles = /`(test\/[^`\s]+\.ts)`((?:(?:,| and)? "[^"]+")+)/g;
const namedFunctions = /`(src\/[^`\s]+\.ts)`((?:(?:,| and)? `\w+\(\)`)+)/g;
const namedFiles =
  /`((?:src|test|docs|scripts|bench|migrations|openapi|deploy|\.ci)\/[\w./-]+|[\w-]+\.(?:md|ya?ml|json)|Dockerfile|\.dockerignore)(?::\d+(?:-\d+)?)?`/g;

/** The titles of the tests of a file; what differs from one to the other of a row of tests is an ellipsis. */
function titlesOf(file: string): string[] {
  const titles = readFileSync(file, 'utf8').matchAll(/\btest\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs);
  return [...titles].map(([, , title = '']) => title.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1'));
}

function checkReferences(t: Test, text: string): void {
  const files = [...text.matchAll(namedFiles)].map(([, file = '']) => file);
  t.strictSame(
    files.filter((file) => !existsSync(file)),
    [],
    'the files exist',
  );
  for (const [, file = '', quotes = ''] of text.matchAll(quotedTitles)) {
    const titles = existsSync(file) ? titlesOf(file) : [];
    for (const [, title = ''] of quotes.matchAll(/"([^"]+)"/g)) t.ok(titles.includes(title), `${file} has the test "${title}"`);
  }
  for (const [, file = '', names = ''] of text.matchAll(namedFunctions)) {
    const source = existsSync(file) ? readFileSync(file, 'utf8') : '';
    for (const [, name = ''] of names.matchAll(/`(\w+)\(\)`/g)) {
      t.match(source, new RegExp(`\\bfunction ${name}\\b|\\bconst ${name} =`), `${file} has the function ${name}`);
    }
  }
}

t.test('the checklist of ASVS', async (t) => {
  const text = readFileSync('docs/ASVS.md', 'utf8');
  const rows = text
    .split('\n')
    .filter((line) => /^\| \d+\.\d+\.\d+/.test(line))
    .map(rowOf);

  t.test('has each requirement of levels 1 and 2 once, in order, with its level', async (t) => {
    t.strictSame(
      rows.flatMap(({ ids }) => ids),
      [...levels.keys()],
    );
    for (const { ids, level } of rows) t.equal(level, [...new Set(ids.map((id) => levels.get(id)))].sort().join(', '), ids.join(', '));
  });

  t.test('counts its verdicts, and gives no others', async (t) => {
    t.strictSame(
      rows.filter(({ verdict }) => !verdicts.includes(verdict)).map(({ line }) => line),
      [],
    );
    const table = verdicts.map((verdict) => Number(new RegExp(`^\\| ${verdict} \\| (\\d+) \\|$`, 'm').exec(text)?.[1]));
    const counted = verdicts.map((verdict) => rows.filter((row) => row.verdict === verdict).flatMap(({ ids }) => ids).length);
    t.strictSame(table, counted, verdicts.join(', '));
    const of = (level: number) => [...levels.values()].filter((each) => each === level).length;
    t.match(text.replaceAll('\n', ' '), `${levels.size} requirements, ${of(1)} of level 1 and ${of(2)} of level 2`);
  });

  t.test('says where whatever is met is to be seen, and what is missing elsewhere', async (t) => {
    for (const { verdict, evidence, line } of rows) {
      t.ok(evidence.length > 0, line);
      if (verdict === 'met') t.match(evidence, /`(?:src|test|openapi|docs)\/|`[\w.-]+`|\]\(#/, line);
      const quotes = [...evidence.matchAll(/"[^"]+"/g)].length;
      const beside = [...evidence.matchAll(quotedTitles)].flatMap(([, , titles = '']) => [...titles.matchAll(/"[^"]+"/g)]).length;
      t.equal(beside, quotes, `each title stands beside its file: ${line}`);
    }
  });

  t.test('names files, functions and tests that there are', async (t) => checkReferences(t, text));

  t.test('leads to sections that it has', async (t) => {
    const anchors = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'));
    for (const [, anchor = ''] of text.matchAll(/\]\(#([\w-]+)\)/g)) t.ok(anchors.includes(anchor), anchor);
  });
});

/** The numbers of attacks, of which a dash stands for all in between. */
function attacksIn(text: string): string[] {
  return [...text.matchAll(/\b([A-Z])(\d\d)(?:–[A-Z](\d\d))?\b/g)].flatMap(([, letter = '', first = '', last = first]) =>
    Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => `${letter}${String(Number(first) + index).padStart(2, '0')}`),
  );
}

t.test('the list of attacks', async (t) => {
  const text = readFileSync('docs/SECURITY.md', 'utf8');

  t.test('names files, functions and tests that there are', async (t) => checkReferences(t, text));

  t.test('has tests of each attack that it names', async (t) => {
    const files = readdirSync('test/attacks').map((name) => readFileSync(`test/attacks/${name}`, 'utf8'));
    const tested = new Set(files.flatMap(attacksIn));
    const named = attacksIn(text);
    t.ok(named.length > 40);
    t.strictSame(
      named.filter((attack) => !tested.has(attack)),
      [],
    );
  });
});
