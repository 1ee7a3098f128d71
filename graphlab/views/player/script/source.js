// Lines of a file that is printed whole, and lines around those that run of any other.
const LONG = 200, AROUND = 15;

// Columns before the first word; a tab goes on to the next multiple of four, as it is drawn.
function indent(text) {
  let columns = 0;
  for (const letter of text.match(/^\s*/)[0]) columns += letter === "\t" ? 4 - (columns % 4) : 1;
  return columns;
}

// Left: the source with the line that runs now.
function sourcePane(data) {
  const name = make("h3", {});
  const element = make("div", { class: "gl-source", tabindex: "0", role: "region", "aria-label": "Source" });
  const listings = data.files.map(() => null);
  let file = -1, painted = [];

  // Of a long file, paper shows what lies around the lines that run.
  function near(at) {
    const lines = data.files[at].lines.length, found = new Set();
    if (lines <= LONG) return () => true;
    for (const step of data.steps) {
      if (step.file !== at) continue;
      for (let line = step.line - AROUND; line <= step.end + AROUND; line += 1) found.add(line);
    }
    return (line) => found.has(line);
  }

  function listing(at) {
    if (listings[at] === null) {
      const shown = near(at);
      listings[at] = data.files[at].lines.map((text, number) => {
        const code = make("code", {}, text || " ");
        code.style.setProperty("--indent", indent(text));
        const kind = shown(number + 1) ? "gl-line" : "gl-line gl-far";
        return make("div", { class: kind }, make("b", {}, String(number + 1)), code);
      });
    }
    return listings[at];
  }

  function paint(step, ...kinds) {
    for (let line = step.line; line <= step.end; line += 1) {
      const element = listing(step.file)[line - 1];
      if (!element) continue;
      element.classList.add(...kinds);
      painted.push(element);
    }
  }

  function draw(n) {
    const step = data.steps[n];
    const lines = listing(step.file);
    if (file !== step.file) {
      file = step.file;
      put(name, data.files[file].name);
      name.title = data.files[file].name;
      element.replaceChildren(...lines);
    }
    for (const each of painted) {
      each.classList.remove("gl-now", "gl-previous", "gl-fails");
      each.removeAttribute("aria-current");
    }
    painted = [];
    if (n > 0) paint(data.steps[n - 1], "gl-previous");
    paint(step, "gl-now", ...(step.kind === "raised" ? ["gl-fails"] : []));
    const target = lines[step.line - 1];
    if (!target) return;
    target.setAttribute("aria-current", "step");
    const top = target.offsetTop, room = element.clientHeight;
    if (top < element.scrollTop + 40 || top > element.scrollTop + room - 60) {
      element.scrollTop = top - room / 2;
    }
  }

  return { name, element, draw };
}

// Below it: for each tensor its version, its gradient, and what of it is saved for backward.
function tensorPane(data) {
  const heads = ["tensor", "version", ".grad from", "saved"];
  const table = make("table", {}, make("thead", {}, make("tr", {},
    ...heads.map((text) => make("th", { scope: "col" }, text)))));
  const bodies = new Map();
  const rows = data.tensors.map((tensor) => {
    if (!bodies.has(tensor.owner)) {
      bodies.set(tensor.owner, make("tbody", {}));
      table.append(bodies.get(tensor.owner));
    }
    const cells = ["version", "grad", "saved"].map((kind) => make("td", { class: `gl-${kind}` }));
    const head = make("th", { scope: "row", title: `${tensor.name} ${tensor.shape}` }, tensor.name);
    bodies.get(tensor.owner).append(make("tr", {}, head, ...cells));
    return { tensor, cells, key: "" };
  });
  const rest = make("p", { class: "gl-faint gl-rest" });
  const element = make("div",
    { class: "gl-tensors", tabindex: "0", role: "region", "aria-label": "Tensors" }, table, rest);

  function gradient(state) {
    if (state === null || state[2] === null) return "–";
    if (!state[2]) return "none";
    return state[3].join(" + ") || "zero";
  }

  function update(row, n, saved) {
    const state = holds(row.tensor.history, n);
    const fresh = saved ? times(saved.fresh) : [], stale = saved ? times(saved.stale) : [];
    const changed = state !== null && state[0] === n && n > 0;
    const key = JSON.stringify([state, changed, fresh, stale]);
    if (row.key === key) return;
    row.key = key;
    const before = holds(row.tensor.history, n - 1);
    const [version, grad, kept] = row.cells;
    put(version, state === null || state[1] < 0 ? "–" : `v${state[1]}`);
    put(grad, gradient(state));
    version.classList.toggle("gl-new", changed && before !== null && before[1] !== state[1]);
    grad.classList.toggle("gl-new", changed && before !== null && gradient(before) !== gradient(state));
    grad.classList.toggle("gl-faint", state === null || !state[2]);
    kept.replaceChildren(
      ...fresh.map((text) => make("span", { class: "gl-chip" }, text)),
      ...stale.map((text) => make("span", { class: "gl-chip gl-stale" }, `${text} stale`)));
  }

  function draw(n, { byRow, nameless }) {
    rows.forEach((row, at) => update(row, n, byRow.get(at)));
    put(rest, nameless ? `and ${plural(nameless, "saved tensor")} that no variable names` : "");
  }

  return { element, draw };
}
