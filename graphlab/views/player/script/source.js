// Lines of a file that is printed whole, and lines around those that run of any other.
const LONG = 200, AROUND = 15;

// Columns before the first word; a tab goes on to the next multiple of four, as it is drawn.
function indent(text) {
  let columns = 0;
  for (const letter of text.match(/^\s*/)[0]) columns += letter === "\t" ? 4 - (columns % 4) : 1;
  return columns;
}

// A line that is too long is broken after a bracket, and inside a name only if it must.
const BRACKET = /(?<=\()(?=[^)])/;

// The source, with the line that runs now.
function sourcePane(data) {
  const name = make("h3", {});
  const element = make("div", { class: "gl-source", tabindex: "0", role: "region", "aria-label": say("source") });
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
      const shown = near(at), file = data.files[at];
      const hidden = new Set(file.hidden), remarks = new Set(file.remarks);
      let gap = null;
      listings[at] = file.lines.map((text, number) => {
        // A remark to this page is none of the program. Hidden lines that follow on each other are one gap.
        if (remarks.has(number + 1)) return null;
        const left = hidden.has(number + 1);
        if (left && gap) return gap;
        const code = make("code", {}, ...(left ? [say("left_out")] : breakable(text || " ", BRACKET)));
        code.style.setProperty("--indent", indent(text));
        const kind = shown(number + 1) ? "gl-line" : "gl-line gl-far";
        const line = make("div", { class: left ? `${kind} gl-gap` : kind }, make("b", {}, left ? "" : String(number + 1)), code);
        gap = left ? line : null;
        return line;
      });
    }
    return listings[at];
  }

  // No line is cut in half at an edge of the pane: what does not fit is not shown.
  function trim() {
    const top = element.scrollTop, bottom = top + element.clientHeight;
    let above = 0, below = 0;
    for (const line of element.children) {
      const start = line.offsetTop, end = start + line.offsetHeight;
      if (start < top - 1 && end > top + 1 && end < bottom) above = end - top;
      if (end > bottom + 1 && start < bottom - 1 && start > top) below = bottom - start;
      if (start >= bottom) break;
    }
    element.style.clipPath = above || below ? `inset(${above}px 0 ${below}px 0)` : "";
  }
  element.addEventListener("scroll", trim, { passive: true });
  new ResizeObserver(trim).observe(element);

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
      element.replaceChildren(...new Set(lines.filter(Boolean)));
    }
    for (const each of painted) {
      each.classList.remove("gl-now", "gl-previous", "gl-fails");
      each.removeAttribute("aria-current");
    }
    painted = [];
    if (n > 0) paint(data.steps[n - 1], "gl-previous");
    paint(step, "gl-now", ...(step.kind === "raised" || n === data.marks?.[2] ? ["gl-fails"] : []));
    const target = lines[step.line - 1];
    if (!target) return;
    target.setAttribute("aria-current", "step");
    const top = target.offsetTop, room = element.clientHeight;
    if (top < element.scrollTop + 40 || top > element.scrollTop + room - 60) {
      const above = top - room / 2;
      element.scrollTop = lines.find((line) => line && line.offsetTop >= above)?.offsetTop ?? above;
    }
    trim();
  }

  return { element: make("div", { class: "gl-code" }, name, element), draw };
}
