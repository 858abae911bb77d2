// The money: credits that came and went, with the balance after each, and the same as a CSV file.

import { inCredits } from "../playground/wording.js";
import { build, button, creditsInUsd, inUsd, plural, table, timeElement } from "./build.js";

const PAGE_ROWS = 50;
const DIRECTIONS = { "": "all", TOPUP: "came in", CHARGE: "went out" };
const TYPES = { ADJUSTMENT: "Grant", MODEL_USAGE: "Pictures" };
const COLUMNS = [
  { name: "time", label: "Time" },
  { name: "type", label: "For" },
  { name: "reference", label: "Request" },
  { name: "amount", label: "Amount", numeric: true },
  { name: "balance", label: "Balance", numeric: true },
];
const CSV_COLUMNS = ["created_at", "direction", "type", "credits", "usd", "balance_credits", "balance_usd", "model", "reference_id"];

let filters = { direction: "", from: "", to: "" };

export async function showMoney(page) {
  const { admin, content } = page;
  const [balance, first] = await Promise.all([admin.balance(), admin.transactions({ ...queryOf(filters), limit: PAGE_ROWS })]);
  let shown = first.data;
  const list = build("div");
  const more = button("Older", older);

  function showRows({ pagination }) {
    list.replaceChildren(table({ caption: "Transactions", columns: COLUMNS, rows: shown.map(rowOf), empty: "Nothing came or went in this time.", list: true }));
    more.hidden = !pagination.has_more;
    more.dataset.cursor = pagination.next_cursor ?? "";
  }
  async function older() {
    try {
      const next = await admin.transactions({ ...queryOf(filters), limit: PAGE_ROWS, cursor: more.dataset.cursor });
      shown = [...shown, ...next.data];
      showRows(next);
      page.announce(`${shown.length} transactions`);
    } catch (failure) {
      page.complain(failure);
    }
  }
  showRows(first);
  page.setHint(`${creditsInUsd(balance.balance)} · ${inCredits(balance.balance)} left`);
  content.append(tools(page), list, build("div", { className: "pager" }, more));
}

function rowOf({ created_at: at, direction, type, amount, balance_after: balance, reference_id: id }) {
  const sign = direction === "TOPUP" ? "+" : "−";
  return {
    time: timeElement(at),
    type: TYPES[type] ?? type,
    reference: id ? build("a", { href: `#logs/${id}` }, build("code", {}, id)) : null,
    amount: build("span", { className: direction === "TOPUP" ? "came" : "", title: inCredits(amount.credits) }, `${sign}${inUsd(amount.usd)}`),
    balance: build("span", { title: inCredits(balance.credits) }, inUsd(balance.usd)),
  };
}

function queryOf({ direction, from, to }) {
  const day = (value, addDays) => {
    if (!value) return null;
    const date = new Date(`${value}T00:00:00`);
    date.setDate(date.getDate() + addDays);
    return date.toISOString();
  };
  return { direction, from: day(from, 0), to: day(to, 1) };
}

function tools(page) {
  const date = (name, label) => build("label", {}, label, build("input", { type: "date", name, value: filters[name] }));
  const direction = build("select", { name: "direction" }, Object.entries(DIRECTIONS).map(([value, text]) => build("option", { value, selected: value === filters.direction }, text)));
  const form = build("form", { className: "filters", "aria-label": "Filters", noValidate: true }, build("label", {}, "Credits", direction), date("from", "From"), date("to", "To, included"), button("Export as CSV", (event) => exportCsv(page, event.target)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", async (event) => {
    filters = Object.fromEntries(new FormData(form));
    await page.reload();
    document.querySelector(`.filters [name="${event.target.name}"]`)?.focus();
  });
  return form;
}

// The whole of what the filters choose, not the rows on the page alone.
async function exportCsv(page, pressed) {
  pressed.disabled = true;
  try {
    const lines = [CSV_COLUMNS];
    for await (const row of page.admin.allTransactions(queryOf(filters))) {
      const { amount, balance_after: balance } = row;
      lines.push([row.created_at, row.direction, row.type, amount.credits, amount.usd, balance.credits, balance.usd, row.model ?? "", row.reference_id ?? ""]);
    }
    const url = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join(",")).join("\r\n"), "\r\n"], { type: "text/csv" }));
    build("a", { href: url, download: "danqing-transactions.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    page.announce(`${plural(lines.length - 1, "transaction")} exported.`);
  } catch (failure) {
    page.complain(failure);
  } finally {
    pressed.disabled = false;
  }
}

function quoted(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
