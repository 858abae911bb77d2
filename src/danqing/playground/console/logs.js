// The logs: finished requests of all keys, with filters and pages. A row opens the request.

import { build, button, inUsd, plural, table, timeElement } from "./build.js";

const PAGE_ROWS = 25;
const PERIODS = { "24h": "24 hours", "7d": "7 days", "30d": "30 days", "92d": "92 days", custom: "from … to …" };
const STATUSES = { "": "all", succeeded: "succeeded", failed: "failed" };
const COLUMNS = [
  { name: "created", label: "Time" },
  { name: "status", label: "Outcome" },
  { name: "key", label: "Key" },
  { name: "origin", label: "From" },
  { name: "cost", label: "Cost", numeric: true },
  { name: "id", label: "Request" },
];

const NO_FILTERS = { period: "7d", start: "", end: "", key: "*", status: "", model: "", offset: 0 };
let filters = NO_FILTERS;

export async function showLogs(page) {
  const { admin, content } = page;
  const asked = { key_prefix: filters.key, status: filters.status, model: filters.model, limit: PAGE_ROWS, offset: filters.offset, ...windowOf(filters) };
  const [logs, keys, models] = await Promise.all([admin.logs(asked), admin.keys(), admin.models()]);
  const names = new Map(keys.map(({ prefix, name }) => [prefix, name ?? prefix]));
  const rows = logs.data.map((row) => ({
    created: timeElement(row.created),
    status: outcome(row),
    key: names.get(row.api_key_prefix) ?? `${row.api_key_prefix} (deleted)`,
    origin: row.origin,
    cost: inUsd(row.cost.usd),
    id: build("a", { href: `#logs/${row.inference_id}`, "aria-label": `Open request ${row.inference_id}` }, build("code", {}, row.inference_id)),
  }));
  content.append(form({ keys, models, page }), table({ caption: "Requests", columns: COLUMNS, rows, empty: "No request fits these filters.", list: true }), pager(logs.pagination, page));
  page.announce(plural(logs.pagination.total, "request"));
}

export function outcome({ status, error_code: code }) {
  return build("span", { className: `tag ${status}` }, code ?? status);
}

function windowOf({ period, start, end }) {
  if (period !== "custom") return { period };
  const moment = (value) => (value ? new Date(value).toISOString() : null);
  return { start: moment(start), end: moment(end) };
}

function form({ keys, models, page }) {
  const select = (name, label, options) => build("label", {}, label, build("select", { name }, Object.entries(options).map(([value, text]) => build("option", { value, selected: value === filters[name] }, text))));
  const moment = (name, label) => build("label", { className: "custom-only" }, label, build("input", { type: "datetime-local", name, value: filters[name] }));
  const keyOptions = { "*": "all", ...Object.fromEntries(keys.map(({ prefix, name }) => [prefix, name ? `${name} (${prefix})` : prefix])) };
  const fields = build(
    "form",
    { className: "filters", "aria-label": "Filters", noValidate: true },
    select("period", "Time", PERIODS),
    moment("start", "From"),
    moment("end", "To"),
    select("key", "Key", keyOptions),
    select("status", "Outcome", STATUSES),
    select("model", "Model", { "": "all", ...Object.fromEntries(models.map((id) => [id, id])) }),
    button("Clear", () => apply(NO_FILTERS, page)),
  );
  fields.dataset.period = filters.period;
  fields.addEventListener("submit", (event) => event.preventDefault());
  fields.addEventListener("change", (event) => {
    const values = Object.fromEntries(new FormData(fields));
    fields.dataset.period = values.period;
    const complete = values.period !== "custom" || (values.start && values.end);
    if (complete) apply({ ...values, offset: 0 }, page, event.target.name);
  });
  return fields;
}

async function apply(values, page, focused) {
  filters = { ...filters, ...values };
  await page.reload();
  if (focused) document.querySelector(`.filters [name="${focused}"]`)?.focus();
}

function pager({ offset, total, has_more: hasMore }, page) {
  const last = Math.min(offset + PAGE_ROWS, total);
  return build(
    "nav",
    { className: "pager", "aria-label": "Pages" },
    button("Newer", () => apply({ offset: Math.max(0, offset - PAGE_ROWS) }, page), { disabled: offset === 0 }),
    build("span", {}, total ? `${offset + 1}–${last} of ${total.toLocaleString("en-US")}` : "0 of 0"),
    button("Older", () => apply({ offset: offset + PAGE_ROWS }, page), { disabled: !hasMore }),
  );
}
