// Saved tensors that wait at step n, by row of the table and by box of the figure: for each, how
// many of which version are as they were saved, how many are stale, and how many have no name.
function waiting(data, n, level) {
  const byRow = new Map(), byBox = new Map();
  let nameless = 0;
  for (const each of data.saved) {
    if (each.born > n || (each.freed !== null && each.freed <= n)) continue;
    const stale = each.stale !== null && each.stale <= n;
    if (each.row === null) nameless += 1;
    for (const [map, key] of [[byRow, each.row], [byBox, each.boxes[level]]]) {
      if (key === null || key === undefined) continue;
      if (!map.has(key)) map.set(key, { fresh: new Map(), stale: new Map(), nameless: 0 });
      const found = map.get(key);
      if (each.row === null && !stale) {
        found.nameless += 1;
        continue;
      }
      const word = each.version === null ? "v?" : `v${each.version}`;
      const side = stale ? found.stale : found.fresh;
      side.set(word, { count: (side.get(word)?.count || 0) + 1, now: each.now });
    }
  }
  return { byRow, byBox, nameless };
}

function times(versions) {
  return [...versions].map(([word, { count }]) => (count > 1 ? `${word} ×${count}` : word));
}
