// What the page holds: figures, and for each side an index and chunks of conversations that are inflated when looked at.

const page = JSON.parse(byId("data").textContent);
/** Chunks that are kept inflated. */
const KEPT_CHUNKS = 6;
/** Milliseconds that unpacking may take before the page gets to do something else. */
const SLICE = 12;

function decoded(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The parts of an element, packed; it is gone then: the text of a large page is not held twice. */
function taken(element) {
  const parts = element.textContent.split(".").map(decoded);
  element.remove();
  return parts;
}

/** The text of a packed part. Workers have this function as well. */
function inflated(packed) {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  writer.write(packed);
  writer.close();
  return new Response(stream.readable).text();
}

/** The conversations of one side. */
class Side {
  constructor(number) {
    this.number = number;
    this.index = null;
    this.chunks = [];
    this.starts = [0];
    this.waiting = new Map();
    this.kept = new Map();
    this.rowOf = null;
  }

  async open(packed) {
    this.index = JSON.parse(await inflated(packed));
    for (const size of this.index.chunks) this.starts.push(this.starts.at(-1) + size);
    this.size = this.index.ids.length;
  }

  /** Takes the next chunk, which `worker` holds. */
  add(worker) {
    const number = this.chunks.push(worker) - 1;
    this.waiting.get(number)?.(worker);
    this.waiting.delete(number);
  }

  /** The row of the conversation with an id; -1 where there is none. */
  row(id) {
    this.rowOf ??= new Map(this.index.ids.map((id, row) => [id, row]));
    return this.rowOf.get(id) ?? -1;
  }

  chunkOf(row) {
    let [low, high] = [0, this.starts.length - 2];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The lines of a chunk: those that are searched, and those with the rest. */
  lines(number) {
    const lines = this.kept.get(number) ?? this.ask(number);
    this.kept.delete(number);
    this.kept.set(number, lines);
    if (this.kept.size > KEPT_CHUNKS) this.kept.delete(this.kept.keys().next().value);
    return lines;
  }

  async ask(number) {
    // A page that is still being read may not have come to it.
    const worker = this.chunks[number] ?? (await new Promise((found) => this.waiting.set(number, found)));
    return (await search.texts(worker, this.number, number)).map((text) => text.split("\n"));
  }

  /** The conversation in a row, whole. */
  async talk(row) {
    const chunk = this.chunkOf(row);
    const [searched, rests] = await this.lines(chunk);
    const at = row - this.starts[chunk];
    const [id, situation, topic, starter, names, texts] = JSON.parse(searched[at]);
    return { id, situation, topic, starter, names, texts, ...JSON.parse(rests[at]) };
  }
}

const sides = [];

/** Opens the index of every side. Chunks come in afterwards, also while the file is still being read. */
async function openSides() {
  for (const element of [...document.querySelectorAll("script.index")]) {
    const side = new Side(sides.length);
    sides.push(side);
    await side.open(taken(element)[0]);
  }
  takeChunks();
}

/** Takes the chunks that are there, a slice of time at a time, until all have come. */
function takeChunks() {
  const until = performance.now() + SLICE;
  for (;;) {
    const element = document.querySelector("script.chunk");
    // The last element of a file that is still being read may not be whole.
    if (!element || (document.readyState === "loading" && !element.nextElementSibling)) break;
    const side = sides[Number(element.dataset.side)];
    const number = side.chunks.length;
    side.add(search.add({ side: side.number, number, first: side.starts[number], parts: taken(element) }));
    if (performance.now() > until) break;
  }
  const done = document.readyState !== "loading" && !document.querySelector("script.chunk");
  if (done) search.complete();
  else setTimeout(takeChunks, document.querySelector("script.chunk") ? 0 : 30);
}

/** Looks for texts in workers, which hold the chunks as they are and inflate them to look, or to show them. */
const search = {
  workers: [],
  asked: new Map(),
  next: 0,
  job: null,
  ended: false,

  start() {
    const url = URL.createObjectURL(new Blob([`${inflated}\n${byId("worker").textContent}`], { type: "text/javascript" }));
    const most = Math.min(4, Math.max(1, navigator.hardwareConcurrency ?? 1));
    for (let at = 0; at < most; at++) {
      const worker = new Worker(url);
      worker.onmessage = (event) => this.heard(event.data);
      this.workers.push(worker);
    }
  },

  /** Hands a chunk to a worker, which is returned. */
  add(chunk) {
    if (this.workers.length === 0) this.start();
    const worker = this.workers[this.next++ % this.workers.length];
    worker.postMessage({ add: chunk }, chunk.parts.map((part) => part.buffer));
    // A search that is under way looks at what came later as well.
    if (this.job) this.job.stale = true;
    return worker;
  },

  /** What the parts of a chunk say. */
  texts(worker, side, number) {
    return new Promise((told) => {
      this.asked.set(`${side} ${number}`, told);
      worker.postMessage({ show: { side, number } });
    });
  },

  complete() {
    this.ended = true;
    if (this.job?.stale) this.find(this.job.side, this.job.text, this.job.found);
  },

  /** Calls `found(rows, isAll)` as rows of `side` come in that hold `text`. */
  find(side, text, found) {
    const job = { id: (this.job?.id ?? 0) + 1, side, text, found, rows: [], left: this.workers.length, stale: !this.ended };
    this.job = job;
    for (const worker of this.workers) worker.postMessage({ find: { id: job.id, side, text } });
    if (this.workers.length === 0) found([], true);
  },

  stop() {
    if (this.job) this.job = { id: this.job.id + 1 };
    for (const worker of this.workers) worker.postMessage({ find: null });
  },

  heard({ shown, texts, id, rows, done }) {
    if (shown) {
      this.asked.get(shown)(texts);
      this.asked.delete(shown);
      return;
    }
    const job = this.job;
    if (job?.id !== id) return;
    job.rows.push(...rows);
    if (done) job.left -= 1;
    if (rows.length > 0 || job.left === 0) job.found(job.rows, job.left === 0 && this.ended);
  },
};
