import { systemClock } from '../clock.ts';
import type { Finding } from '../doctor/finding.ts';
import { type EnvironmentCommand, parse } from './command.ts';

/** `latchkey doctor`: what is wrong with a service in this environment, and what mends it. */
export const doctor: EnvironmentCommand = {
  usage: 'doctor [--json]',
  purpose: 'what is wrong with configuration, database or mail server, and what mends it',
  async examine(args, env, console) {
    const { values } = parse(args, { json: { type: 'boolean' } }, 0);
    // Not loaded by a service that starts.
    const { diagnose } = await import('../doctor/diagnose.ts');
    const findings = await diagnose(env, systemClock);
    console.say(values['json'] ? JSON.stringify(findings, null, 2) : findings.map(tell).join('\n'));
    return findings.some(({ level }) => level === 'error') ? 1 : 0;
  },
};

function tell({ subject, level, what, mend }: Finding): string {
  const indent = ' '.repeat(9);
  return [`${level.padEnd(8)} ${subject.padEnd(13)} ${what}`, ...(mend?.split('\n').map((line) => `${indent}${line}`) ?? [])].join('\n');
}
