interface KnownPath {
  readonly pattern: RegExp;
  readonly kept: string;
}

/**
 * Finds what is kept for the path of a target, as the router would that knows nothing of the request's method.
 *
 * @param keptOf by the patterns of routes; complete when something is looked for
 */
export function createPathFinder(keptOf: ReadonlyMap<string, string>): (target: string) => string | undefined {
  let known: readonly KnownPath[] | undefined;
  return (target) => {
    // Hardly anybody ever asks.
    known ??= knownPaths(keptOf);
    const path = pathOf(target);
    return known.find(({ pattern }) => pattern.test(path))?.kept;
  };
}

/** In the router's order: what is spelled out comes before what has a parameter, and the rest of a path last. */
function knownPaths(keptOf: ReadonlyMap<string, string>): readonly KnownPath[] {
  const rank = (url: string) => (url.includes('*') ? 2 : url.includes(':') ? 1 : 0);
  return [...keptOf].sort(([one], [other]) => rank(one) - rank(other)).map(([url, kept]) => ({ pattern: patternOf(url), kept }));
}

function patternOf(url: string): RegExp {
  const pattern = url.replaceAll('.', '\\.').replace(/\*$/, '.*').replace(/:\w+/g, '[^/]*');
  return new RegExp(`^${pattern}$`, 's');
}

/** The path, decoded as the router does it, which has refused by now what cannot be. */
function pathOf(target: string): string {
  const [path] = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/, 1);
  return decodeURI(path || '/');
}
