// Two runs side by side. `pairs` has for each moment the step of either run: where a line ran in
// one of them only, the other stands still.
function sideBySide(pairs, plays, players, remember) {
  let now = 0;
  const bar = controls({
    total: pairs.length, go, onward: (n) => { go(n); return false; },
    valueText: (n) => say("count", { step: n + 1, total: pairs.length }),
    length: (n) => Math.max(...pairs[n].map((step, at) => (step === null ? 0 : plays[at].steps[step].say.length))),
    marks: pairs.flatMap((pair, n) => {
      const kinds = pair.map((step, at) => (step === null ? "line" : players[at].kindOf(step)));
      const kind = ["raised", "step", "backward", "zero"].find((each) => kinds.includes(each));
      return kind ? [{ n, kind, title: say("mark", { step: n + 1, line: plays[0].steps[pair[0] ?? 0].line }) }] : [];
    }),
  });
  bar.element.classList.add("gl-duet");

  function go(n) {
    now = Math.max(0, Math.min(pairs.length - 1, n));
    for (const at of [0, 1]) {
      const step = pairs[now][at];
      let shown = now;
      while (shown > 0 && pairs[shown][at] === null) shown -= 1;
      players[at].go(pairs[shown][at] ?? 0);
      players[at].idle(step === null);
    }
    bar.draw(now, false);
    remember();
  }

  return {
    element: bar.element, key: bar.key, stop: bar.stop, go, step: () => now,
    // Begins where the one run stands.
    start: (run, step) => go(Math.max(0, pairs.findIndex((pair) => pair[run] === step))),
  };
}
