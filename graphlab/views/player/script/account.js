// The findings, the way to the other run, and the ledger as it fills up.
function findingCard(finding, go, open) {
  const places = finding.places.map((place) => make("li", {},
    place.line === null ? "" : jump(go, place.step, say("line", { line: place.line })), " ", place.text, " ",
    place.before ? make("span", { class: "gl-faint" }, `(${say("before_film")}) `) : "",
    place.version ? make("span", { class: "gl-chip" }, place.version) : "",
    make("code", {}, place.code)));
  const card = make("article", { class: `gl-card gl-${finding.severity}` },
    make("h3", {}, finding.title),
    make("p", {}, finding.summary),
    make("ol", { class: "gl-places" }, ...places));
  if (finding.also) {
    card.append(make("p", {}, say("also", { count: finding.also })));
  }
  if (finding.why) card.append(make("p", {}, make("strong", {}, say("why")), ` ${finding.why}`));
  for (const note of finding.notes) card.append(make("p", { class: "gl-faint" }, say("note", { text: note })));
  const folded = (label, ...children) =>
    card.append(make("details", {}, make("summary", {}, label), ...children));
  if (finding.words) {
    folded(say("torch_says"), make("p", { class: "gl-words" }, make("code", {}, finding.words)));
  }
  const helps = finding.helps.map((repair) => [
    make("p", {}, make("strong", {}, say("repair")), ` ${repair.text}`),
    ...(repair.diff.length ? [diff(repair.diff)] : []),
  ]);
  if (open && helps.length) card.append(...helps.shift());
  if (helps.length) {
    folded(say(open ? "more_ways" : "ways", { count: helps.length }), ...helps.flat());
  }
  return card;
}

function accountPane(data, go, choose, quiz) {
  const element = make("div",
    { class: "gl-account", tabindex: "0", role: "region", "aria-label": say("account") }, quiz);
  const last = data.steps.length - 1;

  const cards = data.findings.map((finding) => {
    const step = finding.step === null ? last : finding.step;
    return { step, card: findingCard(finding, go, !data.others.length) };
  });
  if (data.crash) {
    const { type, message, step } = data.crash;
    cards.push({ step: step === null ? last : step, card: make("article", { class: "gl-card gl-error" },
      make("h3", {}, say("crashed", { type })),
      make("p", { class: "gl-words" }, make("code", {}, message)),
      make("p", {}, say("crash_unexplained"))) });
  } else if (!data.findings.length) {
    cards.push({ step: last, card: make("article", { class: "gl-card gl-good" },
      make("h3", {}, say("clean")),
      make("p", {}, say("clean_long"))) });
  }
  const first = Math.min(...cards.map((each) => each.step));
  for (const other of data.others) {
    const card = make("article", { class: "gl-card gl-other" },
      make("h3", {}, say(data.findings.length ? "against" : "beside", { name: other.title })));
    if (data.findings.length && other.diff.length) {
      card.append(make("p", { class: "gl-faint" }, say("from_to", { one: data.title, other: other.title })), diff(other.diff));
    }
    if (other.changes.length) {
      card.append(make("table", { class: "gl-changes" },
        make("caption", {}, say("changes")),
        make("thead", {}, make("tr", {}, make("td"), ...[data.title, other.title].map((name) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, ...other.changes.map(([what, here, there]) => make("tr", {},
          make("th", { scope: "row" }, what), make("td", {}, here), make("td", {}, there))))));
    }
    card.append(button(say("play_other", { name: other.title }), "", () => choose(other.run)));
    cards.push({ step: first, card });
  }
  cards.push(...data.infos.map((info) => ({ step: first, card: findingCard(info, go, !data.others.length) })));

  const blocks = data.ledger.map((each) => {
    const steps = make("span", { class: "gl-faint" });
    const wrote = make("dd", {}), from = make("dd", {});
    const block = make("div", { class: "gl-block" },
      make("p", {}, make("strong", {}, each.name), ` ${each.class} `, steps),
      make("dl", {}, make("dt", {}, say("owns")), make("dd", {}, each.owns || say("nothing")),
        make("dt", {}, say("wrote")), wrote, make("dt", {}, say("applied")), from));
    return { each, block, steps, wrote, from };
  });
  const entries = data.entries.map((each) => {
    const item = make("li", { class: each.bad ? "gl-bad" : "" },
      jump(go, each.step, say("line", { line: each.line })), " ", make("strong", {}, each.who), ` ${each.text}`);
    if (each.shares.length > 1) {
      for (const [loss, share] of each.shares) {
        item.append(make("div", {}, make("meter", { min: 0, max: 1, value: share, "aria-hidden": "true" }),
          ` ${Math.round(share * 100)}% ${loss}`));
      }
    }
    item.hidden = true;
    return { step: each.step, item };
  });
  element.append(...cards.map((each) => each.card), make("h3", {}, say("ledger")),
    ...blocks.map((each) => each.block),
    make("ol", { class: "gl-entries", "aria-label": say("ran_so_far") }, ...entries.map((each) => each.item)));

  // How many of the entries are shown; they stand in the order of their steps.
  let shown = 0, fresh = [];
  function draw(n) {
    for (const { each, block, steps, wrote, from } of blocks) {
      const row = holds(each.history, n);
      put(steps, say("steps", { count: row[1] }));
      put(wrote, row[2] || say("nothing_yet"));
      put(from, row[1] ? row[3].join(" + ") || say("no_new_gradient") : say("nothing_yet"));
      for (const cell of [wrote, from]) cell.classList.toggle("gl-new", row[0] === n && row[1] > 0);
      block.classList.toggle("gl-still", row[1] === 0);
    }
    while (shown < entries.length && entries[shown].step <= n) entries[shown++].item.hidden = false;
    while (shown > 0 && entries[shown - 1].step > n) entries[--shown].item.hidden = true;
    for (const item of fresh) item.classList.remove("gl-new");
    fresh = [];
    for (let at = shown - 1; at >= 0 && entries[at].step === n; at -= 1) fresh.push(entries[at].item);
    for (const item of fresh) item.classList.add("gl-new");
    let opened = null;
    for (const { step, card } of cards) {
      if (card.hidden !== step > n) card.hidden = step > n;
      if (step === n && opened === null) opened = card;
    }
    if (opened !== null) element.scrollTop = opened.offsetTop - element.offsetTop - 12;
  }

  return { element, draw };
}
