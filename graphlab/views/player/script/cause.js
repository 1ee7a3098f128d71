// One tensor and the two ways to it: the name that the program writes through, and what backward
// was promised. Both lead to one object, and a write changes it for both.
const SIDES = 3;

function causePane(data) {
  const element = make("div", { class: "gl-cause", tabindex: "0", role: "region", "aria-label": say("cause") });
  let row = data.watched;

  const rank = ({ isFreed, isStale }) => (isFreed && !isStale ? 1 : 0);

  // What waits of this tensor at step n, one entry for each line and version.
  function holders(n) {
    const found = new Map();
    for (const each of data.saved) {
      if (each.row !== row || each.born > n) continue;
      const freed = each.freed !== null && each.freed <= n;
      const stale = each.stale !== null && each.stale <= n && (!freed || each.stale <= each.freed);
      const key = `${each.line} ${each.version} ${freed} ${stale}`;
      if (!found.has(key)) found.set(key, { ...each, isFreed: freed, isStale: stale });
    }
    const all = [...found.values()].sort((one, other) => one.born - other.born);
    // What has been freed says least, and of that what was freed first.
    for (let at = 0; all.length > SIDES && at < all.length;) {
      if (rank(all[at])) all.splice(at, 1);
      else at += 1;
    }
    return all.slice(-SIDES);
  }

  function values(at) {
    const state = holds(data.tensors[row].values || [], at);
    return state === null ? [] : state[1].map((each) => Number(each.toPrecision(4)));
  }

  function draw(n) {
    if (row === null) {
      element.replaceChildren(make("p", { class: "gl-faint" }, say("cause_none")));
      return;
    }
    const tensor = data.tensors[row], state = holds(tensor.history, n), found = holders(n);
    const waiting = found.filter((each) => !each.isFreed);
    const used = found.find((each) => each.isFreed && each.isStale);
    const changed = waiting.some((each) => each.isStale), unseen = starred(data, row, n);
    const before = holds(tensor.history, n - 1);
    const fresh = n > 0 && state !== null && before !== null && before[1] !== state[1];
    const written = fresh || data.saved.some((each) => each.row === row && each.stale === n);
    const now = state === null ? "v?" : version(state[1], unseen);

    const numbers = values(n).length ? `= ${values(n).join(", ")}` : "";
    const object = make("div", { class: `gl-object${(changed && data.marks) || used ? " gl-changed" : ""}${written ? " gl-new" : ""}` },
      make("strong", {}, now),
      numbers ? make("code", {}, numbers) : make("span", { class: "gl-faint" }, tensor.shape));
    const sides = found.map((each) => {
      const word = say(each.isStale ? (each.isFreed ? "is_used" : "is_stale") : each.isFreed ? "is_freed" : "is_fresh");
      const kind = each.isStale ? "gl-stale" : each.isFreed ? "gl-gone" : "gl-held";
      // Several values are told once, unless they were others.
      const old = values(Math.max(each.born, 0)), several = old.length > 1;
      const then = several && old.join() === values(n).join() ? "" : old.join(", ");
      const expected = say(then ? "expects_values" : "expects", { version: version(each.version), values: then });
      return make("li", { class: kind },
        make("span", {}, each.line === null ? say("saved_earlier") : say("saved_in", { line: each.line })), " ",
        make("b", {}, expected), ", ", make("i", {}, word));
    });
    const name = make("div", { class: "gl-name" }, make("code", {}, ...breakable(tensor.name)), make("span", { class: "gl-faint" }, say("the_name")));
    const arrow = (way) => make("span", { class: `gl-arrow gl-${way}`, "aria-hidden": "true" });
    const valued = (tensor.values || []).some((each) => each[1].length > 1);
    const scene = make("div", { class: `gl-scene${valued ? " gl-valued" : ""}` },
      name, arrow("right"), object,
      sides.length ? arrow("left") : make("span"),
      sides.length ? make("ul", {}, ...sides) : make("span", { class: "gl-faint" }, say("nobody")));

    const told = changed ? (unseen ? "told_unseen" : data.marks ? "told_stale" : "told_harmless") : used ? "told_used"
      : waiting.length ? "told_fresh" : found.length ? "told_freed" : "told_before";
    // Where nothing fails, what still waits unharmed says more than what will not be used.
    const live = data.marks ? waiting : waiting.filter((each) => !each.isStale);
    const main = live.find((each) => each.formula) || found.findLast((each) => each.formula);
    const lines = [make("p", {}, say(told, { name: tensor.name }))];
    if (main) {
      lines.push(make("p", { class: "gl-formula" }, make("code", {}, main.formula),
        make("span", { class: "gl-faint" }, ` ${say("with", { symbol: main.symbol, name: tensor.name, version: version(main.version) })}`)));
    }
    const behind = (data.marks && found.findLast((each) => each.isStale && each.beyond)) || live.findLast((each) => each.beyond);
    if (behind) {
      const told = { line: behind.line ?? "?", beyond: behind.beyond, result: behind.formula.split(" ")[0] };
      lines.push(make("p", { class: "gl-faint" }, say(told.result ? "goes_on" : "beyond", told)));
    }
    element.replaceChildren(make("h3", {}, say("cause_title", { name: tensor.name })), scene, ...lines);
  }

  return { element, draw, watch: (other) => { row = other; }, row: () => row };
}
