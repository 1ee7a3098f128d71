// The players of this page, one of them open, and the step in the address.
const plays = JSON.parse(root.querySelector(".gl-data").textContent);
const sections = [...root.querySelectorAll(".gl-play")];
// A frame without an address of its own, as in a notebook, has none to keep a step in.
const wholePage = root.dataset.page === "1";
const addressed = wholePage && location.protocol !== "about:";
let open = 0, timer = 0;
const titles = plays.map((play) => play.title);
const players = sections.map((section, at) =>
  player(section, plays[at], `${root.id}-${at}`, { titles, at, choose, remember }));

function choose(at) {
  open = at;
  sections.forEach((section, other) => { section.hidden = other !== at; });
  if (players[at].step() < 0) players[at].go(players[at].start);
  players[at].shown();
  remember();
}

// Browsers slow down pages that rewrite their address at every frame.
function remember() {
  if (!addressed) return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    const run = open ? `run=${open + 1}&` : "";
    history.replaceState(null, "", `#${run}step=${players[open].step() + 1}`);
  }, 150);
}

function address() {
  const words = new URLSearchParams(location.hash.slice(1));
  const run = Number(words.get("run") || 1) - 1, step = Number(words.get("step"));
  if (players[run] && run !== open) choose(run);
  if (Number.isInteger(step) && step > 0) players[open].go(step - 1);
}

(wholePage ? document : root).addEventListener("keydown", (event) => {
  if (players[open].key(event)) event.preventDefault();
});
if (!wholePage) root.tabIndex = 0;
choose(0);
if (addressed) {
  address();
  window.addEventListener("hashchange", address);
}
