// The user's request as a program to copy.

import { urlOf } from "./api.js";
import { AUTO, requestBody, sizeOf } from "./fields.js";

export const LANGUAGES = [
  { name: "python", label: "Python", write: python },
  { name: "javascript", label: "JavaScript", write: javascript },
  { name: "openai", label: "OpenAI SDK", write: openai },
  { name: "curl", label: "curl", write: curl },
];

const OPENAI_NAMES = ["model", "prompt", "n", "size", "output_format", "output_compression"];

function literal(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "object") return `{${Object.entries(value).map(([name, part]) => `"${name}": ${literal(part)}`).join(", ")}}`;
  return JSON.stringify(value);
}

// The body of Python's loop when the response holds the bytes.
function written(bytes, seed, settings) {
  return `with open(f"{${seed}}.${settings.output_format}", "wb") as file:
        file.write(base64.b64decode(${bytes}))`;
}

function python(settings, key) {
  const fields = Object.entries(requestBody(settings)).map(([name, value]) => `        "${name}": ${literal(value)},`);
  return `${settings.sync_mode ? "import base64\n\n" : ""}import requests

response = requests.post(
    ${JSON.stringify(urlOf("v1/images/generations"))},
    headers={"Authorization": "Bearer ${key}"},
    json={
${fields.join("\n")}
    },
)
response.raise_for_status()
for image in response.json()["data"]:
    ${settings.sync_mode ? written('image["b64_json"]', `image['seed']`, settings) : 'print(image["url"])'}
`;
}

function javascript(settings, key) {
  const body = JSON.stringify(requestBody(settings), null, 2).replaceAll("\n", "\n  ");
  const keep = `await writeFile(\`\${image.seed}.${settings.output_format}\`, Buffer.from(image.b64_json, "base64"))`;
  return `${settings.sync_mode ? 'import { writeFile } from "node:fs/promises";\n\n' : ""}const response = await fetch(${JSON.stringify(urlOf("v1/images/generations"))}, {
  method: "POST",
  headers: { Authorization: "Bearer ${key}", "Content-Type": "application/json" },
  body: JSON.stringify(${body}),
});
const result = await response.json();
if (!response.ok) throw new Error(result.error.message);
for (const image of result.data) ${settings.sync_mode ? keep : "console.log(image.url)"};
`;
}

function openai(settings, key) {
  const { num_images: n, image_size: _, size: __, ...body } = requestBody(settings);
  const size = sizeOf(settings);
  const all = { ...body, ...(n && { n }), size: size ? `${size.width}x${size.height}` : AUTO };
  const known = Object.entries(all).filter(([name]) => OPENAI_NAMES.includes(name));
  const extra = Object.entries(all).filter(([name]) => !OPENAI_NAMES.includes(name));
  const lines = known.map(([name, value]) => `    ${name}=${literal(value)},`);
  if (extra.length) lines.push(`    extra_body=${literal(Object.fromEntries(extra))},`);
  return `${settings.sync_mode ? "import base64\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(urlOf("v1"))}, api_key="${key}")
result = client.images.generate(
${lines.join("\n")}
)
for image in result.data:
    ${settings.sync_mode ? written("image.b64_json", "image.seed", settings) : "print(image.url)"}
`;
}

function curl(settings, key) {
  const body = JSON.stringify(requestBody(settings), null, 2).replaceAll("'", "'\\''");
  return `curl ${urlOf("v1/images/generations")} \\
  -H 'Authorization: Bearer ${key}' \\
  -H 'Content-Type: application/json' \\
  -d '${body}'
`;
}
