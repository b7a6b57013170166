import t from 'tap';
import { opensAll, opensNothing } from '../support/forged.ts';
import { aliasesOf, compact, ecdsa, signed, signWith, startServiceWithToken } from '../support/forger.ts';
import { believedPerson } from '../support/person.ts';

/** The order of P-256: what r and s of a signature must be less than. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const toNumber = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);
const toBytes = (number: bigint, length = 32) => Buffer.from(number.toString(16).padStart(2 * length, '0'), 'hex');

t.test('spoilt access tokens', async (t) => {
  const { service, key, privateKey, person, claims, header, head, payload, signature } = await startServiceWithToken(t);
  const unsigned = `${head}.${payload}`;
  const raw = Buffer.from(signature, 'base64url');
  const [r, s] = [toNumber(raw.subarray(0, 32)), toNumber(raw.subarray(32))];

  await t.test('J01 a signature of zeros, or beyond the order of the curve, signs nothing', async (t) => {
    await opensAll(t, service, person.token, person.username);
    const ends = { 0: 0n, 1: 1n, n: order, 'n - 1': order - 1n, 'n + 1': order + 1n, 'all ones': 2n ** 256n - 1n };
    for (const [first, left] of Object.entries(ends)) {
      for (const [second, right] of Object.entries(ends)) {
        const token = `${unsigned}.${Buffer.concat([toBytes(left), toBytes(right)]).toString('base64url')}`;
        await opensNothing(t, service, token, `r is ${first}, s is ${second}`);
      }
    }
    const near = {
      'r and 0': [r, 0n],
      '0 and s': [0n, s],
      'r and n': [r, order],
      'n and s': [order, s],
      's and r': [s, r],
      'n - r and s': [order - r, s],
    };
    for (const [name, [left, right]] of Object.entries(near) as [string, [bigint, bigint]][]) {
      const token = `${unsigned}.${Buffer.concat([toBytes(left), toBytes(right)]).toString('base64url')}`;
      await opensNothing(t, service, token, name);
    }
    for (const length of [0, 1, 32, 63, 65, 128]) {
      await opensNothing(t, service, `${unsigned}.${Buffer.alloc(length).toString('base64url')}`, `${length} zeros`);
    }
  });

  await t.test('J01 a signature cut, lengthened or changed in any byte signs nothing', async (t) => {
    for (let index = 0; index < raw.length; index += 9) {
      const bent = Buffer.from(raw);
      bent.writeUInt8(bent.readUInt8(index) ^ 1, index);
      await opensNothing(t, service, `${unsigned}.${bent.toString('base64url')}`, `byte ${index}`);
    }
    const lengths = [
      raw.subarray(0, 63),
      raw.subarray(1),
      Buffer.concat([raw, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), raw]),
      Buffer.concat([raw, raw]),
    ];
    // Both numbers one byte longer, with nothing before them.
    lengths.push(Buffer.concat([toBytes(r, 33), toBytes(s, 33)]), Buffer.concat([toBytes(r + order, 33), toBytes(s, 33)]));
    for (const bytes of lengths) await opensNothing(t, service, `${unsigned}.${bytes.toString('base64url')}`, `${bytes.length} bytes`);
    await opensAll(t, service, person.token, person.username);
  });

  await t.test('J04 a signature in DER is none', async (t) => {
    for (let round = 0; round < 5; round += 1) {
      await opensNothing(t, service, signed(header, { ...claims, jti: `der ${round}` }, ecdsa('sha256', privateKey, 'der')), 'DER');
    }
    await opensAll(t, service, signed(header, claims, ecdsa('sha256', privateKey)), person.username);
  });

  await t.test('J01 the other s of a signature is worth no more than the token that it was taken from', async (t) => {
    const { token, username } = await believedPerson(service);
    const [input, mark] = [token.slice(0, token.lastIndexOf('.')), Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')];
    const twin = Buffer.concat([mark.subarray(0, 32), toBytes(order - toNumber(mark.subarray(32)))]);
    // Both verify, as ECDSA has it; neither outlives the session.
    const twinToken = `${input}.${twin.toString('base64url')}`;
    await opensAll(t, service, token, username);
    t.equal((await service.post('/auth/logout', undefined, { token })).status, 204);
    await opensNothing(t, service, token, 'of a session that is over');
    await opensNothing(t, service, twinToken, 'its twin');
  });

  await t.test('J01 a token has one spelling: no padding, no space, no other alphabet, no spare bits', async (t) => {
    t.equal(aliasesOf(signature).length, 15);
    for (const alias of aliasesOf(signature)) {
      await opensNothing(t, service, `${unsigned}.${alias}`, `an alias of its last character: ${alias.at(-1)}`);
    }
    const spellings = {
      'padding of the signature': `${person.token}==`,
      'one sign of padding': `${person.token}=`,
      'padding of the header': `${head}=.${payload}.${signature}`,
      'padding of the payload': `${head}.${payload}=.${signature}`,
      'a space within': `${head}.${payload} .${signature}`,
      'a tab within': `${head}.\t${payload}.${signature}`,
      'a fourth part': `${person.token}.`,
      'another fourth part': `${person.token}.${signature}`,
      'a part before': `.${person.token}`,
      'a dot more': `${head}..${payload}.${signature}`,
      'a dot less': `${head}${payload}.${signature}`,
      'a sign outside the alphabet': `${unsigned}.${signature}~`,
      'an escaped dot': person.token.replaceAll('.', '%2E'),
      quotes: `"${person.token}"`,
      'capitals only': person.token.toUpperCase(),
      twice: `${person.token}${person.token}`,
      'twice, by a comma': `${person.token},${person.token}`,
    };
    for (const [name, token] of Object.entries(spellings)) await opensNothing(t, service, token, name);
    // The alphabet of plain base64: a token in which it makes a difference.
    for (let round = 0; ; round += 1) {
      const token = await signWith(key, { ...claims, jti: `round ${round}` });
      const plain = token.replaceAll('-', '+').replaceAll('_', '/');
      if (plain === token) continue;
      await opensAll(t, service, token, person.username);
      await opensNothing(t, service, plain, 'the alphabet of plain base64');
      break;
    }
  });

  await t.test('J04 a header that demands what the service does not understand is refused', async (t) => {
    const demands = [
      { crit: ['exp'], exp: 0 },
      { crit: ['x'], x: 1 },
      { crit: ['http://example.com/x'], 'http://example.com/x': 1 },
      { crit: [] },
      { crit: ['alg'] },
    ];
    const malformed = [
      { crit: 'b64' },
      { crit: {} },
      { crit: true },
      { crit: 1 },
      { crit: [1] },
      { crit: [null] },
      { crit: ['x', 'x'], x: 1 },
      { crit: ['__proto__'] },
    ];
    const signer = ecdsa('sha256', privateKey);
    for (const extra of [...demands, ...malformed, { crit: ['b64'] }, { crit: ['b64'], b64: true }, { crit: ['b64'], b64: false }]) {
      await opensNothing(t, service, signed({ ...header, ...extra }, claims, signer), JSON.stringify(extra));
    }
    // RFC 7797: signed over the payload as it is, which stands there as it is.
    for (const extra of [{ crit: ['b64'], b64: false }, { b64: false }]) {
      const first = Buffer.from(JSON.stringify({ ...header, ...extra })).toString('base64url');
      const text = JSON.stringify(claims);
      const mark = signer(Buffer.from(`${first}.${text}`)).toString('base64url');
      await opensNothing(t, service, `${first}.${Buffer.from(text).toString('base64url')}.${mark}`, `${JSON.stringify(extra)}, encoded`);
      await opensNothing(t, service, `${first}.${payload}.${mark}`, `${JSON.stringify(extra)}, with a genuine payload`);
      await opensNothing(t, service, `${first}..${mark}`, `${JSON.stringify(extra)}, detached`);
      await opensNothing(t, service, `${first}.${text}.${mark}`, `${JSON.stringify(extra)}, as it is`);
    }
    await opensAll(t, service, signed(header, claims, signer), person.username);
  });

  await t.test('J01 a header or payload that is no object, no JSON or no text is refused', async (t) => {
    const signer = ecdsa('sha256', privateKey);
    const whole = JSON.stringify(claims);
    const wrong = [
      '',
      ' ',
      'null',
      '[]',
      '7',
      '"text"',
      'true',
      '{',
      '{}',
      `${whole}x`,
      `${whole}${whole}`,
      `[${whole}]`,
      `\ufeff${whole}`,
      `${whole}\u0000`,
      whole.slice(0, -1),
      whole.replaceAll('"', "'"),
    ];
    for (const text of wrong) await opensNothing(t, service, signed(header, text, signer), `a payload: ${text.slice(0, 30)}`);
    const headers = [
      '',
      ' ',
      'null',
      '[]',
      '7',
      '{',
      '{}',
      JSON.stringify([header]),
      `\ufeff${JSON.stringify(header)}`,
      `${JSON.stringify(header)}}`,
    ];
    for (const text of headers) await opensNothing(t, service, signed(text, claims, signer), `a header: ${text.slice(0, 30)}`);
    const polluted = [
      `{"__proto__":${whole}}`,
      `{"constructor":{"prototype":${whole}}}`,
      whole.replace(/}$/, ',"__proto__":{"role":"admin"}}'),
    ];
    for (const text of polluted) await opensNothing(t, service, signed(header, text, signer), `a payload: ${text.slice(0, 30)}`);
    await opensNothing(t, service, compact({ __proto__: header }, claims, signature), 'a header that inherits');
    await opensAll(t, service, signed(header, whole, signer), person.username);
  });
});
