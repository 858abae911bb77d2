// The API reference: Swagger UI over our own /openapi.json, with the playground's key and theme.

import { apiKey } from "../playground/key.js";
import { readTheme } from "../playground/theme.js";

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  const theme = readTheme();
  document.documentElement.classList.toggle("dark-mode", theme === "dark" || (theme === "system" && prefersDark.matches));
}

showTheme();
prefersDark.addEventListener("change", showTheme);
const page = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  // It would show the schema to another host.
  validatorUrl: null,
  onComplete() {
    if (apiKey.read()) page.preauthorizeApiKey("HTTPBearer", apiKey.read());
    performance.mark("danqing-interactive");
  },
});
