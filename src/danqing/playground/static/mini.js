// The bundled checkpoint in a sentence, and prompts that it can draw. A test compares both with its world.

export const MINI_NOTE = "This is mini, a small checkpoint for trying things out. It was trained on drawings of about 200 things in 16 places and is not the 80 B HunyuanImage-3.0.";

const IDEAS = [
  "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses.",
  "Three penguins in the snow",
  "A watercolour of a fox in a forest in autumn",
  'A sign that says "OPEN" in a meadow',
  "Pixel art of a robot on a street in the rain",
  "A rocket in space",
  "一只猫在沙滩上",
];

export function showIdeas({ onChoose }) {
  const items = IDEAS.map((idea) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: idea });
    button.addEventListener("click", () => onChoose(idea));
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  document.getElementById("ideas").replaceChildren(...items);
}
