// Words of the prompt that the checkpoint does not know, said before the picture is paid for.

import { MODEL_ID } from "./fields.js";

const PAUSE_MILLISECONDS = 600;

export function connectWords({ isWanted, estimate }) {
  const said = document.getElementById("prompt-words");
  let asked = "";
  let timer = null;

  // After a pause in typing; what fails stays unsaid, as the request itself will say it.
  function check(prompt) {
    if (prompt === asked) return;
    asked = prompt;
    clearTimeout(timer);
    if (!prompt || !isWanted()) return show("");
    timer = setTimeout(async () => {
      const { warnings } = await estimate({ model: MODEL_ID, prompt }).catch(() => ({ warnings: [] }));
      if (prompt === asked) show(warnings.join(" "));
    }, PAUSE_MILLISECONDS);
  }
  function show(text) {
    said.textContent = text;
  }
  return { check };
}
