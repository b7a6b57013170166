import ipaddr from 'ipaddr.js';

/** How many bytes of an address name a network: one client has the whole of an IPv6 /64. */
const narrow = { ipv4: 4, ipv6: 8 };
/** What a provider hands out at the least: whoever has some of it may have all of it. */
const wide = { ipv4: 3, ipv6: 6 };

/** The network that one client is alone in: an IPv4 address, or the /64 of an IPv6 address. */
export function networkOf(ip: string): string {
  return prefixOf(ip, narrow);
}

/** The network around it: the /24 of an IPv4 address, or the /48 of an IPv6 address. */
export function wideNetworkOf(ip: string): string {
  return prefixOf(ip, wide);
}

/** Some proxies write the port of their client behind its address, where it would be another network for each connection. */
const withPort = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/;

/** The address alone; what is none stays as it is. */
export function withoutPort(text: string): string {
  const [, v6, v4] = withPort.exec(text) ?? [];
  return v6 ?? v4 ?? text;
}

function prefixOf(text: string, lengths: typeof narrow): string {
  const ip = withoutPort(text);
  if (!ipaddr.isValid(ip)) return ip;
  // An IPv4 address that is written as an IPv6 one is the same client's.
  const address = ipaddr.process(ip);
  const kind = address.kind();
  const prefix = address.toByteArray().slice(0, lengths[kind]);
  return kind === 'ipv4' ? prefix.join('.') : Buffer.from(prefix).toString('hex');
}
