// Holds chunks of conversations, each of which is a line, as they are packed; looks for a text in them, and shows one.

const chunks = [];
let current = 0;

onmessage = async ({ data }) => {
  if (data.add) chunks.push(data.add);
  else if (data.show) await show(data.show);
  else if (data.find) await find(data.find);
  else current = 0;
};

async function show({ side, number }) {
  const { parts } = chunks.find((chunk) => chunk.side === side && chunk.number === number);
  postMessage({ shown: `${side} ${number}`, texts: await Promise.all(parts.map(inflated)) });
}

async function find({ id, side, text }) {
  current = id;
  // As it stands within a line of JSON.
  const lower = text.toLowerCase();
  const wanted = JSON.stringify(lower).slice(1, -1);
  let rows = [];
  let told = performance.now();
  for (const chunk of chunks.filter((chunk) => chunk.side === side)) {
    const lines = (await inflated(chunk.parts[0])).toLowerCase();
    if (current !== id) return;
    look(lines, wanted, lower, chunk.first, rows);
    if (performance.now() - told > 100) {
      postMessage({ id, rows, done: false });
      rows = [];
      told = performance.now();
    }
  }
  postMessage({ id, rows, done: true });
}

/** Adds the rows that say `text`, which stands as `wanted` within a line of JSON. */
function look(lines, wanted, text, first, rows) {
  // What stands between texts, and what a sign behind a backslash is written with, is said by nobody.
  const between = /^[\[\],]+$/.test(wanted);
  let line = 0;
  let start = 0;
  let hit = lines.indexOf(wanted);
  while (hit >= 0) {
    let end = lines.indexOf("\n", start);
    while (end < hit) {
      line += 1;
      start = end + 1;
      end = lines.indexOf("\n", start);
    }
    const isSure = !between && !lines.slice(Math.max(start, hit - 5), hit).includes("\\");
    if (isSure || says(lines.slice(start, end), text)) rows.push(first + line);
    line += 1;
    start = end + 1;
    hit = lines.indexOf(wanted, start);
  }
}

function says(line, text) {
  return JSON.parse(line).flat().some((part) => part.includes(text));
}
