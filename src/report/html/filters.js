// Which conversations are listed, and in which order.

/** Facets with more values than this are typed, not chosen. */
const MOST_CHOICES = 60;

/** What is asked of the list: a value by facet, a range by number, a text, an order. */
class Filter {
  constructor(side) {
    this.side = side;
    this.values = {};
    this.ranges = {};
    this.text = "";
    this.found = null;
    this.order = "";
  }

  /** The same as the query of an address. */
  toQuery() {
    const query = new URLSearchParams();
    for (const [facet, value] of Object.entries(this.values)) query.set(facet, value);
    for (const [name, [least, most]] of Object.entries(this.ranges)) query.set(name, `${least ?? ""}..${most ?? ""}`);
    if (this.text) query.set("q", this.text);
    if (this.order) query.set("order", this.order);
    return query.toString();
  }

  /** Reads the query of an address; what it does not know is left out. */
  static of(side, query) {
    const filter = new Filter(side);
    for (const [key, value] of new URLSearchParams(query)) {
      if (key === "q") filter.text = value;
      else if (key === "order") filter.order = value;
      else if (Object.hasOwn(side.index.facets, key)) filter.values[key] = value;
      else if (Object.hasOwn(side.index.numbers, key)) {
        const [least, most] = value.split("..").map((end) => (end ? Number(end) : null));
        filter.ranges[key] = [least, most ?? null];
      }
    }
    return filter;
  }

  /** The rows that are left, in order. */
  rows() {
    const { facets, numbers } = this.side.index;
    const tests = Object.entries(this.values).map(([facet, value]) => has(facets[facet], value));
    for (const [name, [least, most]] of Object.entries(this.ranges)) {
      const column = numbers[name];
      tests.push((row) => {
        const number = column[row] ?? null;
        return number !== null && (least === null || number >= least) && (most === null || number <= most);
      });
    }
    if (this.found) tests.push((row) => this.found.has(row));
    const rows = [];
    for (let row = 0; row < this.side.size; row++) if (tests.every((test) => test(row))) rows.push(row);
    return this.sorted(rows);
  }

  sorted(rows) {
    // "turned down down": a name, and which way.
    const space = this.order.lastIndexOf(" ");
    const column = this.side.index.numbers[this.order.slice(0, Math.max(0, space))];
    if (!column) return rows;
    const sign = this.order.slice(space + 1) === "up" ? 1 : -1;
    const at = (row) => column[row] ?? (sign > 0 ? Infinity : -Infinity);
    return rows.sort((one, other) => sign * (at(one) - at(other)) || one - other);
  }
}

/** A test of a row: whether it has a value of a facet. */
function has(facet, value) {
  const number = facet.values.indexOf(value);
  return (row) => {
    const entry = facet.rows[row] ?? -1;
    return number >= 0 && (entry === number || (Array.isArray(entry) && entry.includes(number)));
  };
}

/** How many rows have each value of a facet, the most frequent first. */
function valueCounts(facet) {
  const counts = facet.values.map(() => 0);
  for (const entry of facet.rows) {
    if (Array.isArray(entry)) for (const number of entry) counts[number] += 1;
    else if (entry >= 0) counts[entry] += 1;
  }
  return facet.values.map((value, at) => [value, counts[at]]).sort((one, other) => other[1] - one[1]);
}

/** The value of a facet in a row, if it has one. */
function valueOf(side, facet, row) {
  const entry = side.index.facets[facet]?.rows[row] ?? -1;
  const number = Array.isArray(entry) ? entry[0] : entry;
  return number >= 0 ? side.index.facets[facet].values[number] : "";
}
