// Questions before certain steps. The answers were read from the trace, which says where below. A
// question without options was asked by the script: it is answered in one's head.
function quizPane(data, go, seen) {
  const element = make("article", { class: "gl-card gl-quiz", "aria-live": "polite" });
  const score = make("span", { class: "gl-score gl-faint" });
  element.hidden = true;
  const answered = new Map();
  let open = null, leave = () => {}, confirm = () => {};

  function close() {
    open = null;
    element.hidden = true;
  }

  const graded = data.quiz.filter((each) => each.options.length);
  const next = (now, n) =>
    data.quiz.findIndex((each, at) => each.step > now && each.step <= n && !answered.has(at));

  // Whether a question stands between the step shown and step n; if so, it is asked now.
  function stops(now, n) {
    if (open !== null && !answered.has(open)) {
      if (data.quiz[open].options.length) return true;
      answered.set(open, null);
    }
    const found = next(now, n);
    if (found < 0) {
      close();
      return false;
    }
    go(data.quiz[found].step - 1);
    pose(found);
    return true;
  }

  function pose(at) {
    const question = data.quiz[at], several = question.many;
    const chosen = new Set();
    const verdict = make("div", {});
    const mark = () => options.forEach((each, option) =>
      each.setAttribute("aria-pressed", String(chosen.has(option))));
    const options = question.options.map((text, option) =>
      button(make("span", {}, make("kbd", { "aria-hidden": "true" }, String(option + 1)), ` ${text}`), "", () => {
        if (answered.has(at)) return;
        if (chosen.has(option)) chosen.delete(option);
        else {
          if (!several) chosen.clear();
          chosen.add(option);
        }
        mark();
        check.setAttribute("aria-disabled", String(!chosen.size));
      }));
    const asks = !options.length;
    const check = button(say(asks ? "show" : "answer"), asks ? say("show_long") : "", () => confirm());
    if (!asks) check.setAttribute("aria-disabled", "true");
    const onward = button(say("go_on"), say("go_on_long"), () => leave(question.step));
    function answer() {
      if (!chosen.size || answered.has(at)) return;
      const right = chosen.size === question.answer.length && question.answer.every((each) => chosen.has(each));
      answered.set(at, right);
      element.dataset.right = String(right);
      options.forEach((each, option) => {
        each.disabled = true;
        each.classList.toggle("gl-truth", question.answer.includes(option));
      });
      check.hidden = true;
      const truth = question.answer.map((each) => question.options[each]).join(", ");
      verdict.append(
        make("p", {}, make("strong", {}, say(right ? "right" : "wrong")), ` ${truth}`),
        ...(question.words ? [make("p", {}, question.words)] : []),
        make("p", { class: "gl-proof" }, `${say("in_the_trace")} `, ...question.proof.flatMap(([path, value], index) =>
          [index ? ", " : "", make("code", {}, `${path}: ${value}`)])),
        onward);
      const given = [...answered.values()].filter((each) => each !== null);
      put(score, say("score", { good: given.filter(Boolean).length, answered: given.length, left: graded.length - given.length }));
      onward.focus();
    }
    open = at;
    confirm = asks ? () => leave(question.step) : answer;
    delete element.dataset.right;
    const step = data.steps[question.step];
    const label = make("p", {}, question.text, several ? ` ${say("choose_all")}` : "");
    element.replaceChildren(
      make("h3", {}, step ? say("before_line", { line: step.line }) : say("at_the_end")), label,
      ...(asks ? [] : [make("div", { class: "gl-options", role: "group", "aria-label": question.text }, ...options)]),
      check, verdict);
    element.hidden = false;
    seen();
    element.scrollIntoView({ block: "nearest" });
    (options[0] ?? check).focus();
  }

  // 1 to 9 choose an option, and Enter confirms the choice.
  function key(event) {
    if (open === null || answered.has(open)) return false;
    if (/^[1-9]$/.test(event.key)) {
      const found = element.querySelectorAll(".gl-options button")[Number(event.key) - 1];
      found?.click();
      found?.focus();
      return Boolean(found);
    }
    if (event.key !== "Enter" || (data.quiz[open].options.length && !element.querySelector('.gl-options [aria-pressed="true"]'))) return false;
    confirm();
    return true;
  }

  return { element, score, stops, close, key, left: (now, n) => next(now, n) >= 0, on: (act) => { leave = act; } };
}
