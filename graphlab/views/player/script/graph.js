// The graph, with the part that runs now lit, and in every box a line for what it saved.
function graphPane(section, data, uid, redraw) {
  const figures = [...section.querySelectorAll(".gl-figure")];
  const boxes = figures.map(() => new Map());
  const levels = make("div", { class: "gl-levels", role: "group", "aria-label": say("level") });
  const element = make("div", { class: "gl-graph", role: "region", "aria-label": say("graph") }, levels,
    ...figures, data.problem ? make("p", { class: "gl-faint" }, data.problem) : "");
  // A figure that scrolls takes the focus, and says what it is.
  figures.forEach((each, at) => {
    each.setAttribute("role", "group");
    each.setAttribute("aria-label", `${say("graph")}, ${say(`level_${data.levels[at]}`)}`);
  });
  let level = 0, lit = [];
  if (figures.length > 1) {
    data.levels.forEach((text, at) =>
      levels.append(button(say(`level_${text}`), "", () => { show(at); redraw(); })));
  }

  function show(at) {
    level = at;
    boxes[at]?.clear();
    figures.forEach((each, other) => { each.hidden = other !== at; });
    [...levels.children].forEach((each, other) =>
      each.setAttribute("aria-pressed", String(other === at)));
  }

  function box(key) {
    if (!boxes[level].has(key)) {
      const id = `${uid}-${data.levels[level]}-gl-${key}`;
      const group = figures[level].querySelector(`[id="${CSS.escape(id)}"]`);
      const line = group?.querySelector(".gl-waits");
      const place = line && group.getBBox();
      // Nothing has a size while the run is hidden.
      if (place && place.width) {
        line.setAttribute("data-room", place.width - 10);
        line.setAttribute("x", place.x + place.width / 2);
        line.setAttribute("text-anchor", "middle");
      }
      boxes[level].set(key, group && { group, line, texts: [...group.querySelectorAll("text")] });
    }
    return boxes[level].get(key);
  }

  // The line stands in room of its own; what is longer is drawn narrower.
  function write({ line }, text, stale) {
    if (!line || (line.textContent === text && line.classList.contains("gl-stale") === stale)) return;
    line.removeAttribute("textLength");
    line.textContent = text;
    line.classList.toggle("gl-stale", stale);
    const room = Number(line.getAttribute("data-room"));
    if (text && room > 0 && line.getComputedTextLength() > room) {
      line.setAttribute("textLength", room);
      line.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
  }

  function words({ fresh, stale, nameless }) {
    if (stale.size) return say("box_stale", { versions: times(stale).join(", ") });
    if (fresh.size) return say("box_saved", { versions: times(fresh).join(", ") });
    return say("box_nameless", { count: nameless });
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

  // A number that is not finite goes from box to box: each says so from its step on.
  const badges = figures.map(() => new Map());
  function mark(key, [step, text], n) {
    let badge = badges[level].get(key);
    const place = badge ? null : box(key)?.group.getBBox();
    if (place && place.width) {
      const add = (parent, name, attributes) => {
        const made = document.createElementNS("http://www.w3.org/2000/svg", name);
        for (const [each, value] of Object.entries(attributes)) made.setAttribute(each, value);
        return parent.appendChild(made);
      };
      // Last of all, so that no arrow crosses it.
      badge = add(box(key).group.parentNode, "g", { class: "gl-odd" });
      const width = 8 * text.length + 14, x = place.x + place.width - width + 10, y = place.y - 14;
      add(badge, "rect", { x, y, width, height: 20, rx: 10 });
      add(badge, "text", { x: x + width / 2, y: y + 14.5, "text-anchor": "middle" }).textContent = text;
      badges[level].set(key, badge);
    }
    badge?.classList.toggle("gl-there", n >= step);
  }

  // A large graph scrolls: what is lit should be seen.
  function reveal(figure) {
    if (!lit.length) return;
    const frame = figure.getBoundingClientRect();
    const places = lit.map((found) => found.group.getBoundingClientRect());
    for (const [from, to, size, scroll] of [["top", "bottom", "height", "scrollTop"], ["left", "right", "width", "scrollLeft"]]) {
      const low = Math.min(...places.map((place) => place[from])) - frame[from];
      const high = Math.max(...places.map((place) => place[to])) - frame[from];
      if (low < 0 || high > frame[size]) figure[scroll] += (low + high - frame[size]) / 2;
    }
  }

  function draw(n, { byBox }) {
    if (!figures.length) return;
    for (const [step, group] of births[level]) {
      if (group.classList.contains("gl-later") !== step > n) group.classList.toggle("gl-later");
    }
    const [save, written, fails] = data.marks || [Infinity, Infinity, Infinity];
    const figure = figures[level].classList;
    [written, save, written, fails].forEach((step, mark) => figure.toggle(`gl-on${mark}`, n >= step));
    for (const found of lit) found.group.classList.remove("gl-lit", "gl-alarm");
    const step = data.steps[n], failing = n === fails;
    const kind = failing || step.kind === "raised" ? "gl-alarm" : "gl-lit";
    const keys = failing && data.failing[level].length ? data.failing[level] : step.lit[level];
    lit = (keys || []).map(box).filter(Boolean);
    for (const found of lit) {
      found.group.classList.add(kind);
      // A module that is called several times has a lane for each call, by its line.
      for (const each of found.texts) {
        const text = each.textContent;
        each.classList.toggle("gl-here", text === step.here || text.startsWith(`${step.here},`));
      }
    }
    Object.entries(data.odd[level]).forEach(([key, from]) => mark(key, from, n));
    reveal(figures[level]);
    for (const key of new Set([...boxes[level].keys(), ...byBox.keys()])) {
      const found = box(key);
      if (!found) continue;
      const kept = byBox.get(key);
      write(found, kept ? words(kept) : "", Boolean(kept?.stale.size));
    }
  }

  return { element, draw, show, level: () => level };
}
