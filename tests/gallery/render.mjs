// Blocks → HTML: reads pictures.json ({"pictures": [{name, kind, title, blocks}]}), writes page.html.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import blocksToJsx from "slack-blocks-to-jsx";

const Message = blocksToJsx.Message ?? blocksToJsx;
const LOGO =
  "data:image/svg+xml," +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36"><rect width="36" height="36" rx="6" fill="#1d4ed8"/>' +
      '<path d="M11 10v16M11 18h14M25 10v16" stroke="#fff" stroke-width="4" fill="none"/></svg>',
  );
const FONTS = ["lato/400.css", "lato/700.css", "lato/400-italic.css"]
  .map((path) => `<link rel="stylesheet" href="node_modules/@fontsource/${path}">`)
  .join("");
const CSS = `
  body, .picture * { font-family: Lato, "Noto Color Emoji", "DejaVu Sans", sans-serif; }
  .picture code, .picture pre, .slack_inline_code { font-family: "DejaVu Sans Mono", monospace !important; }
  body { margin: 0; background: #fff; }
  .picture { width: 640px; padding: 14px 18px; box-sizing: border-box; background: #fff; }
  .modal { border: 1px solid #ddd; border-radius: 10px; padding: 0; }
  .modal h2 { margin: 0; padding: 14px 20px; border-bottom: 1px solid #ddd; font-size: 18px; }
  .modal .inside { padding: 8px 20px; }
  .modal .slack_blocks_to_jsx--header, .modal section > div:first-child { display: none; }
  .slack_blocks_to_jsx__rich_text span, .slack_blocks_to_jsx__rich_text p { white-space: pre-wrap; overflow-wrap: anywhere; }
  .slack_blocks_to_jsx__rich_text .slack_inline_code { white-space: pre-wrap; }
  .slack_blocks_to_jsx__rich_text_section_element { display: block; }
  .slack_blocks_to_jsx__rich_text_quote_element { margin: 4px 0; }
`;

const require = createRequire(import.meta.url);
const style = readFileSync(require.resolve("slack-blocks-to-jsx").replace(/index\.m?js$/, "style.css"), "utf8");
const { pictures } = JSON.parse(readFileSync("pictures.json", "utf8"));
const drawn = pictures.map(({ name, kind, title, blocks }) => {
  const message = renderToStaticMarkup(createElement(Message, { blocks, logo: LOGO, name: "Holdpoint", time: new Date(Date.UTC(2026, 2, 10, 10, 0)) }));
  const inside = kind === "modal" ? `<h2>${title}</h2><div class="inside">${message}</div>` : message;
  return `<div class="picture ${kind}" id="${name}">${inside}</div>`;
});
writeFileSync("page.html", `<!doctype html><meta charset="utf-8">${FONTS}<style>${style}${CSS}</style>${drawn.join("\n")}`);
