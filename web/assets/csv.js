// Orders from a CSV file: each line becomes an order or an error that names the line.

const COLUMNS = ["order_id", "latitude", "longitude", "boxes", "ready_at", "due_from", "due_until"];
const TIMES = ["ready_at", "due_from", "due_until"];
const NUMBER = /^[+-]?\d+(\.\d+)?$/;
const TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Splits text by RFC 4180. Returns [{ line, cells }]; `line` is the first line of the row. */
function rows(text, separator) {
  const found = [];
  let cells = [""];
  let quoted = false;
  let line = 1;
  let first = 1;
  const finish = () => {
    if (cells.length > 1 || cells[0].trim()) found.push({ line: first, cells: cells.map((cell) => cell.trim()) });
    cells = [""];
    first = line;
  };
  for (let index = 0; index < text.length; index += 1) {
    const letter = text[index];
    if (letter === "\n") line += 1;
    if (quoted) {
      if (letter !== '"') cells[cells.length - 1] += letter;
      else if (text[index + 1] === '"') cells[cells.length - 1] += text[++index];
      else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === separator) cells.push("");
    else if (letter === "\n") finish();
    else if (letter !== "\r") cells[cells.length - 1] += letter;
  }
  finish();
  return found;
}

function number(row, name, low, high) {
  const value = NUMBER.test(row[name]) ? Number(row[name]) : NaN;
  if (!(value >= low && value <= high)) throw new Error(`${name} must be a number from ${low} to ${high}`);
  return value;
}

/** Whether a text is a time of a day that exists: Date.parse takes 31 February as 3 March. */
function isTime(value) {
  if (!TIME.test(value) || Number.isNaN(Date.parse(value))) return false;
  const day = value.slice(0, 10);
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

function order(row) {
  const found = { latitude: number(row, "latitude", -90, 90), longitude: number(row, "longitude", -180, 180),
    boxes: number(row, "boxes", 1, 1000) };
  if (!Number.isInteger(found.boxes)) throw new Error("boxes must be a whole number");
  for (const name of TIMES) {
    if (!isTime(row[name])) {
      throw new Error(`${name} must be a time of a day that exists, with an offset, such as 2026-11-20T09:30:00+01:00`);
    }
    found[name] = new Date(row[name]).toISOString();
  }
  if (found.due_until < found.due_from) throw new Error("due_until is before due_from");
  if (Date.parse(found.due_until) <= Date.now()) throw new Error("due_until is in the past");
  if (row.order_id) found.order_id = row.order_id;
  return found;
}

/** Returns { orders: [{ line, order }], errors: [{ line, detail }] }. */
export function readOrders(text) {
  const clean = text.replace(/^\uFEFF/, "");
  const separator = clean.split("\n", 1)[0].includes(";") ? ";" : ",";
  const [header, ...lines] = rows(clean, separator);
  const names = header?.cells.map((name) => name.toLowerCase()) ?? [];
  const missing = COLUMNS.filter((name) => name !== "order_id" && !names.includes(name));
  if (missing.length) return { orders: [], errors: [{ line: 1, detail: `the first line must name these columns as well: ${missing.join(", ")}` }] };
  const orders = [];
  const errors = [];
  const lineOf = new Map(); // order id to its first line
  for (const { line, cells } of lines) {
    try {
      if (cells.length !== names.length) throw new Error(`has ${cells.length} values instead of ${names.length}`);
      const row = Object.fromEntries(names.map((name, index) => [name, cells[index]]));
      if (lineOf.has(row.order_id)) throw new Error(`order_id is the same as in line ${lineOf.get(row.order_id)}`);
      if (row.order_id) lineOf.set(row.order_id, line);
      orders.push({ line, order: order(row) });
    } catch (error) {
      errors.push({ line, detail: error.message });
    }
  }
  return { orders, errors };
}
