// Questions before certain steps. The answers and their proof were read from the trace.
function quizPane(data, go) {
  const element = make("article", { class: "gl-card gl-quiz", "aria-live": "polite" });
  const score = make("span", { class: "gl-score gl-faint" });
  element.hidden = true;
  const answered = new Map();
  let open = null, leave = () => {};

  function close() {
    open = null;
    element.hidden = true;
  }

  // Whether a question stands between the step shown and step n; if so, it is asked now.
  function stops(now, n) {
    if (open !== null && !answered.has(open)) return true;
    const next = data.quiz.findIndex((each, at) => each.step > now && each.step <= n && !answered.has(at));
    if (next < 0) {
      close();
      return false;
    }
    go(data.quiz[next].step - 1);
    pose(next);
    return true;
  }

  function pose(at) {
    const question = data.quiz[at], several = question.many;
    const chosen = new Set();
    const verdict = make("div", {});
    const options = question.options.map((text, option) => button(text, "", () => {
      if (answered.has(at)) return;
      if (chosen.has(option)) chosen.delete(option);
      else chosen.add(option);
      options[option].setAttribute("aria-pressed", String(chosen.has(option)));
      if (!several) answer();
    }));
    const check = button("Answer", "", () => { if (chosen.size) answer(); });
    const onward = button("Go on", "Go on (→)", () => leave());
    function answer() {
      const right = chosen.size === question.answer.length && question.answer.every((each) => chosen.has(each));
      answered.set(at, right);
      element.dataset.right = String(right);
      options.forEach((each, option) => {
        each.disabled = true;
        each.classList.toggle("gl-truth", question.answer.includes(option));
      });
      check.hidden = true;
      const truth = question.answer.map((each) => question.options[each]).join(" and ");
      verdict.append(
        make("p", {}, make("strong", {}, right ? "Right: " : "Not so: "), truth, "."),
        make("p", { class: "gl-proof" }, "In the trace: ", ...question.proof.flatMap(([path, value], index) =>
          [index ? ", " : "", make("code", {}, `${path} is ${value}`)])),
        onward);
      const good = [...answered.values()].filter(Boolean).length;
      put(score, `${good} of ${answered.size} right, ${data.quiz.length - answered.size} to come`);
      onward.focus();
    }
    open = at;
    delete element.dataset.right;
    const label = make("p", {}, question.text, several ? " Choose all that are right." : "");
    element.replaceChildren(make("h3", {}, `Before line ${data.steps[question.step].line}`), label,
      make("div", { class: "gl-options", role: "group", "aria-label": question.text }, ...options),
      ...(several ? [check] : []), verdict);
    element.hidden = false;
    element.scrollIntoView({ block: "nearest" });
    options[0].focus();
  }

  // 1 to 9 choose an option.
  function key(event) {
    if (open === null || answered.has(open) || !/^[1-9]$/.test(event.key)) return false;
    element.querySelectorAll(".gl-options button")[Number(event.key) - 1]?.click();
    return true;
  }

  return { element, score, stops, close, key, on: (act) => { leave = act; }, waits: () => open };
}
