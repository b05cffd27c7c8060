// Looks for a text in chunks of conversations, each of which is a line.

const chunks = [];
let current = 0;

onmessage = async ({ data }) => {
  if (data.add) chunks.push(data.add);
  else if (data.find) await find(data.find);
  else current = 0;
};

async function find({ id, side, text }) {
  current = id;
  // As it stands within a line of JSON.
  const wanted = JSON.stringify(text.toLowerCase()).slice(1, -1);
  let rows = [];
  let told = performance.now();
  for (const chunk of chunks.filter((chunk) => chunk.side === side)) {
    const stream = chunk.blob.stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const lines = (await new Response(stream).text()).toLowerCase();
    if (current !== id) return;
    look(lines, wanted, chunk.first, rows);
    if (performance.now() - told > 100) {
      postMessage({ id, rows, done: false });
      rows = [];
      told = performance.now();
    }
  }
  postMessage({ id, rows, done: true });
}

/** Adds the rows whose line holds what is wanted. */
function look(lines, wanted, first, rows) {
  let line = 0;
  let start = 0;
  let hit = lines.indexOf(wanted);
  while (hit >= 0) {
    let end = lines.indexOf("\n", start);
    while (end >= 0 && end < hit) {
      line += 1;
      start = end + 1;
      end = lines.indexOf("\n", start);
    }
    rows.push(first + line);
    if (end < 0) return;
    line += 1;
    start = end + 1;
    hit = lines.indexOf(wanted, start);
  }
}
