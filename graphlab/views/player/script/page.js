// The players of this page: one of them open, or the first two side by side; and what the address
// keeps of that.
const sections = [...root.querySelectorAll(".gl-play")];
// A frame without an address of its own, as in a notebook, has none to keep a step in.
const wholePage = root.dataset.page === "1";
const addressed = wholePage && location.protocol !== "about:";
let open = 0, timer = 0, both = false;
const titles = plays.map((play) => play.title);
const secret = plays.some((play) => play.quiz.length > 0);
// Side by side nothing is asked, so where there are questions the runs are played one at a time.
const pairs = secret ? [] : page.pairs;
const help = helpDialog(secret, pairs.length > 0);
root.dataset.pane = "cause";

// A pane by name, where only one is shown beside the source.
function pane(name) {
  root.dataset.pane = name;
  players.forEach((each) => each.shown());
  if (both) level();
}

// The buttons of a run's header, which are those of the page.
function more() {
  const found = [
    button(say("present"), say("present_long"), present),
    button("?", say("help_long"), () => help.showModal()),
  ];
  if (pairs.length) found.unshift(button(say("side_by_side"), say("side_by_side_long"), beside));
  return [make("div", { class: "gl-modes" }, ...found)];
}

const players = sections.map((section, at) =>
  player(section, plays[at], `${root.id}-${at}`, { titles, at, choose, remember, pane, more }));
const duet = pairs.length ? sideBySide(pairs, plays, players, remember) : null;
if (duet) root.insertBefore(duet.element, sections[0]);
root.append(help);

function present() {
  root.classList.toggle("gl-present");
  arrange();
}

function beside() {
  both = !both;
  players.forEach((each) => each.stop());
  duet.stop();
  root.classList.toggle("gl-both", both);
  sections.forEach((section, other) => { section.hidden = both ? other > 1 : other !== open; });
  players.forEach((each) => each.idle(false));
  arrange();
  if (both) duet.start(open, players[open].step());
  remember();
}

// How much fits: three columns, or the source and one pane, beside or below one another.
function arrange() {
  const size = parseFloat(getComputedStyle(root).fontSize), wide = root.clientWidth / size;
  const large = root.classList.contains("gl-present"), column = both && wide < 60;
  root.classList.toggle("gl-one", both || large || wide < 68);
  root.classList.toggle("gl-stack", both || wide < 48);
  root.classList.toggle("gl-column", column);
  const flow = column || wide < 48 || (wholePage && !large && innerHeight / size < 34);
  root.classList.toggle("gl-flow", flow);
  // By Tab as by eye: before the controls where they are a row of their own, else after them.
  for (const modes of root.querySelectorAll(".gl-modes")) {
    const top = modes.closest(".gl-top"), place = flow ? top.querySelector("header") : top;
    if (modes.parentElement === place) continue;
    const focus = modes.contains(document.activeElement) ? document.activeElement : null;
    place.append(modes);
    focus?.focus();
  }
  for (const name of ["present", "side_by_side"]) {
    for (const found of root.querySelectorAll(".gl-modes button")) {
      if (found.textContent !== say(name)) continue;
      found.setAttribute("aria-pressed", String(name === "present" ? root.classList.contains("gl-present") : both));
    }
  }
  players.forEach((player) => player.shown());
  if (both) level();
}

// The sentences of two runs are equally tall, so that what stands below them is level.
function level() {
  const said = [...root.querySelectorAll(".gl-say")].slice(0, 2);
  const most = Math.max(...said.map((each) => parseFloat(each.style.minHeight) || 0));
  for (const each of said) each.style.minHeight = `${most}px`;
}

function choose(at) {
  if (both) beside();
  players.forEach((each) => each.stop());
  open = at;
  sections.forEach((section, other) => { section.hidden = other !== at; });
  if (players[at].step() < 0) players[at].begin();
  players[at].shown();
  remember();
}

// Browsers slow down pages that rewrite their address at every frame.
function remember() {
  if (!addressed) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    const run = both ? "both=1&" : open ? `run=${open + 1}&` : "";
    history.replaceState(null, "", `#${run}step=${(both ? duet.step() : players[open].step()) + 1}`);
  }, 150);
}

function address() {
  const words = new URLSearchParams(location.hash.slice(1));
  const run = Number(words.get("run") || 1) - 1, step = Number(words.get("step"));
  if (duet && words.has("both") !== both) beside();
  if (!both && players[run] && run !== open) choose(run);
  if (Number.isInteger(step) && step > 0) (both ? duet : players[open]).go(step - 1);
}

function key(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || help.open) return false;
  if (event.key === "?") help.showModal();
  else if (event.key === "p") present();
  else if (event.key === "b" && duet) beside();
  else return (both ? duet : players[open]).key(event);
  return true;
}

(wholePage ? document : root).addEventListener("keydown", (event) => {
  if (key(event)) event.preventDefault();
});
if (!wholePage) root.tabIndex = 0;
choose(0);
arrange();
// Two runs begin side by side where there is room, and where nothing is asked.
const named = addressed && new URLSearchParams(location.hash.slice(1));
if (duet && !(named && named.has("step")) && !root.classList.contains("gl-stack")) {
  pane("graph");
  beside();
}
if (addressed) {
  if (named.has("step")) address();
  window.addEventListener("hashchange", address);
}
let width = root.clientWidth, height = innerHeight;
new ResizeObserver(() => {
  if (root.clientWidth === width && innerHeight === height) return;
  [width, height] = [root.clientWidth, innerHeight];
  arrange();
}).observe(document.documentElement);
