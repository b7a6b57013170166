import type { FoundSession } from '../guard/find-session.ts';

/** What an application behind a proxy is told of the user who asks. */
export function identityHeaders({ userId, username, email, role }: FoundSession) {
  return { 'x-auth-user-id': userId, 'x-auth-username': username, 'x-auth-email': email, 'x-auth-role': role };
}
