// The dialog that shows the user's request as a program.

import { copy } from "./copy.js";
import { apiKey, masked } from "./key.js";
import { LANGUAGES } from "./snippets.js";

const NAME = "danqing.language";
const element = (id) => document.getElementById(id);

export function connectCode() {
  const dialog = element("code-dialog");
  let settings = null;
  let language = LANGUAGES.find(({ name }) => name === localStorage.getItem(NAME)) ?? LANGUAGES[0];

  const tabs = LANGUAGES.map((each) => {
    const tab = Object.assign(document.createElement("button"), { type: "button", id: `tab-${each.name}`, textContent: each.label });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "code");
    tab.addEventListener("click", () => choose(each));
    return tab;
  });
  element("code-tabs").append(...tabs);
  element("code-tabs").addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    const next = (LANGUAGES.indexOf(language) + move + LANGUAGES.length) % LANGUAGES.length;
    choose(LANGUAGES[next]);
    tabs[next].focus();
  });
  element("copy-code").addEventListener("click", async () => {
    const copied = await copy(language.write(settings, apiKey.read() || "YOUR_KEY"), dialog);
    element("code-hint").textContent = copied ? "Copied, with your key in it." : "Your browser does not let the page copy; select the text.";
  });

  function choose(chosen) {
    language = chosen;
    localStorage.setItem(NAME, chosen.name);
    tabs.forEach((tab, index) => {
      const selected = LANGUAGES[index] === chosen;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
    });
    element("code").setAttribute("aria-labelledby", `tab-${chosen.name}`);
    element("code").textContent = chosen.write(settings, masked(apiKey.read()));
    element("code-hint").textContent = apiKey.read() ? "Your key is hidden here and put in when you copy." : "";
  }
  return {
    open(ofSettings) {
      settings = ofSettings;
      choose(language);
      dialog.showModal();
    },
  };
}
