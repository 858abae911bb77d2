// The keys of the account: a list, and dialogs to create, change and delete one.

import { copy } from "../playground/copy.js";
import { build, button, inUsd, table, timeElement } from "./build.js";

const IMAGE_SCOPE = "model:image";
const OTHER_SCOPES = ["chat", "responses", "audio", "video", "embeddings", "speech", "ocr"].map((name) => `model:${name}`);
const RETENTIONS = { day: "a day", week: "a week", month: "a month", no_reset: "in all" };
const COLUMNS = [
  { name: "name", label: "Name" },
  { name: "kind", label: "May" },
  { name: "used", label: "Last use" },
  { name: "month", label: "This month", numeric: true },
  { name: "limit", label: "Limit" },
  { name: "actions", label: "Actions" },
];

export const titleOf = ({ name, prefix }) => name ?? prefix;

export async function showKeys(page) {
  const keys = await page.admin.keys();
  const rows = keys.map((key) => rowOf(key, page));
  page.content.append(
    build("div", { className: "tools" }, build("button", { type: "button", className: "primary", onclick: () => create(page) }, "Create a key"), build("p", { className: "hint" }, "Management keys are made on the server: danqing keys create --management")),
    table({ caption: "Keys", columns: COLUMNS, rows, empty: "There are no keys.", list: true }),
  );
}

function rowOf(key, page) {
  const state = key.disabled ? build("span", { className: "tag off" }, "disabled") : null;
  const act = (label, does) => button(label, does, { "aria-label": `${label} ${titleOf(key)}` });
  return {
    name: build("div", { className: "key-name" }, build("b", {}, titleOf(key)), build("code", {}, `${key.prefix}…`), state),
    kind: key.kind === "management" ? "administer" : abilities(key.scopes),
    used: timeElement(key.last_used_at),
    month: inUsd(key.monthly_usage),
    limit: limitOf(key),
    actions: build(
      "div",
      { className: "acts" },
      act("Change", () => change(key, page)),
      act(key.disabled ? "Enable" : "Disable", () => toggle(key, page)),
      act("Delete", () => remove(key, page)),
    ),
  };
}

function abilities(scopes) {
  const others = scopes.filter((scope) => scope !== IMAGE_SCOPE).map((scope) => scope.replace("model:", ""));
  return [scopes.includes(IMAGE_SCOPE) ? "draw" : "nothing here", ...(others.length ? [`(${others.join(", ")} elsewhere)`] : [])].join(" ");
}

function limitOf({ limit, limit_usage: used }) {
  if (!limit) return "none";
  const words = `${inUsd(used)} of ${inUsd(limit.threshold)} ${RETENTIONS[limit.retention]}`;
  const meter = build("meter", { min: 0, max: Math.max(limit.threshold, 1e-9), value: used, high: limit.threshold * 0.8, optimum: 0, "aria-label": words });
  return build("div", { className: "limit" }, build("span", {}, words), meter);
}

function fieldsOf(key) {
  const isManagement = key?.kind === "management";
  const scopes = key?.scopes ?? [IMAGE_SCOPE];
  const name = build("input", { id: "key-name", type: "text", maxLength: 200, value: key?.name ?? "", autocomplete: "off", placeholder: "What uses it" });
  const threshold = build("input", { id: "key-threshold", type: "number", min: 0, step: "any", inputMode: "decimal", value: key?.limit?.threshold ?? "", placeholder: "no limit", "aria-describedby": "limit-hint" });
  const retention = build("select", { id: "key-retention", "aria-label": "Counted" }, Object.entries(RETENTIONS).map(([value, text]) => build("option", { value, selected: value === (key?.limit?.retention ?? "month") }, text)));
  const scope = (value, label) => build("label", { className: "check" }, build("input", { type: "checkbox", name: "scope", value, checked: scopes.includes(value) }), label);
  const others = build("details", {}, build("summary", {}, "Scopes of the hosted platform"), build("p", { className: "hint" }, "They open nothing on this server, which only draws."), build("div", { className: "checks" }, OTHER_SCOPES.map((value) => scope(value, value))));
  const content = [
    build("div", { className: "field" }, build("label", { for: "key-name" }, "Name"), name),
    build("div", { className: "field" }, build("label", { for: "key-threshold" }, "At most, in US dollars"), build("div", { className: "inline" }, threshold, retention), build("p", { className: "hint", id: "limit-hint" }, "Empty: no limit. Days, weeks and months begin at midnight UTC.")),
    ...(isManagement ? [] : [scope(IMAGE_SCOPE, "May draw pictures (model:image)"), others]),
  ];
  return {
    content,
    read() {
      const limit = threshold.value === "" ? null : { retention: retention.value, threshold: threshold.valueAsNumber };
      const chosen = content.flatMap((part) => [...part.querySelectorAll("input[name=scope]:checked")]).map(({ value }) => value);
      return { name: name.value.trim() || null, limit, ...(isManagement ? {} : { scopes: chosen }) };
    },
  };
}

function create(page) {
  const fields = fieldsOf(null);
  page.dialog.open({
    title: "Create a key",
    content: fields.content,
    label: "Create",
    async does() {
      showSecret(await page.admin.createKey(fields.read()), page);
      await page.reload();
      return false;
    },
  });
}

function showSecret(key, { dialog }) {
  const said = build("p", { className: "hint", role: "status" });
  const secret = build("input", { id: "secret", type: "text", readOnly: true, value: key.key, onfocus: (event) => event.target.select() });
  const copyIt = async () => {
    said.textContent = (await copy(key.key, secret.closest("dialog"))) ? "Copied." : "Your browser does not let the page copy; select the text.";
  };
  dialog.open({
    title: `The key ${titleOf(key)}`,
    content: [build("p", {}, "Copy it now: it is shown only once, and the server keeps only a fingerprint of it."), build("div", { className: "field" }, build("label", { for: "secret" }, "Key"), build("div", { className: "inline" }, secret, button("Copy", copyIt))), said],
    label: "I have it",
    cancel: "",
  });
}

function change(key, page) {
  const fields = fieldsOf(key);
  page.dialog.open({
    title: `Change ${titleOf(key)}`,
    content: fields.content,
    label: "Save",
    async does() {
      await page.admin.changeKey(key.prefix, fields.read());
      await page.reload();
      page.announce(`${titleOf(key)} is changed.`);
    },
  });
}

async function toggle(key, page) {
  try {
    await page.admin.changeKey(key.prefix, { disabled: !key.disabled });
    await page.reload();
    page.announce(`${titleOf(key)} is ${key.disabled ? "enabled" : "disabled"}.`);
  } catch (failure) {
    page.complain(failure);
  }
}

function remove(key, page) {
  const typed = build("input", { id: "typed-name", type: "text", autocomplete: "off" });
  page.dialog.open({
    title: `Delete ${titleOf(key)}`,
    content: [build("p", {}, "It stops working at once and for good. Its requests stay in the logs."), build("div", { className: "field" }, build("label", { for: "typed-name" }, "Type ", build("b", {}, titleOf(key)), " to confirm"), typed)],
    label: "Delete",
    async does() {
      if (typed.value.trim() !== titleOf(key)) {
        page.dialog.complain(`That is not “${titleOf(key)}”.`);
        return false;
      }
      await page.admin.deleteKey(key.prefix);
      await page.reload();
      page.announce(`${titleOf(key)} is deleted.`);
    },
  });
}
