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
      const word = version(each.version, stale && each.now === each.version);
      const side = stale ? found.stale : found.fresh;
      side.set(word, (side.get(word) || 0) + 1);
    }
  }
  return { byRow, byBox, nameless };
}

// Whether a row's tensor, at the version that it has, was written unseen by its counter: then the
// values are not those of that version.
function starred(data, row, n) {
  const { history, unseen } = data.tensors[row];
  const state = holds(history, n);
  return state !== null && (
    unseen.some((step) => step <= n && holds(history, step)?.[1] === state[1])
    || data.saved.some((each) => each.row === row && each.now === each.version
      && each.stale !== null && each.stale <= n && each.version === state[1]));
}

function times(versions) {
  return [...versions].map(([word, count]) => (count > 1 ? `${word} ×${count}` : word));
}
