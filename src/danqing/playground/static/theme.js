// The theme: light, dark, or the system's.

const NAME = "danqing.theme";
const THEMES = ["system", "light", "dark"];

export const readTheme = () => localStorage.getItem(NAME) ?? "system";

export function connectTheme() {
  const button = document.getElementById("theme");
  const label = document.getElementById("theme-label");
  function show(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    label.textContent = `Theme: ${theme}`;
    button.title = label.textContent;
  }
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(readTheme()) + 1) % THEMES.length];
    localStorage.setItem(NAME, next);
    show(next);
  });
  show(readTheme());
}
