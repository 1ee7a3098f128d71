// The space that Graphviz leaves on both sides of a drawing, together.
const EDGE = 8;

// Middle: the graph, with the part that runs now lit, and a badge on every box that saved tensors.
function graphPane(section, data, uid, redraw) {
  const figures = [...section.querySelectorAll(".gl-figure")];
  const boxes = figures.map(() => new Map());
  const levels = make("div", { class: "gl-levels", role: "group", "aria-label": "Level of the graph" });
  const element = make("div", { class: "gl-middle", role: "region", "aria-label": "Graph" }, levels,
    ...figures, data.problem ? make("p", { class: "gl-faint" }, data.problem) : "");
  let level = 0, lit = [];
  if (figures.length > 1) {
    const words = { overview: "overview", module: "inside the modules" };
    data.levels.forEach((text, at) =>
      levels.append(button(words[text] || text, "", () => { show(at); redraw(); })));
  }

  function show(at) {
    level = at;
    figures.forEach((each, other) => { each.hidden = other !== at; });
    [...levels.children].forEach((each, other) =>
      each.setAttribute("aria-pressed", String(other === at)));
    for (const found of boxes[at]?.values() || []) if (found) found.text = null;
  }

  function box(key) {
    if (!boxes[level].has(key)) {
      const id = `${uid}-${data.levels[level]}-gl-${key}`;
      const group = figures[level].querySelector(`[id="${CSS.escape(id)}"]`);
      boxes[level].set(key, group && {
        group, badge: null, text: "", texts: [...group.querySelectorAll("text")],
      });
    }
    return boxes[level].get(key);
  }

  // A badge sits on the upper right corner of its box, and hides no word of it.
  function badge(found, text, state) {
    if (found.text === text + state) return;
    found.badge?.remove();
    found.badge = null;
    found.text = text + state;
    if (!text) return;
    const place = found.group.getBBox();
    const group = document.createElementNS(SVG, "g");
    const label = document.createElementNS(SVG, "text");
    const plate = document.createElementNS(SVG, "rect");
    group.setAttribute("class", `gl-badge gl-${state}`);
    label.textContent = text;
    label.setAttribute("x", place.x + place.width + 6);
    label.setAttribute("y", place.y - 2);
    group.append(plate, label);
    found.group.parentNode.append(group);
    found.badge = group;
    const size = label.getBBox();
    // Nothing has a size while the page is not shown; the next step tries again.
    if (!size.width) found.text = null;
    for (const [key, value] of Object.entries({
      x: size.x - 7, y: size.y - 2, width: size.width + 14, height: size.height + 4, rx: 8,
    })) plate.setAttribute(key, value);
    // It may not stand over the drawing's own edge.
    const room = group.ownerSVGElement.viewBox.baseVal.width - EDGE;
    const left = Math.max(0, size.x - 7), right = Math.min(room, size.x + size.width + 7);
    const shift = left - (size.x - 7) || right - (size.x + size.width + 7);
    if (shift) group.setAttribute("transform", `translate(${shift} 0)`);
  }

  function label({ fresh, stale, nameless }) {
    if (stale.size) {
      const [[word, { now }]] = [...stale];
      const then = now === null ? "stale" : word === `v${now}` ? "written unseen" : `now v${now}`;
      return [`saved ${times(stale).join(", ")}, ${then}`, "stale"];
    }
    if (fresh.size) return [`saved ${times(fresh).join(", ")}`, "fresh"];
    return [`${nameless} saved`, "other"];
  }

  // What is not there yet at step n is drawn pale: boxes, and the arrows from or to them.
  const births = figures.map((figure, at) => {
    const born = data.born[at], start = `${uid}-${data.levels[at]}-gl-`;
    const found = [];
    for (const group of figure.querySelectorAll("g.node, g.edge")) {
      const ends = group.id.slice(start.length).split("-").filter((key) => key in born);
      if (ends.length) found.push([Math.max(...ends.map((key) => born[key])), group]);
    }
    return found;
  });

  // A large graph scrolls: what is lit should be seen.
  function reveal(figure) {
    if (!lit.length || figure.scrollHeight <= figure.clientHeight + 1) return;
    const frame = figure.getBoundingClientRect();
    const places = lit.map((found) => found.group.getBoundingClientRect());
    const top = Math.min(...places.map((place) => place.top)) - frame.top;
    const bottom = Math.max(...places.map((place) => place.bottom)) - frame.top;
    if (top < 0 || bottom > frame.height) figure.scrollTop += (top + bottom - frame.height) / 2;
  }

  function draw(n, { byBox }) {
    if (!figures.length) return;
    for (const [step, group] of births[level]) {
      if (group.classList.contains("gl-later") !== step > n) group.classList.toggle("gl-later");
    }
    for (const found of lit) found.group.classList.remove("gl-lit", "gl-alarm");
    const here = `line ${data.steps[n].line}`;
    const kind = data.steps[n].kind === "raised" ? "gl-alarm" : "gl-lit";
    lit = (data.steps[n].lit[level] || []).map(box).filter(Boolean);
    for (const found of lit) {
      found.group.classList.add(kind);
      // A module that is called several times has a lane for each call, by its line.
      for (const each of found.texts) each.classList.toggle("gl-here", each.textContent === here);
    }
    reveal(figures[level]);
    for (const key of new Set([...boxes[level].keys(), ...byBox.keys()])) {
      const found = box(key);
      if (!found) continue;
      const kept = byBox.get(key);
      badge(found, ...(kept ? label(kept) : ["", ""]));
    }
  }

  return { element, draw, show, level: () => level };
}
