// The strip of earlier drawings under the picture.

const element = (id) => document.getElementById(id);

let urls = [];

export function showStrip(drawings, { currentId, onChoose }) {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
  element("history").hidden = drawings.length === 0;
  element("strip").replaceChildren(
    ...drawings.map((drawing) => {
      const url = URL.createObjectURL(drawing.thumbnail);
      urls.push(url);
      const button = Object.assign(document.createElement("button"), { type: "button", title: drawing.settings.prompt });
      button.setAttribute("aria-label", `${drawing.settings.prompt}, seed ${drawing.settings.seed}`);
      button.setAttribute("aria-current", String(drawing.id === currentId));
      button.append(Object.assign(document.createElement("img"), { src: url, alt: "" }));
      if (drawing.images.length > 1) button.append(Object.assign(document.createElement("span"), { className: "count", textContent: drawing.images.length }));
      button.addEventListener("click", () => onChoose(drawing));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}
