/** How an attempt to send a mail may end. */
export const mailOutcomes = ['sent', 'postponed', 'failed', 'dropped'] as const;

/** What is counted of what the service does. */
export type Occurrence =
  | { readonly what: 'login' | 'failed_login' | 'registration' }
  /** That an address was confirmed by a mailed link, so many seconds after the account was opened. */
  | { readonly what: 'confirmation'; readonly afterSeconds: number }
  | { readonly what: 'mail_attempt'; readonly outcome: (typeof mailOutcomes)[number] };

/** Brings what occurs to whoever counts it; to nobody, for nothing, as a rule. */
export interface Telemetry {
  /** To be called after the commit of what it tells. */
  tell(occurrence: Occurrence): void;
  listen(listener: (occurrence: Occurrence) => void): void;
}

export function createTelemetry(): Telemetry {
  const listeners: ((occurrence: Occurrence) => void)[] = [];
  return {
    tell: (occurrence) => {
      for (const listener of listeners) listener(occurrence);
    },
    listen: (listener) => void listeners.push(listener),
  };
}

/** That the address of an account has just been confirmed. */
export function confirmationOf({ createdAt }: { readonly createdAt: Date }, now: Date): Occurrence {
  return { what: 'confirmation', afterSeconds: Math.max(0, now.getTime() - createdAt.getTime()) / 1000 };
}
