// What a person makes of conversations. It stays in the browser's storage of this page until it is saved as a file.

const REVIEW_VERSION = 1;

const review = {
  /** What is reviewed: a sealed run. Nothing else can take a review. */
  of: page.identity,
  reviewer: "",
  rows: {},
  /** Why nothing is kept, where the browser keeps nothing. */
  unkept: "",

  key() {
    return `convogen review ${this.of.conversations}`;
  },

  load() {
    if (!this.of) return;
    try {
      const kept = JSON.parse(localStorage.getItem(this.key()) ?? "null");
      if (kept?.version === REVIEW_VERSION) Object.assign(this, { reviewer: kept.reviewer, rows: kept.rows });
    } catch {
      this.unkept = "This browser keeps nothing for this page: save the review before you close it.";
    }
  },

  keep() {
    try {
      localStorage.setItem(this.key(), JSON.stringify({ version: REVIEW_VERSION, reviewer: this.reviewer, rows: this.rows }));
    } catch {
      this.unkept = "This browser keeps nothing for this page: save the review before you close it.";
    }
    showReviewCount();
  },

  row(talk) {
    return this.rows[talk.id] ?? { hash: talk.hash, verdict: null, from_turn: null, comment: "", labels: {}, edits: {} };
  },

  /** Changes what is said of a conversation; a row that says nothing is gone. */
  set(talk, change) {
    const row = { ...this.row(talk), ...change };
    const says = row.verdict || row.comment.trim() || Object.keys(row.labels).length > 0 || Object.keys(row.edits).length > 0;
    if (says) this.rows[talk.id] = row;
    else delete this.rows[talk.id];
    this.keep();
  },

  count() {
    return Object.keys(this.rows).length;
  },

  /** The file: a line about it, then a line a conversation. */
  file() {
    const ids = Object.keys(this.rows).sort();
    const head = { kind: "convogen review", version: REVIEW_VERSION, run: this.of.run, conversations: this.of.conversations, reviewer: this.reviewer.trim(), rows: ids.length };
    const row = (id) => {
      const { hash, verdict, from_turn, comment, labels, edits } = this.rows[id];
      const list = Object.entries(edits).map(([turn, { original, text }]) => ({ turn: Number(turn), original, text }));
      return { id, hash, verdict, from_turn, comment: comment.trim(), labels, edits: list };
    };
    return [head, ...ids.map(row)].map((line) => `${JSON.stringify(line)}\n`).join("");
  },
};

function showReviewCount() {
  byId("review-count").textContent = review.count() > 0 ? ` ${review.count()}` : "";
}

/** What is said of the conversation as a whole. */
function reviewBar(talk, changed) {
  if (!review.of || talk.outcome !== "accepted" || !talk.hash) return null;
  const row = review.row(talk);
  const verdict = (value, name, key) => el("button.verdict", {
    type: "button", "data-verdict": value, "aria-pressed": String(row.verdict === value), "aria-keyshortcuts": key,
    onclick: () => {
      const same = review.row(talk).verdict === value;
      review.set(talk, { verdict: same ? null : value, from_turn: null });
      changed();
    },
  }, name);
  const labels = Object.entries(review.of.labels ?? {}).map(([name, values]) => el("label", {}, name,
    el("select", {
      "data-label": name,
      onchange: (event) => {
        const labels = { ...review.row(talk).labels, [name]: event.target.value };
        if (!event.target.value) delete labels[name];
        review.set(talk, { labels });
      },
    }, el("option", { value: "" }, "–"), values.map((value) => el("option", { value, selected: row.labels[name] === value }, value)))));
  const from = row.verdict === "reject" && row.from_turn !== null && el("span.chip.bad", {}, `from turn ${row.from_turn + 1} on`);
  return el("section.review-bar", { "aria-label": "Your review" },
    el("div.verdicts", {}, verdict("accept", "Accept", "a"), verdict("reject", "Reject", "x"), from, labels),
    el("label.comment", {}, el("span.away", {}, "Comment"), el("textarea", {
      rows: 1, placeholder: "Comment", oninput: (event) => review.set(talk, { comment: event.target.value }),
    }, row.comment)));
}

/** What can be done with one turn. */
function turnTools(talk, turn, changed) {
  if (!review.of || talk.outcome !== "accepted" || !talk.hash) return null;
  const edit = el("button.quiet", { type: "button", "data-edit": turn, onclick: () => editTurn(talk, turn, changed) }, "Edit");
  const reject = el("button.quiet", {
    type: "button", "data-reject": turn,
    onclick: () => {
      review.set(talk, { verdict: "reject", from_turn: turn });
      changed();
    },
  }, "Reject from here");
  return el("div.turn-tools", {}, edit, reject);
}

/** Puts a field in the place of a turn's text. */
function editTurn(talk, turn, changed) {
  const original = talk.texts[turn];
  const edits = review.row(talk).edits;
  const field = el("textarea.edit", { rows: 3, "aria-label": `Text of turn ${turn + 1}` }, edits[turn]?.text ?? original);
  const done = () => {
    const next = { ...edits };
    const text = field.value.trim();
    if (text && text !== original) next[turn] = { original, text };
    else delete next[turn];
    review.set(talk, { edits: next });
    changed();
  };
  const place = byId(`t${turn + 1}`).querySelector(".said");
  place.replaceChildren(field, el("div.edit-tools", {}, el("button", { type: "button", "data-done": turn, onclick: done }, "Keep"),
    el("button.quiet", { type: "button", onclick: changed }, "Cancel")));
  field.focus();
}

function openReview() {
  const dialog = byId("review");
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
  if (!review.of) {
    dialog.replaceChildren(el("h2", { id: "review-title" }, "Review"),
      el("p", {}, "This page is not of a run whose conversations are sealed, so there is nothing a review could be applied to."), el("div.buttons", {}, close));
    return dialog.showModal();
  }
  const rows = Object.entries(review.rows);
  const list = rows.slice(0, 200).map(([id, row]) => el("li", {}, el("a", { href: `#/c/0/${encodeURIComponent(id)}`, onclick: () => dialog.close() }, id),
    ` ${[row.verdict && `${row.verdict}ed`, row.from_turn !== null && `from turn ${row.from_turn + 1}`, Object.keys(row.edits).length > 0 && plural(Object.keys(row.edits).length, "edit"), row.comment && "comment"].filter(Boolean).join(", ")}`));
  const name = el("input", { id: "reviewer", value: review.reviewer, autocomplete: "off", oninput: (event) => { review.reviewer = event.target.value; review.keep(); } });
  const save = el("button.main", { type: "button", id: "save-review", disabled: rows.length === 0, onclick: () => download("review.jsonl", review.file()) }, "Save review.jsonl");
  dialog.replaceChildren(el("h2", { id: "review-title" }, "Review"),
    el("p", {}, rows.length === 0 ? "Accept, reject, edit or comment on a conversation; it is kept here." : `${plural(rows.length, "conversation")} reviewed.`),
    review.unkept && el("p.hint", {}, review.unkept),
    el("label.field", {}, "Your name", name),
    list.length > 0 && el("ul.reviewed", { tabindex: 0 }, list),
    el("p.faint", {}, "Apply it with ", el("code", {}, `convogen review apply ${page.report.subject.path} review.jsonl`)),
    el("div.buttons", {}, close, save));
  dialog.showModal();
}
