/** A mail, ready to be sent to exactly one recipient. */
export interface Message {
  /** Becomes the Message-ID. */
  readonly id: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** Delivers messages. */
export interface MailTransport {
  /** Rejects when the message may not have been taken, or not before the signal; a copy sent again has the same Message-ID. */
  send(message: Message, signal: AbortSignal): Promise<void>;
  /** Tries everything but a message: connection, TLS and credentials. Rejects as `send` would. */
  probe(): Promise<void>;
  close(): void;
}
