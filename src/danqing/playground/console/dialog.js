// The one dialog of the console: a title, fields, and a button that does something and says why it could not.

import { Failure } from "../playground/api.js";
import { hideNotice } from "../playground/notice.js";

const element = (id) => document.getElementById(id);

export function connectDialog({ onFailure }) {
  const dialog = element("dialog");
  const problem = element("dialog-problem");
  let act = null;

  element("dialog-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.textContent = "";
    const does = act;
    element("dialog-submit").disabled = true;
    try {
      if ((await does()) !== false) dialog.close();
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      if (failure.code === "invalid_payload") problem.textContent = `${failure.message}.`;
      else {
        dialog.close();
        onFailure(failure);
      }
    } finally {
      element("dialog-submit").disabled = false;
    }
  });

  return {
    // `does`: called by the button; the dialog stays open where it returns false.
    open({ title, content, label, does = () => {}, cancel = "Cancel" }) {
      hideNotice();
      act = does;
      element("dialog-title").textContent = title;
      element("dialog-content").replaceChildren(...content);
      element("dialog-submit").textContent = label;
      element("dialog-cancel").textContent = cancel;
      element("dialog-cancel").hidden = !cancel;
      problem.textContent = "";
      dialog.showModal();
      dialog.querySelector("#dialog-content input, #dialog-content select")?.focus();
    },
    complain: (text) => (problem.textContent = text),
  };
}
