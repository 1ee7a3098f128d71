// The keys, the marks on the slider and the words, in a dialog.
function helpDialog(secret, several) {
  const list = (pairs) => make("dl", {}, ...pairs.flatMap(([word, text]) =>
    [make("dt", {}, make("kbd", {}, word)), make("dd", {}, text)]));
  const legend = make("p", {}, `${say("legend")} `);
  for (const kind of ["backward", "step", "zero", "raised"]) {
    legend.append(make("span", {}, make("i", { class: `gl-tick gl-${kind}` }), ` ${say(`legend_${kind}`)}`));
  }
  const help = make("dialog", { class: "gl-help", "aria-label": say("help") });
  // Closing comes first: the dialog opens at what has the focus.
  help.append(
    make("div", { class: "gl-help-top" }, make("h3", {}, say("keys")), button(say("close"), "", () => help.close())),
    list([
      ["→ ←", say("key_step")],
      ["Shift → ←", say("key_mile")],
      ["Home End", say("key_ends")],
      [say("space"), say("key_play")],
      ["p", say("key_present")],
      ...(several ? [["b", say("key_both")]] : []),
      ...(secret ? [["1 … 9, Enter", say("key_answer")]] : []),
      ["?", say("key_help")],
    ]),
    legend,
    make("h3", {}, say("words")),
    list([
      ["v1", say("word_version")],
      ["v1*", say("word_star")],
      [say("word_saved_name"), say("word_saved")],
      [say("is_stale"), say("word_stale")],
      [say("word_node_name"), say("word_node")],
      [".grad", say("word_grad")],
      ["grad_output", say("word_grad_output")],
      ["grad_input", say("word_grad_input")],
    ]));
  return help;
}
