// The bar of buttons and the slider, for one run and for two side by side.
const PLAY = "M4 2.5v11l9-5.5z", PAUSE = "M4 3h3v10H4zM9 3h3v10H9z";
// How long a step stands while the page plays: so long, and so much longer for each letter, in ms.
const STANDS = 1400, PER_LETTER = 38, LONGEST = 9000;

// `length(n)` is how much there is to read at step n; `go` shows a step at once, and `onward` may
// stop before it, and says whether it did.
function controls({ total, valueText, length, marks, go, onward, more = [] }) {
  const last = total - 1;
  let now = 0, timer = 0;

  const first = button(icon("M3 3h1.6v10H3zM13 3.8 8.8 8l4.2 4.2-1.2 1.1L6.5 8l5.3-5.3z"), say("first"), () => moved(() => go(0)));
  const back = button(icon("M10.8 2.7 5.5 8l5.3 5.3 1.2-1.1L7.8 8 12 3.8z"), say("back"), () => moved(() => go(now - 1)));
  const forward = button(icon("M5.2 2.7 10.5 8l-5.3 5.3L4 12.2 8.2 8 4 3.8z"), say("forward"), () => moved(() => onward(now + 1)));
  const end = button(icon("M11.4 3H13v10h-1.6zM3 3.8 7.2 8 3 12.2l1.2 1.1L9.5 8 4.2 2.7z"), say("last"), () => moved(() => onward(last)));
  const play = button(icon(PLAY), say("play"), () => (timer ? stop() : start()));
  play.classList.add("gl-start");
  const count = make("span", { class: "gl-count" });
  const slider = make("input", { type: "range", min: 1, max: total, step: 1, "aria-label": say("step") });
  slider.addEventListener("input", () => moved(() => {
    const n = Number(slider.value) - 1;
    if (n > now) onward(n);
    else go(n);
    slider.value = String(now + 1);
  }));
  const ticks = make("div", { class: "gl-ticks", "aria-hidden": "true" });
  const found = [];
  for (const { n, kind, title } of marks) {
    const tick = make("i", { class: `gl-tick gl-${kind}`, title });
    tick.style.left = `calc(8px + (100% - 16px) * ${last ? n / last : 0})`;
    ticks.append(tick);
    found.push({ n, kind, tick });
  }
  const element = make("div", { class: "gl-controls", role: "group", "aria-label": say("controls") },
    first, back, play, forward, end, count, make("div", { class: "gl-slide" }, slider, ticks), ...more);

  // Whatever the reader does ends the playing.
  function moved(act) {
    stop();
    act();
  }

  function start() {
    if (now === last) go(0);
    sign(PAUSE, "pause");
    wait();
  }

  function wait() {
    timer = setTimeout(() => {
      const stopped = onward(now + 1);
      if (stopped || now === last) stop();
      else wait();
    }, Math.min(LONGEST, STANDS + PER_LETTER * length(now)));
  }

  function stop() {
    if (!timer) return;
    clearTimeout(timer);
    timer = 0;
    sign(PLAY, "play");
  }

  function sign(path, key) {
    play.replaceChildren(icon(path));
    play.title = say(key);
    play.setAttribute("aria-label", say(key));
  }

  function draw(n, further) {
    now = n;
    put(count, say("count", { step: n + 1, total }));
    slider.value = String(n + 1);
    slider.setAttribute("aria-valuetext", valueText(n));
    // Not `disabled`: that would take the focus away, and the keys with it.
    for (const each of [first, back]) each.setAttribute("aria-disabled", String(n === 0));
    for (const each of [forward, end]) each.setAttribute("aria-disabled", String(n === last && !further));
  }

  // The next step forward or back with a mark of weight.
  function mile(way) {
    const stops = found.filter(({ kind }) => kind !== "zero").map(({ n }) => n);
    const next = way > 0 ? stops.find((n) => n > now) : stops.findLast((n) => n < now);
    if (way > 0) onward(next ?? last);
    else go(next ?? 0);
  }

  function key(event) {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === " ") {
      // A button or a folded text that has the focus takes the space bar for itself.
      if (event.target.closest?.("button, summary, a")) return false;
      if (timer) stop();
      else start();
    } else if (way && event.shiftKey) moved(() => mile(way));
    else if (way === 1) moved(() => onward(now + 1));
    else if (way === -1) moved(() => go(now - 1));
    else if (event.key === "Home") moved(() => go(0));
    else if (event.key === "End") moved(() => onward(last));
    else return false;
    return true;
  }

  return { element, draw, key, stop, ticks: found };
}
