// The third view: two sides next to each other, by situation where they share it, and every figure with its difference.

function compare() {
  const [own, other] = sides;
  const shared = sharedSituations(own, other);
  const choose = el("select", { id: "situation", "aria-label": "Situation" }, shared.map(([id, row]) => el("option", { value: id }, own.index.topics[row] || id)));
  const both = el("div.both");
  const show = async () => {
    const pair = shared.find(([id]) => id === choose.value);
    if (!pair) return;
    const talks = await Promise.all([own.talk(pair[1]), other.talk(pair[2])]);
    both.replaceChildren(...talks.map((talk, at) => el("article.talk", { "aria-label": [page.report.subject.path, page.report.reference.path][at] },
      el("p.path", {}, [page.report.subject.path, page.report.reference.path][at]), talkOnly(talk, at))));
  };
  choose.addEventListener("change", show);
  show();
  return el("div.compare", {}, el("h1.away", {}, "Comparison"), apart(),
    el("section", { "aria-labelledby": "both-title" }, el("h2", { id: "both-title" }, "The same situation, twice"),
      shared.length > 0 ? [el("p.lead", {}, `${plural(shared.length, "situation")} shared.`), choose, both]
        : el("p.lead", {}, "The two share no situation; their conversations are under Conversations, one side at a time.")),
    figures());
}

/** What is furthest apart, in a sentence each. */
function apart() {
  const { distance } = page.report;
  if (!distance) return null;
  const rows = page.figures.filter(({ here, there, form }) => form !== "count" && here !== null && there !== null && there !== 0)
    .map((row) => ({ ...row, ratio: Math.abs(Math.log(Math.max(row.here, 1e-6) / Math.max(row.there, 1e-6))) }))
    .sort((one, other_) => other_.ratio - one.ratio).slice(0, 5);
  return el("section.hints", { "aria-labelledby": "apart-title" }, el("h2", { id: "apart-title" }, "Furthest apart"),
    el("ul", {}, rows.map(({ label, group, form, here, there }) => el("li", {}, `${group}: ${label} `, el("strong", {}, formed(form, here)), ` here, ${formed(form, there)} there`))));
}

/** Situations with a conversation on either side: id and the first row of each. */
function sharedSituations(own, other) {
  const rows = (side) => {
    const facet = side.index.facets.situation;
    const found = new Map();
    facet?.rows.forEach((number, row) => {
      if (number >= 0 && !found.has(facet.values[number])) found.set(facet.values[number], row);
    });
    return found;
  };
  const theirs = rows(other);
  return [...rows(own)].filter(([id]) => theirs.has(id)).map(([id, row]) => [id, row, theirs.get(id)]);
}

/** A conversation to be read, with nothing to be done to it. */
function talkOnly(talk, side) {
  const turns = talk.turns.map(([speaker], at) => el("li.turn", {},
    el(`span.face.face-${speaker % 8}`, { "aria-hidden": "true" }, initial(talk.names[speaker] ?? "?")),
    el("div.words", {}, el("p.who", {}, el(`span.name.name-${speaker % 8}`, {}, el("bdi", {}, talk.names[speaker] ?? "?"))), el("p.said", { dir: "auto" }, talk.texts[at]))));
  return [el("h3", {}, el("a", { href: `#/c/${side}/${encodeURIComponent(talk.id)}` }, el("bdi", {}, talk.topic || talk.id))),
    talk.starter && el("p.starter", { dir: "auto" }, talk.starter), el("ol.turns", {}, turns)];
}
