export function bundle(source: string, output: string): Promise<void>;
