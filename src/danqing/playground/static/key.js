// A key: taken from the address, kept in this browser, changed in a dialog. No log and no history holds it.

const FORM = /^[0-9a-f]{32}$/;

export class KeptKey {
  #name;
  #kind;
  #harm;

  constructor({ name, kind, harm }) {
    this.#name = name;
    this.#kind = kind;
    this.#harm = harm;
  }

  read = () => localStorage.getItem(this.#name) ?? "";

  // The server's first start prints a link with `/#key=…`. Anyone can make one: with another's key in place, that person
  // could read what is drawn from here on. So a link replaces no key unless the user agrees. True if it brought one.
  takeFromAddress() {
    const key = new URLSearchParams(location.hash.slice(1)).get("key")?.toLowerCase();
    if (key === undefined) return false;
    history.replaceState(null, "", location.pathname + location.search);
    if (!FORM.test(key) || key === this.read()) return false;
    if (this.read() && !confirm(this.#replacement(key))) return false;
    localStorage.setItem(this.#name, key);
    return true;
  }

  #replacement(key) {
    return `This link brings another ${this.#kind}, ${key.slice(0, 8)}…. Use it in place of yours, ${this.read().slice(0, 8)}…?\n\n${this.#harm} Cancel keeps your key.`;
  }

  connectDialog({ onChange }) {
    const dialog = document.getElementById("key-dialog");
    const input = document.getElementById("key");
    const problem = document.getElementById("key-problem");
    const opener = document.getElementById("open-key");
    const show = () => opener.classList.toggle("wanted", !this.read());

    const complain = (message) => {
      problem.textContent = message;
      input.setAttribute("aria-invalid", String(Boolean(message)));
    };
    const open = () => {
      input.value = this.read();
      complain("");
      dialog.showModal();
      input.select();
    };
    const store = (key) => {
      if (key) localStorage.setItem(this.#name, key);
      else localStorage.removeItem(this.#name);
      dialog.close();
      show();
      onChange();
    };
    opener.addEventListener("click", open);
    document.getElementById("forget-key").addEventListener("click", () => store(""));
    document.getElementById("key-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const key = input.value.trim().toLowerCase();
      if (FORM.test(key)) store(key);
      else complain("A key has 32 characters, the digits 0 to 9 and the letters a to f.");
    });
    window.addEventListener("hashchange", () => {
      if (!this.takeFromAddress()) return;
      show();
      onChange();
    });
    show();
    return { open };
  }
}

export const apiKey = new KeptKey({ name: "danqing.key", kind: "API key", harm: "Whoever has that key can see what you draw with it." });
export const managementKey = new KeptKey({ name: "danqing.management-key", kind: "management key", harm: "You would see and change another account." });

export function masked(key) {
  return key ? `${key.slice(0, 8)}${"•".repeat(24)}` : "YOUR_KEY";
}
