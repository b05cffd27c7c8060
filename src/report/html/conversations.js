// The second view: a list that is filtered, and beside it one conversation as it was held.

/** Pixels of a row of the list. */
const ROW = 62;
/** Browsers draw no taller element than some 17 million pixels; beyond this the bar of the list is shortened. */
const TALLEST = 12_000_000;
/** Letters typed in a row are one question. */
const PAUSE = 180;
const FACETS = ["outcome", "split", "model", "ending", "language", "flag", "gate", "mended"];
/** Why somebody is the next to speak. */
const HOW = {
  model: "picked by a model",
  handed_over: "was handed the floor",
  only_candidate: "nobody else could speak",
  fallback: "drawn, since the model named nobody",
  order: "next in the order",
  draw: "drawn",
  addressed: "was spoken to",
  quota: "had spoken least",
};

/** One view for as long as the page is open, so that going back finds the list as it was. */
const list = {
  side: null,
  filter: null,
  rows: [],
  open: -1,
  castOpen: false,
  node: null,
  drawn: new Map(),

  /** The element of the view, with `query` as its filter where an address has one. */
  show(query) {
    this.side ??= sides[0];
    if (!this.node) this.build();
    if (query !== undefined && (query || !this.filter)) this.setFilter(Filter.of(this.side, query));
    return this.node;
  },

  build() {
    const sideChoice = sides.length > 1 && el("select", {
      id: "side", "aria-label": "Which conversations",
      onchange: (event) => { this.side = sides[Number(event.target.value)]; this.open = -1; this.setFilter(new Filter(this.side)); this.buildFilters(); },
    }, el("option", { value: 0 }, page.report.subject.path), el("option", { value: 1 }, page.report.reference.path));
    this.search = el("input", { id: "search", type: "search", placeholder: "Search every word", "aria-label": "Search in all conversations", autocomplete: "off", oninput: () => this.typed() });
    this.told = el("p.told", { role: "status", id: "told" });
    this.chips = el("div.chips");
    this.panel = el("div.filters", { id: "filters", hidden: true });
    this.toggle = el("button", { type: "button", id: "filter-button", "aria-expanded": "false", "aria-controls": "filters", onclick: () => this.togglePanel() }, "Filter");
    this.order = el("select", { id: "order", "aria-label": "Order", onchange: (event) => { this.filter.order = event.target.value; this.refresh(); } });
    this.space = el("ol.rows");
    this.scroller = el("div.scroller", { tabindex: 0, role: "region", "aria-label": "Conversations", onscroll: () => this.draw() }, this.space);
    this.talk = el("article.talk", { id: "talk", tabindex: -1, "aria-label": "Conversation" });
    this.node = el("div.conversations", {}, el("h1.away", {}, "Conversations"),
      el("div.side", {}, el("div.bar", {}, sideChoice, this.search, el("div.bar-row", {}, this.toggle, this.order), this.panel, this.chips, this.told), this.scroller), this.talk);
    new ResizeObserver(() => this.draw()).observe(this.scroller);
    this.buildFilters();
    this.setFilter(new Filter(this.side));
  },

  buildFilters() {
    const { facets, numbers } = this.side.index;
    const names = [...FACETS, ...Object.keys(facets).filter((name) => !FACETS.includes(name))].filter((name) => facets[name]);
    const choose = (name, value) => {
      if (value) this.filter.values[name] = value;
      else delete this.filter.values[name];
      this.refresh();
    };
    const field = (name) => {
      const counts = valueCounts(facets[name]);
      const title = name.replace("cell: ", "").replace("label: ", "");
      if (counts.length > MOST_CHOICES) {
        return el("label", {}, title, el("input", { "data-facet": name, autocomplete: "off", onchange: (event) => choose(name, event.target.value.trim()) }));
      }
      return el("label", {}, title, el("select", { "data-facet": name, onchange: (event) => choose(name, event.target.value) },
        el("option", { value: "" }, "any"), counts.map(([value, times]) => el("option", { value }, `${words(value)} (${count(times)})`))));
    };
    const range = (name) => {
      const end = (at, placeholder) => el("input", {
        type: "number", "data-number": name, "data-end": at, placeholder, "aria-label": `${name}, ${placeholder}`, step: "any",
        onchange: (event) => {
          const ends = this.filter.ranges[name] ?? [null, null];
          ends[at] = event.target.value === "" ? null : Number(event.target.value);
          this.filter.ranges[name] = ends;
          if (ends[0] === null && ends[1] === null) delete this.filter.ranges[name];
          this.refresh();
        },
      });
      return el("fieldset", {}, el("legend", {}, name), end(0, "from"), end(1, "to"));
    };
    this.panel.replaceChildren(...names.map(field), ...Object.keys(numbers).map(range));
    const orders = Object.keys(numbers).flatMap((name) => name.startsWith("score") ? [[`${name} up`, `worst ${name}`], [`${name} down`, `best ${name}`]]
      : [[`${name} down`, `most ${name}`], [`${name} up`, `fewest ${name}`]]);
    this.order.replaceChildren(el("option", { value: "" }, "in order"), ...orders.map(([value, name]) => el("option", { value }, name)));
  },

  togglePanel() {
    this.panel.hidden = !this.panel.hidden;
    this.toggle.setAttribute("aria-expanded", String(!this.panel.hidden));
  },

  setFilter(filter) {
    this.filter = filter;
    this.search.value = filter.text;
    this.order.value = filter.order;
    for (const field of this.panel.querySelectorAll("[data-facet]")) field.value = filter.values[field.dataset.facet] ?? "";
    for (const field of this.panel.querySelectorAll("[data-number]")) field.value = filter.ranges[field.dataset.number]?.[Number(field.dataset.end)] ?? "";
    if (filter.text) this.ask();
    else this.refresh();
  },

  typed() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => { this.filter.text = this.search.value.trim(); this.ask(); }, PAUSE);
  },

  /** Lets the workers look for the text; rows come in as they are found. */
  ask() {
    const { filter } = this;
    if (!filter.text) {
      search.stop();
      filter.found = null;
      return this.refresh();
    }
    filter.found = new Set();
    this.searching = true;
    const begun = performance.now();
    search.find(this.side.number, filter.text, (rows, isAll) => {
      if (filter !== this.filter) return;
      filter.found = new Set(rows);
      this.searching = !isAll;
      if (isAll) this.node.dataset.searched = Math.round(performance.now() - begun);
      this.refresh();
    });
    this.refresh();
  },

  refresh() {
    this.rows = this.filter.rows();
    const all = this.side.size;
    this.told.textContent = `${this.rows.length === all ? count(all) : `${count(this.rows.length)} of ${count(all)}`}${this.searching && this.filter.text ? ", searching …" : ""}`;
    const chip = (name, remove) => el("button.chip", { type: "button", "aria-label": `Remove the filter ${name}`, onclick: remove }, name, el("span", { "aria-hidden": "true" }, " ×"));
    const reset = (change) => () => { change(); this.setFilter(this.filter); };
    this.chips.replaceChildren(
      ...Object.entries(this.filter.values).map(([facet, value]) => chip(`${facet.replace("cell: ", "")}: ${words(value)}`, reset(() => delete this.filter.values[facet]))),
      ...Object.entries(this.filter.ranges).map(([name, [least, most]]) => chip(`${name}: ${least ?? "…"} – ${most ?? "…"}`, reset(() => delete this.filter.ranges[name]))));
    const height = this.rows.length * ROW;
    this.squeeze = Math.max(1, height / TALLEST);
    this.space.style.setProperty("height", `${height / this.squeeze}px`);
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.draw();
  },

  /** Puts the rows in sight into the list, and takes out the others. */
  draw() {
    const { scrollTop, clientHeight } = this.scroller;
    // Where the bar is shortened, its ends are still the ends of the list.
    const top = scrollTop * this.squeeze;
    const first = Math.max(0, Math.floor(top / ROW) - 6);
    const last = Math.min(this.rows.length, Math.ceil((top + clientHeight) / ROW) + 6);
    for (const [at, node] of this.drawn) {
      if (at < first || at >= last) {
        node.remove();
        this.drawn.delete(at);
      }
    }
    for (let at = first; at < last; at++) {
      let node = this.drawn.get(at);
      if (!node) {
        node = this.row(at);
        this.drawn.set(at, node);
        this.space.append(node);
      }
      node.style.setProperty("transform", `translateY(${at * ROW - top + scrollTop}px)`);
    }
  },

  row(at) {
    const row = this.rows[at];
    const { ids, topics, names, numbers } = this.side.index;
    const outcome = valueOf(this.side, "outcome", row);
    const again = numbers["turned down"]?.[row] ?? 0;
    const verdict = this.side.number === 0 ? review.rows[ids[row]]?.verdict : null;
    const facts = outcome === "accepted" || outcome === "unfinished"
      ? [plural(numbers.turns[row], "turn"), outcome === "unfinished" ? "unfinished" : words(valueOf(this.side, "ending", row)), again > 0 && `${count(again)} turned down`]
      : [el("span.bad", {}, words(outcome)), ids[row]];
    return el("li", { "aria-posinset": at + 1, "aria-setsize": this.rows.length },
      el("a.row", { href: this.href(row), "aria-current": row === this.open ? "true" : null },
        el("span.row-top", {}, el("bdi", {}, topics[row] || ids[row]), verdict && el(`span.mark.${verdict}`, {}, verdict)),
        el("span.row-mid", {}, el("bdi", {}, names[row])),
        el("span.row-low", {}, facts.filter(Boolean).map((fact, place) => [place > 0 && " · ", fact]))));
  },

  href(row) {
    return `#/c/${this.side.number}/${encodeURIComponent(this.side.index.ids[row])}`;
  },

  /** Opens the conversation beside the list; `turn` is scrolled to. */
  async openTalk(side, id, turn) {
    this.show();
    if (this.side !== sides[side]) {
      this.side = sides[side] ?? sides[0];
      const choice = byId("side");
      if (choice) choice.value = String(this.side.number);
      this.buildFilters();
      this.setFilter(new Filter(this.side));
    }
    const row = this.side.row(id);
    this.open = row;
    this.node.classList.toggle("reading", true);
    if (row < 0) {
      this.talk.replaceChildren(el("p.empty", {}, `There is no conversation ${id} on this page.`));
      return;
    }
    this.markOpen();
    const talk = await this.side.talk(row);
    if (this.open !== row) return;
    this.fill(talk);
    this.talk.scrollTop = 0;
    if (turn) this.goTo(turn);
  },

  fill(talk) {
    const again = () => { const { scrollTop } = this.talk; this.fill(talk); this.talk.scrollTop = scrollTop; this.refreshRow(); };
    this.talk.replaceChildren(...talkView(talk, this.side.number, again));
  },

  refreshRow() {
    for (const [at, node] of this.drawn) {
      if (this.rows[at] !== this.open) continue;
      const fresh = this.row(at);
      fresh.style.setProperty("transform", node.style.getPropertyValue("transform"));
      node.replaceWith(fresh);
      this.drawn.set(at, fresh);
    }
  },

  goTo(turn) {
    const node = byId(`t${turn}`);
    node?.scrollIntoView({ block: "center" });
    node?.classList.add("linked");
  },

  close() {
    this.open = -1;
    this.node?.classList.toggle("reading", false);
    if (this.node) {
      this.talk.replaceChildren(el("p.empty", {}, this.side.size === 0 ? "There is no conversation on this page."
        : "Choose a conversation, or press j."));
      this.markOpen();
    }
  },

  markOpen() {
    for (const [at, node] of this.drawn) {
      if (this.rows[at] === this.open) node.firstChild.setAttribute("aria-current", "true");
      else node.firstChild.removeAttribute("aria-current");
    }
  },

  /** Goes on by `step` conversations of those that are listed. */
  step(step) {
    const at = this.rows.indexOf(this.open);
    const next = Math.min(this.rows.length - 1, Math.max(0, at < 0 ? 0 : at + step));
    if (this.rows[next] === undefined) return;
    location.hash = this.href(this.rows[next]);
    const top = (next * ROW) / this.squeeze;
    if (top < this.scroller.scrollTop || top + ROW > this.scroller.scrollTop + this.scroller.clientHeight) {
      this.scroller.scrollTop = top - this.scroller.clientHeight / 2;
    }
  },
};

/** The first letters of a name, for its mark. */
function initial(name) {
  return Array.from(name.trim())[0]?.toUpperCase() ?? "?";
}

/** Who is who. What only this person knows is marked as private. */
function castView(talk) {
  const privately = (person) => [["Stance", person.stance], ["Goal", person.goal], ["Knows", person.knowledge]]
    .filter(([, text]) => text).map(([name, text]) => el("p.private", {}, el("span.lock", {}, `Private · ${name.toLowerCase()}`), el("bdi", {}, text)));
  const people = talk.people.map((person, at) => el("li", {}, el(`span.face.face-${at % 8}`, { "aria-hidden": "true" }, initial(talk.names[at])),
    el("div", {}, el("p.name", {}, el("bdi", {}, talk.names[at])), person.description && el("p", {}, el("bdi", {}, person.description)),
      person.persona && person.persona !== person.description && el("p.faint", {}, el("bdi", {}, person.persona)), privately(person))));
  const relations = talk.relations.map(([, , text]) => el("li", {}, el("bdi", {}, text)));
  if (people.length === 0) return null;
  const summary = el("summary", {}, el("span.faces", { "aria-hidden": "true" }, talk.names.slice(0, 8).map((name, at) => el(`span.face.face-${at % 8}`, {}, initial(name)))),
    el("span", {}, "Who is who", talk.people.some((person) => person.stance || person.goal || person.knowledge) && ", and what only they know"));
  return el("details.cast", { open: list.castOpen, ontoggle: (event) => { list.castOpen = event.target.open; } }, summary, el("ul.people", {}, people),
    relations.length > 0 && el("ul.relations", {}, relations));
}

/** Facts in a row of chips. */
function factsView(talk) {
  const facts = [talk.outcome !== "accepted" && ["outcome", words(talk.outcome)], talk.ending && ["ends", words(talk.ending)], talk.model && ["model", talk.model],
    talk.split && ["split", talk.split], talk.language && ["language", talk.language], ...Object.entries(talk.attributes ?? {}),
    ...Object.entries(talk.labels ?? {}).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value)),
    talk.tokens && ["tokens", `${count(talk.tokens[0])} + ${count(talk.tokens[2])}`]].filter(Boolean);
  return el("dl.facts", {}, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("bdi", {}, String(value))))));
}

function scoresView(talk) {
  const scores = Object.entries(talk.judgement?.scores ?? {});
  if (scores.length === 0 && !talk.judgement?.contradiction) return null;
  return el("section.scores", { "aria-label": "What the judge says" }, scores.map(([scale, { score, quote }]) =>
    el("p", {}, el("strong", {}, `${scale} ${score}/5`), " ", el("q", {}, quote))),
    talk.judgement.contradiction && el("p", {}, el("strong", {}, "contradiction"), " ", el("q", {}, talk.judgement.contradiction)));
}

/** What the gates turned down and what was put right, by kind. */
function handledView(talk) {
  const handled = talk.provenance?.handled ?? {};
  const parts = [["turned down", handled.flaws], ["put right", handled.mended]].flatMap(([what, counts]) =>
    Object.entries(counts ?? {}).map(([name, times]) => `${what}: ${words(name)} × ${times}`));
  const edits = talk.provenance?.review?.edits ?? [];
  if (talk.provenance?.review) parts.push(`reviewed by ${talk.provenance.review.by || "somebody without a name"}${edits.length > 0 ? `, ${plural(edits.length, "edit")}` : ""}`);
  return parts.length > 0 && el("p.handled", {}, parts.join(" · "));
}

function talkView(talk, side, changed) {
  const back = el("a.back", { href: "#/conversations" }, "← All conversations");
  const print = el("button.quiet", { type: "button", onclick: () => window.print() }, "Print");
  const head = el("header.talk-head", {}, el("div.talk-tools", {}, back, print),
    el("h2", {}, el("bdi", {}, talk.topic || talk.id)), el("p.id", {}, talk.id), talk.situation && el("p.situation", { dir: "auto" }, talk.situation),
    factsView(talk), handledView(talk), scoresView(talk), castView(talk));
  const turns = talk.turns.map((turn, at) => turnView(talk, side, turn, at, changed));
  return [head, talk.starter && el("p.starter", { dir: "auto" }, talk.starter),
    turns.length > 0 && el("ol.turns", {}, turns), reviewBar(talk, changed)].filter(Boolean);
}

function turnView(talk, side, [speaker, to, how, attempts], at, changed) {
  const row = review.of && side === 0 ? review.row(talk) : null;
  const edit = row?.edits[at];
  const decisions = (talk.safety?.decisions ?? []).filter((decision) => decision.turn === at);
  const tries = talk.tries?.[at] ?? [];
  const earlier = (talk.provenance?.review?.edits ?? []).find((edit) => edit.turn === at);
  const said = edit ? [el("p.struck", { dir: "auto" }, talk.texts[at]), el("p", { dir: "auto" }, edit.text), el("p.by", {}, "your edit")] : el("p", { dir: "auto" }, talk.texts[at]);
  const rejected = row?.verdict === "reject" && (row.from_turn === null || at >= row.from_turn);
  return el("li.turn", { id: `t${at + 1}`, class: rejected ? "turn rejected" : "turn" },
    el(`span.face.face-${speaker % 8}`, { "aria-hidden": "true" }, initial(talk.names[speaker] ?? "?")),
    el("div.words", {},
      el("p.who", {}, el(`span.name.name-${speaker % 8}`, {}, el("bdi", {}, talk.names[speaker] ?? "?")),
        to !== null && el("span.to", {}, " to ", el("bdi", {}, talk.names[to] ?? "?")),
        attempts > 1 && el("span.chip.warn", {}, `${plural(attempts, "reply", "replies")} taken`),
        decisions.map(({ category, action, source }) => el("span.chip.bad", { title: `found by ${source}` }, `${words(category)}: ${words(action)}`)),
        how && el("span.how", {}, HOW[how] ?? words(how)),
        el("a.number", { href: `#/c/${side}/${encodeURIComponent(talk.id)}/${at + 1}`, "aria-label": `Link to turn ${at + 1}` }, String(at + 1))),
      el("div.said", {}, said, earlier && [el("p.struck", { dir: "auto" }, earlier.original), el("p.by", {}, `edited by ${earlier.edited_by || "a reviewer"}; struck out is what stood here before`)]),
      tries.length > 0 && el("details.tries", {}, el("summary", {}, plural(tries.length, "reply was turned down", "replies were turned down")),
        tries.map((text) => el("p.struck", { dir: "auto" }, text)))),
    side === 0 && turnTools(talk, at, changed));
}
