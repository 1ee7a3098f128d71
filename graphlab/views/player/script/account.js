// Right: the findings, the way to the other run, and the ledger as it fills up.
function findingCard(finding, go, open) {
  const places = finding.places.map((place) => make("li", {},
    place.line === null ? "" : jump(go, place.step, `line ${place.line}`), " ", place.text, " ",
    place.before ? make("span", { class: "gl-faint" }, "(before the first step shown here) ") : "",
    place.version ? make("span", { class: "gl-chip" }, place.version.replace(/\d+/g, "v$&")) : "",
    make("code", {}, place.code)));
  const card = make("article", { class: `gl-card gl-${finding.severity}` },
    make("h3", {}, `${finding.severity} ${finding.code}, ${finding.name}`),
    make("p", {}, finding.summary),
    make("ol", { class: "gl-places" }, ...places));
  if (finding.also) {
    card.append(make("p", {}, `${plural(finding.also, "other saved tensor")} went stale in the same way.`));
  }
  if (finding.why) card.append(make("p", {}, make("strong", {}, "Why: "), finding.why));
  for (const note of finding.notes) card.append(make("p", { class: "gl-faint" }, `Note: ${note}`));
  const folded = (label, ...children) =>
    card.append(make("details", {}, make("summary", {}, label), ...children));
  if (finding.words) {
    folded("What PyTorch says", make("p", { class: "gl-words" }, make("code", {}, finding.words)));
  }
  const helps = finding.helps.map((repair) => [
    make("p", {}, make("strong", {}, "Help: "), repair.text),
    ...(repair.diff.length ? [diff(repair.diff)] : []),
  ]);
  if (open && helps.length) card.append(...helps.shift());
  if (helps.length) {
    folded(plural(helps.length, open ? "more way" : "way") + " to mend it", ...helps.flat());
  }
  return card;
}

function accountPane(data, go, choose, quiz) {
  const element = make("div",
    { class: "gl-right", tabindex: "0", role: "region", "aria-label": "Findings and ledger" }, quiz);
  const last = data.steps.length - 1;

  const cards = data.findings.map((finding) => {
    const step = finding.step === null ? last : finding.step;
    return { step, card: findingCard(finding, go, !data.others.length) };
  });
  if (data.crash) {
    const { type, message, step } = data.crash;
    cards.push({ step: step === null ? last : step, card: make("article", { class: "gl-card gl-error" },
      make("h3", {}, `The run raised ${type}`),
      make("p", { class: "gl-words" }, make("code", {}, message)),
      make("p", {}, "graphlab found nothing in the graph that explains it.")) });
  } else if (!data.findings.length) {
    cards.push({ step: last, card: make("article", { class: "gl-card gl-good" },
      make("h3", {}, "Nothing found"),
      make("p", {}, "graphlab found no error and nothing to warn of in this run.")) });
  }
  const first = Math.min(...cards.map((each) => each.step));
  for (const other of data.others) {
    const card = make("article", { class: "gl-card gl-other" },
      make("h3", {}, data.findings.length ? `Against it: ${other.title}` : `Beside it: ${other.title}`));
    if (data.findings.length && other.diff.length) {
      card.append(make("p", { class: "gl-faint" }, `From ${data.title} to ${other.title}:`), diff(other.diff));
    }
    card.append(button(`Play ${other.title}`, "", () => choose(other.run)));
    cards.push({ step: first, card });
  }

  const blocks = data.ledger.map((each) => {
    const steps = make("span", { class: "gl-faint" });
    const wrote = make("dd", {}), from = make("dd", {});
    const block = make("div", { class: "gl-block" },
      make("p", {}, make("strong", {}, each.name), ` ${each.class} `, steps),
      make("dl", {}, make("dt", {}, "owns"), make("dd", {}, each.owns || "nothing"),
        make("dt", {}, "wrote"), wrote, make("dt", {}, "applied"), from));
    return { each, block, steps, wrote, from };
  });
  const entries = data.entries.map((each) => {
    const item = make("li", { class: each.bad ? "gl-bad" : "" },
      jump(go, each.step, `line ${each.line}`), " ", make("strong", {}, each.who), ` ${each.text}`);
    if (each.shares.length > 1) {
      for (const [loss, share] of each.shares) {
        item.append(make("div", {}, make("meter", { min: 0, max: 1, value: share, "aria-hidden": "true" }),
          ` ${Math.round(share * 100)}% ${loss}`));
      }
    }
    item.hidden = true;
    return { step: each.step, item };
  });
  element.append(...cards.map((each) => each.card), make("h3", {}, "Who changed what"),
    ...blocks.map((each) => each.block),
    make("ol", { class: "gl-entries", "aria-label": "What ran so far" }, ...entries.map((each) => each.item)));

  // How many of the entries are shown; they stand in the order of their steps.
  let shown = 0, fresh = [];
  function draw(n) {
    for (const { each, block, steps, wrote, from } of blocks) {
      const row = holds(each.history, n);
      put(steps, plural(row[1], "step"));
      put(wrote, row[2] || "nothing yet");
      put(from, row[1] ? row[3].join(" + ") || "no new gradient" : "nothing yet");
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
