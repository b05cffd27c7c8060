// Drawings of our own. A chart of bars is a table with the bars in it; every other has its numbers as a table beneath.

/** A figure with a title and a sentence about it. */
function figure(title, sentence, ...content) {
  return el("figure.card", {}, el("figcaption", {}, el("h2", {}, title), sentence && el("p.lead", {}, sentence)), ...content);
}

/** A table that scrolls by itself where the page is narrow. */
function table(caption, header, rows, { hidden = false } = {}) {
  const head = el("tr", {}, header.map((name, at) => el(at === 0 ? "th" : "th.number", { scope: "col" }, name)));
  const body = rows.map(([name, ...cells]) =>
    el("tr", {}, el("th", { scope: "row" }, name), cells.map((cell) => el("td.number", {}, cell))));
  const whole = el("table", {}, el("caption.away", {}, caption), el("thead", {}, head), el("tbody", {}, body));
  const scroll = el("div.scroll", { tabindex: 0, role: "region", "aria-label": caption }, whole);
  return hidden ? el("details.numbers", {}, el("summary", {}, "Numbers"), scroll) : scroll;
}

/** Bars, a row each: `{name, value, shown, href, beside, besideShown}`. The longest fills its cell. */
function bars(caption, rows, [own, other] = ["Value"]) {
  const most = Math.max(...rows.flatMap((row) => [row.value, row.beside ?? 0]), Number.MIN_VALUE);
  const line = (kind, share) =>
    svg(`svg.bar.${kind}`, { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { width: Math.max(share > 0 ? 0.6 : 0, (share / most) * 100), height: 6, rx: 0.6 }));
  const body = rows.map((row) =>
    el("tr", {},
      el("th", { scope: "row" }, row.href ? el("a", { href: row.href }, row.name) : row.name),
      el("td.draw", {}, line("own", row.value), other && line("other", row.beside ?? 0)),
      el("td.number", {}, row.shown),
      other && el("td.number.faint", {}, row.besideShown ?? "–")));
  const head = el("tr", { class: other ? null : "away" },
    el("th", { scope: "col" }, el("span.away", {}, "Name")), el("th", { scope: "col" }, el("span.away", {}, "Bar")),
    el("th.number", { scope: "col" }, own), other && el("th.number", { scope: "col" }, other));
  return el("table.bars", {}, el("caption.away", {}, caption), el("thead", {}, head), el("tbody", {}, body));
}

const WIDTH = 560;
const HEIGHT = 190;
const LEAST_COLUMNS = 16;
const EDGE = { left: 38, right: 8, top: 20, bottom: 26 };

/** Columns over whole numbers, as shares; those of a reference are drawn as a line. */
function columns(caption, series, { form = percent, label = "", marks = [] } = {}) {
  const all = series.flatMap(({ points }) => points);
  const ends = [Math.min(...all.map(([at]) => at)), Math.max(...all.map(([at]) => at))];
  // A few columns would be walls.
  const room = Math.max(0, LEAST_COLUMNS - 1 - (ends[1] - ends[0]));
  const first = Math.max(Math.min(ends[0], 1), ends[0] - Math.ceil(room / 2));
  const last = Math.max(ends[1], first + LEAST_COLUMNS - 1);
  const top = Math.max(...all.map(([, value]) => value), Number.MIN_VALUE);
  const step = (WIDTH - EDGE.left - EDGE.right) / (last - first + 1);
  const x = (at) => EDGE.left + (at - first) * step;
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const floor = y(0);
  const grid = [0, 0.5, 1].map((part) => [
    svg("line.grid", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(top * part), y2: y(top * part) }),
    svg("text.axis", { x: EDGE.left - 6, y: y(top * part) + 3.5, "text-anchor": "end" }, form(top * part, top < 0.1 ? 1 : 0)),
  ]);
  const drawn = series.map(({ points, kind }) => kind === "line" ? outline(points, x, y, step, floor)
    : points.map(([at, value]) => svg("rect.column", {
        x: x(at) + step * 0.08, width: Math.max(0.5, step * 0.84), y: y(value), height: floor - y(value), rx: Math.min(2, step / 4),
      })));
  const ticks = axisTicks(first, last).map((at) => svg("text.axis", { x: x(at) + step / 2, y: HEIGHT - 9, "text-anchor": "middle" }, String(at)));
  const lines = marks.filter(({ at }) => at >= first && at <= last).map(({ at, name }) => [
    svg("line.mark", { x1: x(at) + step / 2, x2: x(at) + step / 2, y1: EDGE.top - 4, y2: floor }),
    svg("text.axis", { x: x(at) + step / 2, y: EDGE.top - 8, "text-anchor": "middle" }, name),
  ]);
  const drawing = svg("svg.chart", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${caption}; its numbers are in the table beneath` },
    grid, drawn, lines, ticks);
  const numbers = [...new Set(all.map(([at]) => at))].sort((one, other) => one - other).map((at) => [
    String(at), ...series.map(({ points }) => form(points.find(([there]) => there === at)?.[1] ?? 0, 1)),
  ]);
  const legend = series.length > 1 && el("p.legend", {}, series.map(({ name, kind }) => el(`span.key.${kind ?? "own"}`, {}, name)));
  return [legend, drawing, table(caption, [label, ...series.map(({ name }) => name)], numbers, { hidden: true })];
}

/** The outline of columns: one path of steps. */
function outline(points, x, y, step, floor) {
  const path = points.map(([at, value], index) => {
    const gap = index === 0 || points[index - 1][0] !== at - 1;
    const next = points[index + 1]?.[0] === at + 1;
    return `${gap ? `M${x(at)} ${floor}V${y(value)}` : `V${y(value)}`}H${x(at) + step}${next ? "" : `V${floor}`}`;
  });
  return svg("path.outline", { d: path.join("") });
}

function axisTicks(first, last) {
  const rough = (last - first) / 8;
  const unit = [1, 2, 5, 10, 20, 50, 100].find((unit) => unit >= rough) ?? 200;
  const ticks = [];
  for (let at = Math.ceil(first / unit) * unit; at <= last; at += unit) ticks.push(at);
  return ticks;
}

/** `{number: count}` as points with shares. */
function shares(counts) {
  const entries = Object.entries(counts).map(([at, times]) => [Number(at), times]);
  const total = entries.reduce((sum, [, times]) => sum + times, 0);
  return entries.map(([at, times]) => [at, times / Math.max(1, total)]);
}

/** Two attributes against each other: cells shaded by their counts. */
function heatMap(caption, [down, across], cells, href) {
  const value = (cell, name) => cell.values[name];
  const rows = [...new Set(cells.map((cell) => value(cell, down)))].sort();
  const heads = [...new Set(cells.map((cell) => value(cell, across)))].sort();
  const sum = (row, head) => cells.filter((cell) => value(cell, down) === row && value(cell, across) === head)
    .reduce((total, cell) => total + cell.count, 0);
  const most = Math.max(...rows.flatMap((row) => heads.map((head) => sum(row, head))), 1);
  const body = rows.map((row) => el("tr", {}, el("th", { scope: "row" }, row), heads.map((head) => {
    const number = sum(row, head);
    const cell = el("td.heat", {}, number > 0 ? el("a", { href: href(row, head) }, count(number)) : "0");
    cell.style.setProperty("--heat", `${Math.round(8 + (number / most) * 52)}%`);
    return cell;
  })));
  const head = el("tr", {}, el("th", { scope: "col" }, `${down} \\ ${across}`), heads.map((name) => el("th", { scope: "col" }, name)));
  return el("div.scroll", { tabindex: 0, role: "region", "aria-label": caption },
    el("table.map", {}, el("caption.away", {}, caption), el("thead", {}, head), el("tbody", {}, body)));
}
