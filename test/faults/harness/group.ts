/** Items by a key of theirs, in the order in which they come. */
export function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** What is there more than once. */
export function repeated(keys: readonly string[]): string[] {
  return [...groupBy(keys, (key) => key)].filter(([, same]) => same.length > 1).map(([key]) => key);
}
