// The API key: taken from the address, kept in this browser, changed in a dialog. No log and no history holds it.

const NAME = "danqing.key";
const FORM = /^[0-9a-f]{32}$/;

export const readKey = () => localStorage.getItem(NAME) ?? "";

// The server's first start prints a link with `/#key=…`. Anyone can make one: with another's key in place, that person
// could read what is drawn from here on. So a link replaces no key unless the user agrees.
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key")?.toLowerCase();
  if (key === undefined) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (!FORM.test(key) || key === readKey()) return;
  if (readKey() && !confirm(replacement(key))) return;
  localStorage.setItem(NAME, key);
}

const replacement = (key) =>
  `This link brings another API key, ${key.slice(0, 8)}…. Use it in place of yours, ${readKey().slice(0, 8)}…?\n\nWhoever has that key can see what you draw with it. Cancel keeps your key.`;

export function masked(key) {
  return key ? `${key.slice(0, 8)}${"•".repeat(24)}` : "YOUR_KEY";
}

export function connectKeyDialog({ onChange }) {
  const dialog = document.getElementById("key-dialog");
  const input = document.getElementById("key");
  const problem = document.getElementById("key-problem");
  const opener = document.getElementById("open-key");
  const show = () => opener.classList.toggle("wanted", !readKey());

  function complain(message) {
    problem.textContent = message;
    input.setAttribute("aria-invalid", String(Boolean(message)));
  }
  function open() {
    input.value = readKey();
    complain("");
    dialog.showModal();
    input.select();
  }
  function store(key) {
    if (key) localStorage.setItem(NAME, key);
    else localStorage.removeItem(NAME);
    dialog.close();
    show();
    onChange();
  }
  opener.addEventListener("click", open);
  document.getElementById("forget-key").addEventListener("click", () => store(""));
  document.getElementById("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = input.value.trim().toLowerCase();
    if (FORM.test(key)) store(key);
    else complain("A key has 32 characters, the digits 0 to 9 and the letters a to f.");
  });
  window.addEventListener("hashchange", () => {
    takeKeyFromAddress();
    show();
    onChange();
  });
  show();
  return { open };
}
