// Addresses, keys, colours: what holds the views together.

const THEMES = ["auto", "light", "dark"];
const KEYS = [
  ["j  k", "next and previous conversation"],
  ["/", "search"],
  ["f", "filters"],
  ["a  x", "accept, reject"],
  ["o  c", "overview, conversations"],
  ["Esc", "back to the list"],
  ["?", "this help"],
];

/** Shows what the address says: `#/overview`, `#/conversations?…`, `#/c/SIDE/ID/TURN`, `#/compare`. */
async function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [, view = "", side, id, turn] = path.split("/");
  const main = byId("main");
  const isTalk = view === "c" && id !== undefined;
  const name = isTalk ? "conversations" : view;
  for (const link of byId("views").children) {
    if (link.getAttribute("href") === `#/${name || "overview"}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.view = name || "overview";
  if (isTalk) {
    if (main.firstChild !== list.show()) main.replaceChildren(list.show());
    list.draw();
    await list.openTalk(Number(side), plain(id), turn);
  } else if (view === "conversations") {
    if (main.firstChild !== list.show(query)) main.replaceChildren(list.show(query));
    list.close();
    list.draw();
  } else {
    main.replaceChildren(view === "compare" && sides.length > 1 ? compare() : overview());
    window.scrollTo(0, 0);
  }
  document.body.dataset.ready = "true";
}

/** A part of an address as it was written; as it stands where somebody changed it by hand. */
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function pressed(event) {
  const typing = event.target.closest?.("input, textarea, select, dialog[open]");
  if (event.key === "Escape" && event.target.id === "search") event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const inList = document.body.dataset.view === "conversations";
  const verdict = (value) => () => list.talk.querySelector(`[data-verdict=${value}]`)?.click();
  const act = {
    j: () => inList ? list.step(1) : (location.hash = "#/conversations"),
    k: () => inList && list.step(-1),
    "/": () => { if (!inList) location.hash = "#/conversations"; setTimeout(() => list.search?.focus(), 0); },
    f: () => inList && list.togglePanel(),
    o: () => (location.hash = "#/overview"),
    c: () => (location.hash = "#/conversations"),
    a: verdict("accept"),
    x: verdict("reject"),
    "?": openHelp,
    Escape: () => inList && (location.hash = "#/conversations"),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function openHelp() {
  const dialog = byId("help");
  dialog.replaceChildren(el("h2", { id: "help-title" }, "Keys"), el("dl.keys", {}, KEYS.map(([key, what]) => el("div", {}, el("dt", {}, key.split("  ").map((one) => el("kbd", {}, one))), el("dd", {}, what)))),
    el("p.faint", {}, `Made by ${page.made_by}. Nothing is fetched and nothing is sent: everything is in this file.`),
    el("div.buttons", {}, el("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  dialog.showModal();
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "auto";
  setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = byId("theme-button");
  button.textContent = `◐ ${theme[0].toUpperCase()}${theme.slice(1)}`;
  try {
    localStorage.setItem("convogen theme", theme);
  } catch {
    // Then it is chosen again next time.
  }
}

/** What has to be said of what the page holds. */
function notices() {
  const told = [];
  const [sample] = page.samples;
  if (sample) told.push(`This page holds a sample: ${count(sample.conversations)} of ${count(sample.of)} conversations, drawn with seed ${sample.seed}. The figures are of all of them.`);
  if (page.begun) told.push("This run has not ended. Its conversations are what recorded replies made by the time the page was written; one that is under way is unfinished.");
  if (page.unlisted > 0) told.push(`${count(page.unlisted)} further items that did not make it are not listed.`);
  const notice = byId("notice");
  notice.textContent = told.join(" ");
  notice.hidden = told.length === 0;
}

async function begin() {
  let theme = "auto";
  try {
    theme = localStorage.getItem("convogen theme") ?? theme;
  } catch {
    // A browser that keeps nothing has the colours of its system.
  }
  setTheme(THEMES.includes(theme) ? theme : "auto");
  if (page.report.reference) byId("views").lastElementChild.hidden = false;
  byId("theme-button").addEventListener("click", nextTheme);
  byId("help-button").addEventListener("click", openHelp);
  byId("review-button").addEventListener("click", openReview);
  byId("review-button").hidden = !page.identity;
  document.addEventListener("keydown", pressed);
  window.addEventListener("hashchange", route);
  notices();
  review.load();
  showReviewCount();
  await openSides();
  await route();
}

begin();
