import type { Clock } from '../clock.ts';
import { type Config, ConfigError, loadConfig } from '../config.ts';
import { checkAddress } from './address.ts';
import { checkConfiguration, tellFaults } from './configuration.ts';
import { checkCookies } from './cookies.ts';
import { checkDatabase } from './database.ts';
import { type Check, type Finding, findingsAbout, nameOf, type Subject, within } from './finding.ts';
import { checkLimits } from './limits.ts';
import { checkMail } from './mail.ts';
import { checkSecrets } from './secrets.ts';

/** In the order in which they are told. */
const checks: Readonly<Record<Subject, Check>> = {
  configuration: checkConfiguration,
  database: checkDatabase,
  mail: checkMail,
  limits: checkLimits,
  address: checkAddress,
  cookies: checkCookies,
  secrets: checkSecrets,
};

/** Any check ends before that by itself, unless the name of a server is looked up for ever. */
const longestCheckSeconds = 30;

/**
 * Looks at what a service in this environment would run with, and at the servers that it would use. Changes nothing, sends
 * no mail, and always ends: a check that fails is a finding, too.
 *
 * Faults of the configuration come alone, since without it there is nothing else to look at.
 */
export async function diagnose(env: Readonly<Record<string, string | undefined>>, clock: Clock): Promise<Finding[]> {
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return tellFaults(error);
    throw error;
  }
  const subjects = Object.entries(checks) as [Subject, Check][];
  const findings = await Promise.all(subjects.map(([subject, check]) => run(subject, async () => check(config, clock))));
  return findings.flat();
}

async function run(subject: Subject, check: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await within(longestCheckSeconds, check());
  } catch (error) {
    return [findingsAbout(subject).error(`could not be checked: ${nameOf(error)}`)];
  }
}
