// The console: chooses the view that the address names, and shows what goes wrong.

import { Failure } from "../playground/api.js";
import { managementKey } from "../playground/key.js";
import { hideNotice, showNotice } from "../playground/notice.js";
import { connectTheme } from "../playground/theme.js";
import { createAdmin } from "./admin.js";
import { connectDialog } from "./dialog.js";
import { showKeys } from "./keys.js";
import { showLogs } from "./logs.js";
import { showMoney } from "./money.js";
import { showOverview } from "./overview.js";
import { showRequest } from "./request.js";

const VIEWS = {
  overview: { title: "Overview", show: showOverview },
  keys: { title: "Keys", show: showKeys },
  logs: { title: "Logs", show: showLogs },
  money: { title: "Money", show: showMoney },
};
const REQUEST = { title: "Request", show: showRequest };
const FIRST = "overview";

const element = (id) => document.getElementById(id);

managementKey.takeFromAddress();
connectTheme();
const admin = createAdmin(managementKey.read);
const keyDialog = managementKey.connectDialog({ onChange: show });
const dialog = connectDialog({ onFailure: complain });

// The number of the newest `show`: a slow view must not overwrite the one chosen after it.
let newest = 0;

async function show() {
  const [name, id] = location.hash.slice(1).split("/");
  const known = name in VIEWS ? name : FIRST;
  const view = id ? REQUEST : VIEWS[known];
  const number = (newest += 1);
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === `#${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${view.title} · Danqing console`;
  element("view-title").textContent = view.title;
  element("view-hint").textContent = "";
  hideNotice();
  if (!managementKey.read()) {
    element("content").replaceChildren();
    return needKey({ title: "The console needs a management key.", text: "Make one on the server: danqing keys create --name console --management" });
  }
  const content = document.createElement("div");
  const page = { admin, dialog, content, id, reload: show, complain, announce, setHint: (text) => (element("view-hint").textContent = text) };
  element("view").setAttribute("aria-busy", "true");
  try {
    await view.show(page);
    if (number === newest) element("content").replaceChildren(content);
  } catch (failure) {
    if (number === newest) complain(failure);
  } finally {
    if (number === newest) element("view").setAttribute("aria-busy", "false");
  }
}

function complain(failure) {
  if (!(failure instanceof Failure)) throw failure;
  if (failure.code === "invalid_api_key") return needKey({ title: "This key was not accepted.", text: "It may have been deleted or disabled, or a letter is missing." });
  if (failure.code === "missing_scope") return needKey({ title: "This is no management key.", text: "API keys draw and cannot administer. Make a management key: danqing keys create --name console --management" });
  const words = { unreachable: "The server cannot be reached.", rate_limit_exceeded: "That was a little fast.", not_found: "There is no such thing any more." };
  const again = failure.code === "not_found" ? [] : [["Try again", show]];
  showNotice({ title: words[failure.code] ?? "The server refused this.", text: failure.code === "unreachable" ? "Is it still running?" : failure.message, actions: again });
}

function needKey(words) {
  showNotice({ ...words, actions: [["Enter a management key", keyDialog.open]] });
}

function announce(text) {
  element("announcer").textContent = text;
}

for (const closer of document.querySelectorAll("[data-close]")) closer.addEventListener("click", () => closer.closest("dialog").close());
window.addEventListener("hashchange", async () => {
  await show();
  element("view").focus({ preventScroll: true });
  scrollTo(0, 0);
});
await show();
performance.mark("danqing-interactive");
