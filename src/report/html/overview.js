// The first view: what is in it, what became of the inputs, and pictures where people would rather look than read.

const STAGES = ["personas", "situations", "conversations"];
const SHOWN_REASONS = 5;
const LOSSES = ["duplicate", "rejected", "refused", "failed", "over_budget"];

/** The address of the list with one filter. */
function listed(facet, value) {
  return `#/conversations?${new URLSearchParams([[facet, value]])}`;
}

function overview() {
  const { report } = page;
  return el("div.overview", {},
    el("h1.away", {}, `Overview of ${page.title}`),
    summary(report),
    hints(report),
    flow(report.run),
    el("div.cards", {}, spend(report.run), ...lengths(), floorShares(), gates(report), positions(),
      endings(), ...coverage(report), hub(report.run), safety(report), judge(report)),
    figures());
}

function summary({ subject, run }) {
  const own = subject.figures;
  const tile = (value, name) => el("div.tile", {}, el("dt", {}, name), el("dd", {}, value));
  const cost = run?.summary.usage.cost;
  const tiles = [
    own && tile(count(own.conversations), "conversations"),
    own && tile(count(own.turns), "turns"),
    own && tile(decimal(own.turns_per_conversation.mean, 1), "turns each"),
    own && tile(decimal(own.words_per_turn.mean, 1), "words a turn"),
    run && tile(count(run.summary.usage.calls), "calls"),
    cost !== null && cost !== undefined && tile(`${decimal(cost)} ${run.summary.usage.currency ?? ""}`, "spent"),
  ];
  return el("section.summary", { "aria-label": "What is in it" },
    el("p.path", {}, subject.path), el("dl.tiles", {}, tiles),
    !own && el("p", {}, page.begun ? "No conversation is sealed yet, so there are no figures; what recorded replies make is under Conversations."
      : "There is no accepted conversation, so there are no figures."));
}

function hints({ hints, subject }) {
  if (hints.length === 0) {
    return subject.figures && el("p.hint.good", {}, "Nothing is far from what human talk, or the reference, is like.");
  }
  return el("section.hints", { "aria-labelledby": "hints-title" }, el("h2", { id: "hints-title" }, "Worth a look"),
    el("ul", {}, hints.map(({ message, setting }) => el("li", {}, message, ". ", el("code", {}, setting), " changes it."))));
}

/** From the inputs of each stage to what was accepted, with the reasons of loss. */
function flow(run) {
  if (!run) return null;
  const rows = STAGES.map((stage) => [stage, run.summary.stages[stage]]).filter(([, tally]) => tally);
  const total = (tally) => tally.accepted + LOSSES.reduce((sum, loss) => sum + tally[loss], 0);
  const lost = rows.reduce((sum, [, tally]) => sum + total(tally) - tally.accepted, 0);
  const bar = (tally) => {
    let from = 0;
    const parts = ["accepted", ...LOSSES].filter((part) => tally[part] > 0).map((part) => {
      const width = (tally[part] / Math.max(1, total(tally))) * 100;
      from += width;
      return svg(`rect.part.${part}`, { x: from - width, width: Math.max(0.4, width - 0.3), height: 8 });
    });
    return svg("svg.flow", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" }, parts);
  };
  const body = rows.map(([stage, tally]) => el("tr", {}, el("th", { scope: "row" }, stage), el("td.draw", {}, bar(tally)),
    el("td.number", {}, count(total(tally))), el("td.number.strong", {}, count(tally.accepted)),
    LOSSES.map((loss) => el("td.number", { class: tally[loss] > 0 ? null : "zero" }, count(tally[loss])))));
  const head = ["Stage", "Flow", "in", "accepted", ...LOSSES.map(words)].map((name, at) => el(at > 1 ? "th.number" : "th", { scope: "col" }, name));
  const reasons = run.reasons.map(({ stage, reason, count: times }) => ({ name: `${stage}: ${words(reason)}`, value: times, shown: count(times) }));
  return figure("From personas to conversations",
    lost === 0 ? "Every input was accepted." : `${plural(lost, "input")} did not make it; every one has a reason.`,
    el("div.scroll", { tabindex: 0, role: "region", "aria-label": "Outcomes by stage" },
      el("table.outcomes", {}, el("caption.away", {}, "Outcomes by stage"), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body))),
    reasons.length > 0 && [el("h3", {}, "Why inputs were lost"), bars("Reasons of loss", reasons.slice(0, SHOWN_REASONS), ["Inputs"])],
    reasons.length > SHOWN_REASONS && el("details.numbers", {}, el("summary", {}, `${reasons.length - SHOWN_REASONS} further reasons`),
      bars("Further reasons of loss", reasons.slice(SHOWN_REASONS), ["Inputs"])));
}

function spend(run) {
  const roles = Object.entries(run?.summary.usage.by_role ?? {});
  if (roles.length === 0) return null;
  const each = run.per_conversation;
  const sentence = each && `An accepted conversation took ${decimal(each.calls, 1)} calls, ${count(each.prompt_tokens)} prompt and ${count(each.completion_tokens)} completion tokens.`;
  const priced = roles.some(([, role]) => role.cost !== null);
  const rows = roles.map(([name, role]) => [name, count(role.calls), count(role.prompt_tokens), count(role.completion_tokens),
    ...(priced ? [role.cost === null ? "–" : decimal(role.cost, 4)] : [])]);
  const bar = roles.map(([name, role]) => ({ name, value: role.prompt_tokens + role.completion_tokens, shown: `${count(role.prompt_tokens + role.completion_tokens)} tokens` }));
  return figure("Calls and tokens by role", sentence, bars("Tokens by role", bar, ["Tokens"]),
    table("Calls and tokens by role", ["Role", "calls", "prompt", "completion", ...(priced ? ["cost"] : [])], rows));
}

/** Whole distributions of lengths, beside those of the reference. */
function lengths() {
  const { subject, reference } = page.pictures;
  if (!subject) return [];
  const one = (key, title, label, ks, distribution) => {
    const distance = page.report.distance?.[ks];
    const told = distance === null || distance === undefined ? `Half have ${decimal(distribution.median, 0)} or fewer, a tenth more than ${decimal(distribution.p90, 0)}.`
      : `Kolmogorov-Smirnov distance ${decimal(distance)} to the reference: ${distance > page.far ? "unlike it" : `0 is the same, above ${page.far} is worth a look`}.`;
    const series = [{ name: "here", points: shares(subject[key]) }];
    if (reference) series.push({ name: "reference", points: shares(reference[key]), kind: "line" });
    return figure(title, told, columns(title, series, { label, marks: [{ at: Math.round(distribution.median), name: "median" }] }));
  };
  const own = page.report.subject.figures;
  return [
    one("words_per_turn", "Words per turn", "Words", "ks_words", own.words_per_turn),
    one("turns_per_conversation", "Turns per conversation", "Turns", "ks_turns", own.turns_per_conversation),
  ];
}

function floorShares() {
  const shares = Object.entries(page.pictures.subject?.floor_shares ?? {}).filter(([people]) => Number(people) > 1);
  if (shares.length === 0) return null;
  const rows = shares.map(([people, ranks]) => [`${people} people`, ...ranks.slice(0, 6).map((share) => percent(share, 0))]);
  const most = Math.max(...shares.map(([, ranks]) => ranks.length));
  const header = ["In the room", "most", "second", "third", "fourth", "fifth", "sixth"].slice(0, Math.min(7, most + 1));
  const padded = rows.map((row) => [...row, ...Array(Math.max(0, header.length - row.length)).fill("")]);
  const bar = ([people, ranks]) => {
    let from = 0;
    return el("div.stack", {}, el("span.stack-name", { "aria-hidden": "true" }, `${people} people`),
      svg("svg.flow", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" }, ranks.map((share, rank) => {
        from += share * 100;
        return svg(`rect.rank.rank-${Math.min(rank, 5)}`, { x: from - share * 100, width: Math.max(0.2, share * 100 - 0.3), height: 8 });
      })));
  };
  return figure("Who holds the floor", "The share of turns of who speaks most, next to most and so on; in equal talk the parts are equal.",
    shares.map(bar), table("Mean share of turns by rank", header, padded, { hidden: true }));
}

function gates({ subject, reference }) {
  const own = subject.gates;
  if (!own) return null;
  const rate = (rates, beside) => Object.entries(rates).sort((one, other) => other[1] - one[1]).map(([name, value]) => ({
    name: words(name), value, shown: decimal(value), beside: beside?.[name] ?? 0, besideShown: beside && decimal(beside[name] ?? 0),
    href: listed("gate", name),
  }));
  const theirs = reference?.gates;
  const flaws = rate(own.flaws_per_100_turns, theirs?.flaws_per_100_turns);
  const mended = rate(own.mended_per_100_turns).map((row) => ({ ...row, href: listed("mended", row.name.replaceAll(" ", "_")) }));
  return figure("Replies turned down, before repair",
    `Of 100 turns ${decimal(own.asked_again_per_100_turns, 1)} replies were asked for again. The rate before repair tells about the model and the prompt.`,
    flaws.length > 0 && bars("Replies turned down per 100 turns", flaws, theirs ? ["per 100", "there"] : ["per 100"]),
    mended.length > 0 && [el("h3", {}, "Put right by code"), bars("Replies put right per 100 turns", mended, ["per 100"])]);
}

/** Talk of models gets worse by the turn. */
function positions() {
  const all = page.pictures.subject?.positions ?? [];
  if (!all.some((at) => at.turned_down > 0)) return null;
  const points = all.map(({ turns, turned_down }, at) => [at + 1, turned_down / Math.max(1, turns)]);
  const half = Math.ceil(all.length / 2);
  const rate = (part) => part.reduce((sum, at) => sum + at.turned_down, 0) / Math.max(1, part.reduce((sum, at) => sum + at.turns, 0));
  const [early, late] = [rate(all.slice(0, half)), rate(all.slice(half))];
  return figure("Where in the talk replies fail",
    `In the first half of the positions ${percent(early)} of turns were asked for again, in the second ${percent(late)}${late > early * 1.5 ? ": it gets worse as it goes on" : ""}.`,
    columns("Replies turned down per turn, by position", [{ name: "turned down per turn", points }], { label: "Turn" }));
}

function endings() {
  const own = page.pictures.subject?.endings ?? {};
  const theirs = page.pictures.reference?.endings;
  const sum = (counts) => Object.values(counts ?? {}).reduce((total, times) => total + times, 0);
  if (sum(own) === 0) return null;
  const rows = Object.entries(own).sort((one, other) => other[1] - one[1]).map(([name, times]) => ({
    name: words(name), value: times / sum(own), shown: percent(times / sum(own)), href: listed("ending", name),
    beside: (theirs?.[name] ?? 0) / Math.max(1, sum(theirs)), besideShown: sum(theirs) > 0 && percent((theirs[name] ?? 0) / sum(theirs)),
  }));
  const closings = page.report.subject.figures?.closings;
  return figure("How conversations end", typeof closings === "number" && `${percent(closings, 0)} end with a goodbye or thanks${good("closings")}.`,
    bars("Endings", rows, sum(theirs) > 0 ? ["here", "there"] : ["share"]));
}

function coverage({ subject, run }) {
  const own = run?.coverage ?? subject.coverage;
  if (!own) return [];
  const names = Object.keys(own.attributes);
  const gap = own.largest_gap !== null && ` The largest difference from the share that was wanted is ${percent(own.largest_gap)}.`;
  const sentence = `${count(own.cells_filled)}${own.cells_possible === null ? "" : ` of ${count(own.cells_possible)}`} cells are filled.${gap || ""}`;
  const map = names.length >= 2 && heatMap("Coverage", names.slice(0, 2), own.cells,
    (row, head) => `#/conversations?${new URLSearchParams([[`cell: ${names[0]}`, row], [`cell: ${names[1]}`, head]])}`);
  const wanted = names.map((name) => {
    const rows = Object.entries(own.attributes[name]).slice(0, 24).map(([value, fill]) => ({
      name: value, value: fill.share, shown: percent(fill.share), beside: fill.expected ?? 0,
      besideShown: fill.expected === null ? "–" : percent(fill.expected), href: listed(`cell: ${name}`, value),
    }));
    return [el("h3", {}, name), bars(`Share by ${name}`, rows, ["here", "wanted"])];
  });
  return [figure("Coverage of the grid", sentence, map, names.length < 3 ? wanted : el("details.numbers", {}, el("summary", {}, "By attribute"), wanted))];
}

function hub(run) {
  const rounds = run?.hub?.rounds ?? [];
  if (rounds.length < 2) return null;
  const rows = rounds.map(({ first, last, effective, situations }) => ({
    name: first === last ? `round ${first + 1}` : `rounds ${first + 1}–${last + 1}`, value: effective,
    shown: `${decimal(effective, 1)} of ${run.hub.compared}`, situations,
  }));
  const narrowed = rounds.at(-1).effective < rounds[0].effective * page.narrowed;
  return figure("Do situations stay different?", narrowed ? "They grow alike as the hub feeds on its own output." : "They stay as different as they began.",
    bars("Different situations in effect, by round", rows, ["different in effect"]));
}

function safety({ subject }) {
  const found = subject.safety;
  if (!found) return null;
  const named = ["decisions.category", "decisions.action", "service.unscreened"].filter((key) => found.counts[key]);
  const rows = named.flatMap((key) => Object.entries(found.counts[key]).map(([name, times]) => ({
    name: `${words(key.split(".").at(-1))}: ${words(name)}`, value: times, shown: count(times),
    href: key === "decisions.category" ? listed("flag", name) : null,
  })));
  return figure("Safety screen", rows.length === 0 ? `${plural(found.records, "conversation")} screened; nothing was found.` : `${plural(found.records, "conversation")} screened.`,
    rows.length > 0 && bars("What the screens found", rows, ["found"]));
}

function judge({ subject }) {
  const means = Object.entries(subject.judgement?.means ?? {}).filter(([key]) => key.startsWith("scores.") && key.endsWith(".score"));
  if (means.length === 0) return null;
  const rows = means.map(([key, mean]) => ({ name: key.split(".")[1], value: mean, shown: decimal(mean) }));
  return figure("What the judge says", "Mean scores from 1 to 5. Models favour what they wrote themselves.", bars("Mean scores", rows, ["of 5"]));
}

/** What is good for a figure, to end a sentence with. */
function good(key) {
  const range = page.figures.find((figure) => figure.key === key)?.good;
  return range ? `: ${range}` : "";
}

/** A figure in its form. */
function formed(form, value) {
  if (value === null || value === undefined) return "–";
  if (form === "share") return percent(value);
  return form === "count" ? count(value) : decimal(value);
}

/** Every figure of the report, under its heading. */
function figures() {
  if (!page.report.subject.figures) return null;
  const compared = page.report.reference !== null;
  const header = ["Figure", "here", ...(compared ? ["reference", "difference"] : []), "reads as"];
  const groups = Map.groupBy ? Map.groupBy(page.figures, ({ group }) => group) : grouped(page.figures);
  const row = ({ label, form, here, there, difference, reading, good }) => el("tr", {}, el("th", { scope: "row" }, label),
    el("td.number", {}, formed(form, here)),
    compared && [el("td.number", {}, formed(form, there)), el("td.number", {}, signed(form, difference))],
    el("td.says", {}, [reading, good].filter(Boolean).join("; ")));
  const body = [...groups].map(([group, rows]) => el("tbody", {},
    el("tr", {}, el("th.group", { scope: "rowgroup", colspan: header.length }, group)), rows.map(row)));
  const head = el("tr", {}, header.map((name, at) => el(at === 0 || at === header.length - 1 ? "th" : "th.number", { scope: "col" }, name)));
  const sample = page.report.subject.figures.sample;
  return el("section.figures", { "aria-labelledby": "figures-title" }, el("h2", { id: "figures-title" }, "All figures"),
    el("p.lead", {}, `Figures across conversations are of a sample of ${plural(sample.conversations, "conversation")}${compared ? " each" : ""}, so that they do not move with the size of the corpus.`),
    el("div.scroll", { tabindex: 0, role: "region", "aria-label": "Table of all figures" },
      el("table.all", {}, el("caption.away", {}, "All figures"), el("thead", {}, head), body)));
}

function grouped(list) {
  const groups = new Map();
  for (const item of list) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
  return groups;
}

function signed(form, value) {
  if (value === null || value === undefined) return "";
  const shown = form === "share" ? decimal(value * 100, 1) : decimal(value);
  return value > 0 ? `+${shown}` : shown;
}
