// The notice above the stage: errors, and a job's end by cancelling.

const element = (id) => document.getElementById(id);

export function hideNotice() {
  element("notice").hidden = true;
}

// `actions`: pairs of a label and a function.
export function showNotice({ title, text, calm = false, actions = [] }) {
  const notice = element("notice");
  const buttons = Object.assign(document.createElement("div"), { className: "does" });
  for (const [label, act] of actions) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: label });
    button.addEventListener("click", () => {
      hideNotice();
      act();
    });
    buttons.append(button);
  }
  const close = Object.assign(document.createElement("button"), { type: "button", className: "text", textContent: "Dismiss" });
  close.addEventListener("click", hideNotice);
  buttons.append(close);
  notice.classList.toggle("calm", calm);
  notice.replaceChildren(Object.assign(document.createElement("b"), { textContent: title }), Object.assign(document.createElement("p"), { textContent: text }), buttons);
  notice.hidden = false;
}
