// Where the engine stands, in the page's head: polled until it is ready.

import { MINI_NOTE } from "./mini.js";

const POLL_MILLISECONDS = 2000;

const element = (id) => document.getElementById(id);

let watching = false;

// One loop at a time.
export async function watchEngine(api) {
  if (watching) return;
  watching = true;
  while (true) {
    try {
      const name = await api.engine();
      watching = false;
      showEngine("ready", name);
      element("engine-note").hidden = !/^mini\b/.test(name);
      element("engine-note").textContent = MINI_NOTE;
      return;
    } catch (failure) {
      if (failure.code === "unreachable") showEngine("away", "The server cannot be reached");
      else showEngine("starting", "The engine is starting");
    }
    await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
  }
}

function showEngine(state, name) {
  element("engine").dataset.state = state;
  element("engine-name").textContent = element("engine").title = name;
}
