import { readFileSync } from 'node:fs';

const ticksPerSecond = 100;

/** What a process, with all its threads, has kept the processors busy. */
export function busySeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export function residentMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** What runs a program on a core, and all that it starts. */
export function onCore(core: number, command: readonly [string, ...string[]]): readonly [string, ...string[]] {
  return ['taskset', '--cpu-list', String(core), ...command];
}
