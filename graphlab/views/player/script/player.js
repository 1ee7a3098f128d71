// One run: what stands on the page at step n follows from the data and n alone.
const PANES = ["cause", "graph", "tensors", "account"];

function player(section, data, uid, { titles, at, choose, remember, pane, more }) {
  const last = data.steps.length - 1;
  const loud = new Set(data.findings.map((finding) => finding.step));
  const kindOf = (n) => (loud.has(n) ? "raised" : data.steps[n].kind);
  // What is asked must not be given away beforehand.
  const secret = data.quiz.length > 0;
  let now = -1;
  section.classList.toggle("gl-calm", data.marks === null);

  const quiz = quizPane(data, go, () => pane("account"));
  const source = sourcePane(data), cause = causePane(data);
  const tensors = tensorPane(data, (row) => { cause.watch(row); pane("cause"); draw(now); });
  const graph = graphPane(section, data, uid, () => draw(now));
  const account = accountPane(data, go, choose, quiz.element);
  const marks = data.steps.map((step, n) =>
    ({ n, kind: kindOf(n), title: say("mark", { step: n + 1, line: step.line }) }))
    .filter(({ kind }) => kind !== "line" && kind !== "write");
  const bar = controls({
    total: last + 1, marks, go, onward,
    valueText: (n) => say("value", { step: n + 1, total: last + 1, line: data.steps[n].line }),
    length: (n) => data.steps[n].say.length,
  });
  const said = make("p", { class: "gl-say", "aria-live": "polite", role: "status" });
  // How it ended has its room from the start, so that nothing moves when it is told.
  const ended = make("span", {}, data.moment[1] ? `${data.moment[0] ? ", " : ""}${data.moment[1]}` : "");
  const moment = make("span", { class: "gl-faint gl-moment" }, data.moment[0], ended);
  const tabs = make("div", { class: "gl-tabs", role: "group", "aria-label": say("panes") },
    ...PANES.map((name) => button(say(`pane_${name}`), "", () => pane(name))));

  const runs = make("nav", { class: "gl-runs", "aria-label": say("runs") }, ...titles.map((text, other) => {
    const found = button(text, "", () => choose(other));
    found.setAttribute("aria-pressed", String(other === at));
    return found;
  }));
  section.replaceChildren(
    make("div", { class: "gl-top" },
      make("header", {}, ...(titles.length > 1 ? [runs] : []),
        make("strong", { class: "gl-alone", title: data.title }, data.title), moment, quiz.score, ...more()),
      bar.element),
    said,
    make("div", { class: "gl-panes" },
      source.element, tabs, cause.element, graph.element, tensors.element, account.element));

  const sentence = (n) => say("line_says", { line: data.steps[n].line, text: data.steps[n].say });

  function draw(n) {
    const saved = waiting(data, n, graph.level());
    cause.draw(n);
    tensors.draw(n, saved, cause.row());
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
    for (const { n: step, kind, tick } of bar.ticks) tick.hidden = secret && kind === "raised" && step > n;
    ended.classList.toggle("gl-secret", secret && n < last);
    bar.draw(n, quiz.left(n, last + 1));
    put(said, sentence(n));
    remember();
  }

  // A question may stand before step n: then it is asked, and the step waits.
  function onward(n) {
    const asked = quiz.stops(now, Math.min(last + 1, n));
    if (!asked) go(n);
    return asked;
  }
  quiz.on(onward);

  return {
    go, step: () => now,
    begin: () => {
      go(secret ? 0 : data.start);
      if (secret) quiz.stops(-1, 0);
    },
    key: (event) => quiz.key(event) || bar.key(event),
    stop: bar.stop,
    idle: (is) => section.classList.toggle("gl-idle", is),
    kindOf,
    // Nothing has a size while the run is hidden, so it is measured and drawn when it is shown.
    shown: () => {
      PANES.forEach((name, each) => tabs.children[each].setAttribute("aria-pressed", String(root.dataset.pane === name)));
      keepHeight(said, data.steps.map((_, n) => sentence(n)));
      graph.show(graph.level());
      if (now >= 0) draw(now);
      if (now >= 0) source.draw(now);
    },
  };
}
