import { spawnSync } from 'node:child_process';

/** Debian's own, which its packages of modules are for, whatever else may be called so. */
export const python = '/usr/bin/python3';

const hasPyJwt = () => spawnSync(python, ['-c', 'import jwt, cryptography']).status === 0;

/** Why a test that needs PyJWT is left out; false when it is not. In CI there always is one. */
export const noPyJwt = process.env['CI'] !== undefined || hasPyJwt() ? false : `there is no PyJWT for ${python}`;
