/** What the cookies of a session are called, and whether they travel by TLS only. */
export interface SessionCookies {
  readonly access: string;
  readonly refresh: string;
  readonly secure: boolean;
}

/**
 * The `__Host-` prefix makes browsers refuse a cookie that another host of the domain has planted (RFC 6265bis
 * §4.1.3.2). It needs https; over plain http, which is for localhost, the names go without it.
 */
export function sessionCookies(publicUrl: string): SessionCookies {
  const secure = publicUrl.startsWith('https:');
  const prefix = secure ? '__Host-' : '';
  return { access: `${prefix}access`, refresh: `${prefix}refresh`, secure };
}
