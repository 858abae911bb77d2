// The API key: taken from the address, kept in this browser, changed in a dialog. No log and no history holds it.

const NAME = "danqing.key";
const FORM = /^[0-9a-f]{32}$/i;

export const readKey = () => localStorage.getItem(NAME) ?? "";

// The server's first start prints a link with `/#key=…`.
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (FORM.test(key)) localStorage.setItem(NAME, key.toLowerCase());
}

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
