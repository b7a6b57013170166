export function bundle(source: string, output: string, input?: Readonly<Record<string, string>>): Promise<void>;
