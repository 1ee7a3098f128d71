// For each tensor its version, its gradient, and what of it is saved for backward. A click on its
// name follows it.
function tensorPane(data, follow) {
  const heads = ["tensor", "version", "grad_from", "saved"];
  const table = make("table", {}, make("thead", {}, make("tr", {},
    ...heads.map((key) => make("th", { scope: "col" }, say(key))))));
  const bodies = new Map();
  const rows = data.tensors.map((tensor, at) => {
    if (!bodies.has(tensor.owner)) {
      bodies.set(tensor.owner, make("tbody", {}));
      table.append(bodies.get(tensor.owner));
    }
    const cells = ["version", "grad", "saved"].map((kind) => make("td", { class: `gl-${kind}` }));
    const name = button(tensor.name, say("follow", { name: `${tensor.name}, ${tensor.shape}` }), () => follow(at));
    name.replaceChildren(...breakable(tensor.name));
    bodies.get(tensor.owner).append(make("tr", {}, make("th", { scope: "row" }, name), ...cells));
    return { tensor, at, cells, name, key: "" };
  });
  const rest = make("p", { class: "gl-faint gl-rest" });
  const element = make("div",
    { class: "gl-tensors", tabindex: "0", role: "region", "aria-label": say("tensors") }, table, rest);

  function gradient(state) {
    if (state === null || state[2] === null) return "–";
    if (!state[2]) return say("no_grad");
    return state[3].join(" + ") || say("zero_grad");
  }

  function update(row, n, saved) {
    const state = holds(row.tensor.history, n);
    const fresh = saved ? times(saved.fresh) : [], stale = saved ? times(saved.stale) : [];
    const changed = state !== null && state[0] === n && n > 0;
    const others = starred(data, row.at, n);
    const key = JSON.stringify([state, changed, fresh, stale, others]);
    if (row.key === key) return;
    row.key = key;
    const before = holds(row.tensor.history, n - 1);
    const [number, grad, kept] = row.cells;
    put(number, state === null || state[1] < 0 ? "–" : version(state[1], others));
    put(grad, gradient(state));
    const written = others && !starred(data, row.at, n - 1);
    number.classList.toggle("gl-new", before !== null && (written || (changed && before[1] !== state[1])));
    grad.classList.toggle("gl-new", changed && before !== null && gradient(before) !== gradient(state));
    grad.classList.toggle("gl-faint", state === null || !state[2]);
    kept.replaceChildren(
      ...fresh.map((text) => make("span", { class: "gl-chip" }, text)),
      ...stale.map((text) => make("span", { class: "gl-chip gl-stale" }, say("box_stale", { versions: text }))));
  }

  function draw(n, { byRow, nameless }, followed) {
    rows.forEach((row, at) => {
      update(row, n, byRow.get(at));
      row.name.setAttribute("aria-pressed", String(at === followed));
    });
    put(rest, nameless ? say("and_nameless", { count: nameless }) : "");
  }

  return { element, draw };
}
