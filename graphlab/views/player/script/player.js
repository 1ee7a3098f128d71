// One run: what stands on the page at step n follows from the data and n alone.
function player(section, data, uid, { titles, at, choose, remember }) {
  const last = data.steps.length - 1;
  const loud = new Set(data.findings.map((finding) => finding.step));
  const kindOf = (n) => (loud.has(n) ? "raised" : data.steps[n].kind);
  // What is asked must not be given away beforehand.
  const secret = data.quiz.length > 0;
  let now = -1;

  const quiz = quizPane(data, go);
  const source = sourcePane(data), tensors = tensorPane(data);
  const graph = graphPane(section, data, uid, () => draw(now));
  const account = accountPane(data, go, choose, quiz.element);

  const first = button(icon("M3 3h2v10h-2zM13 3v10l-7-5z"), "First step (Home)", () => go(0));
  const back = button(icon("M11 3v10l-7-5z"), "Back (←)", () => go(now - 1));
  const forward = button(icon("M5 3v10l7-5z"), "Forward (→)", () => onward(now + 1));
  const end = button(icon("M11 3h2v10h-2zM3 3v10l7-5z"), "Last step (End)", () => onward(last));
  const count = make("span", { class: "gl-count" });
  const slider = make("input", { type: "range", min: 1, max: last + 1, step: 1, "aria-label": "Step" });
  slider.addEventListener("input", () => {
    const n = Number(slider.value) - 1;
    if (n > now) onward(n);
    else go(n);
    slider.value = String(now + 1);
  });
  const ticks = make("div", { class: "gl-ticks", "aria-hidden": "true" });
  const marks = [];
  data.steps.forEach((step, n) => {
    const kind = kindOf(n);
    if (kind === "line" || kind === "write") return;
    const tick = make("i", { class: `gl-tick gl-${kind}`, title: `step ${n + 1}, line ${step.line}` });
    tick.style.left = `calc(8px + (100% - 16px) * ${last ? n / last : 0})`;
    ticks.append(tick);
    if (secret && kind === "raised") marks.push({ at: n, tick });
  });
  const help = helpDialog(secret);
  const say = make("p", { class: "gl-say", "aria-live": "polite", role: "status" });
  const moment = make("span", { class: "gl-faint" });

  const runs = make("nav", { class: "gl-runs", "aria-label": "Runs" }, ...titles.map((text, other) => {
    const found = button(text, "", () => choose(other));
    found.setAttribute("aria-pressed", String(other === at));
    return found;
  }));

  section.replaceChildren(
    make("header", {}, titles.length > 1 ? runs : make("strong", {}, data.title), moment, quiz.score),
    make("div", { class: "gl-controls", role: "group", "aria-label": "Controls" },
      first, back, count, forward, end, make("div", { class: "gl-slide" }, slider, ticks),
      button("?", "Keys and words (?)", () => help.showModal())),
    say,
    make("div", { class: "gl-panes" },
      make("div", { class: "gl-left" }, source.name, source.element, tensors.element),
      graph.element, account.element),
    help);

  function draw(n) {
    const saved = waiting(data, n, graph.level());
    tensors.draw(n, saved);
    graph.draw(n, saved);
  }

  function go(n) {
    n = Math.max(0, Math.min(last, n));
    quiz.close();
    if (n === now) return;
    now = n;
    source.draw(n);
    draw(n);
    account.draw(n);
    for (const mark of marks) mark.tick.hidden = mark.at > n;
    put(moment, secret && n < last ? data.moment[0] : data.moment.filter(Boolean).join(", "));
    put(count, `step ${n + 1} of ${last + 1}`);
    slider.value = String(n + 1);
    slider.setAttribute("aria-valuetext", `step ${n + 1} of ${last + 1}, line ${data.steps[n].line}`);
    // Not `disabled`: that would take the focus away, and the keys with it.
    for (const each of [first, back]) each.setAttribute("aria-disabled", String(n === 0));
    for (const each of [forward, end]) each.setAttribute("aria-disabled", String(n === last));
    put(say, `Line ${data.steps[n].line}. ${data.steps[n].say}`);
    remember();
  }

  function onward(n) {
    n = Math.min(last, n);
    if (!quiz.stops(now, n)) go(n);
  }
  quiz.on(() => onward(now + 1));

  // The next step forward or back that a backward, a step or a finding stands at.
  function mile(way) {
    let n = now + way;
    while (n > 0 && n < last && !["backward", "step", "raised"].includes(kindOf(n))) n += way;
    if (way > 0) onward(n);
    else go(n);
  }

  function key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || help.open) return false;
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (way && event.shiftKey) mile(way);
    else if (way === 1) onward(now + 1);
    else if (way === -1) go(now - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") onward(last);
    else if (event.key === "?") help.showModal();
    else return quiz.key(event);
    return true;
  }

  return {
    go, key, step: () => now, start: secret ? 0 : data.start,
    // Boxes have no size while the run is hidden, so they are drawn when it is shown.
    shown: () => { graph.show(graph.level()); draw(now); },
  };
}

function helpDialog(secret) {
  const list = (pairs) => make("dl", {}, ...pairs.flatMap(([word, text]) =>
    [make("dt", {}, make("kbd", {}, word)), make("dd", {}, text)]));
  const legend = make("p", {}, "On the slider: ");
  for (const [kind, text] of [["backward", "backward"], ["step", "step"], ["zero", "zero_grad"], ["raised", "finding"]]) {
    legend.append(make("span", {}, make("i", { class: `gl-mark gl-${kind}` }), ` ${text}`));
  }
  const help = make("dialog", { class: "gl-help", "aria-label": "Keys and words" });
  help.append(
    make("h3", {}, "Keys"),
    list([
      ["→ ←", "one step forward, one back"],
      ["Shift → ←", "the next or the last backward, step or finding"],
      ["Home End", "the first step, the last"],
      ...(secret ? [["1 … 9", "choose an answer"]] : []),
      ["?", "this list"],
    ]),
    legend,
    make("h3", {}, "Words"),
    list([
      ["v1", "A tensor's version counts how often it was written in place."],
      ["saved v1", "Kept for backward, as it was at version 1."],
      ["stale", "Saved, and written since: the value that backward needs is gone."],
      ["node", "One operation in the graph. Backward runs through the nodes from the loss upwards."],
    ]),
    button("Close", "", () => help.close()));
  return help;
}
