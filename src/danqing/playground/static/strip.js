// The strip of earlier results under the picture.

const element = (id) => document.getElementById(id);

let urls = [];

export function showStrip(results, { currentId, onChoose }) {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  element("history").hidden = results.length === 0;
  element("strip").replaceChildren(
    ...results.map((result) => {
      const url = URL.createObjectURL(result.thumbnail);
      urls.push(url);
      const button = Object.assign(document.createElement("button"), { type: "button", title: result.settings.prompt });
      button.setAttribute("aria-label", `${result.settings.prompt}, seed ${result.settings.seed}`);
      button.setAttribute("aria-current", String(result.id === currentId));
      button.append(Object.assign(document.createElement("img"), { src: url, alt: "" }));
      if (result.images.length > 1) button.append(Object.assign(document.createElement("span"), { className: "count", textContent: result.images.length }));
      button.addEventListener("click", () => onChoose(result));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}
