// Opens a report page in Chromium at two widths, on paper, light and dark, and fails on what a
// reader would stumble over.
//
//   node page.mjs PAGE.html [FOLDER for screenshots]      FOLDER/figures gets one of each figure
//
// CHROMIUM names the browser's program where it is not /usr/bin/chromium.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [page_path, folder] = process.argv.slice(2);
if (!page_path) {
  console.error("wanted: PAGE.html [FOLDER for screenshots]");
  process.exit(2);
}
if (folder) mkdirSync(folder, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const problems = [];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
for (const colorScheme of ["light", "dark"]) {
  for (const width of [400, 1200]) {
    await visit({ name: `${colorScheme}-${width}`, colorScheme, width, height: 900, media: "screen" });
  }
}
// A4 without its margins, at 96 dots an inch.
await visit({ name: "print", colorScheme: "light", width: 718, height: 1000, media: "print" });
await visit({ name: "print-dark", colorScheme: "dark", width: 718, height: 1000, media: "print" });
await browser.close();

for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "the page is as it should be" : `${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);

async function visit({ name, colorScheme, width, height, media }) {
  // The page's own policy forbids scripts from elsewhere, axe-core among them.
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, bypassCSP: true });
  const page = await context.newPage();
  const found = (what) => problems.push(`${name}: ${what}`);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => found(`script: ${error.message}`));
  page.on("request", (request) => {
    if (!/^(file|data):/.test(request.url())) found(`asks the network for ${request.url()}`);
  });
  await page.emulateMedia({ media, colorScheme });
  await page.goto(pathToFileURL(resolve(page_path)).href);

  if (media === "print") await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await look(page, found, name);
  if (folder && name === "light-1200") await figures(page);
  // Then with everything unfolded, as a reader may have it.
  if (media === "screen") {
    await page.evaluate(() => {
      for (const details of document.querySelectorAll("details")) details.open = true;
    });
    await look(page, found, `${name}-unfolded`);
    await keyboard(page, found);
  } else if (folder) {
    await page.pdf({ path: join(folder, `${name}.pdf`), format: "A4" });
  }
  await context.close();
}

// Each figure that is not folded away as a picture of its own.
async function figures(page) {
  const into = join(folder, "figures");
  mkdirSync(into, { recursive: true });
  for (const figure of await page.$$("figure[id]")) {
    const path = join(into, `${await figure.getAttribute("id")}.png`);
    if (await figure.isVisible()) await figure.screenshot({ path });
  }
}

async function look(page, found, name) {
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  const seen = await page.evaluate(() => {
    const root = document.documentElement;
    const folded = (element) => element.closest("details:not([open])") !== null;
    const figures = [...document.querySelectorAll("figure")].filter((figure) => !folded(figure));
    const drawings = figures.flatMap((figure) => [...figure.querySelectorAll("[role=img], img")]);
    const box = (element) => element.getBoundingClientRect();
    const label = (element) => element.getAttribute("aria-label") ?? element.alt ?? element.id;
    const is_small = (element) => box(element).width < 40 || box(element).height < 40;
    const is_out = (element) => box(element).left < -1 || box(element).right > root.clientWidth + 1;
    // Letters of a drawing that lie outside of it, or on each other.
    const texts = drawings.flatMap((drawing) => {
      const all = [...drawing.querySelectorAll("text")].map((text) => [text.textContent, box(text)]);
      const out = all.filter(([, b]) => b.left < -1 || b.right > root.clientWidth + 1);
      const pairs = all.flatMap(([one, a], index) =>
        all.slice(index + 1).filter(([, b]) =>
          Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
          && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4).map(([other]) => `${one} | ${other}`));
      return [...out.map(([text]) => `clipped: ${text}`), ...pairs.map((pair) => `overlap: ${pair}`)]
        .map((what) => `${what} in ${label(drawing)?.slice(0, 60)}`);
    });
    return {
      figures: figures.length,
      drawings: drawings.length,
      overflow: root.scrollWidth - root.clientWidth,
      small: [...figures, ...drawings].filter(is_small).map(label),
      out: [...figures, ...drawings].filter(is_out).map(label),
      silent: drawings.filter((drawing) => !label(drawing)).map((drawing) => drawing.outerHTML.slice(0, 80)),
      pale: [...document.images].filter((image) => !folded(image) && image.naturalWidth === 0).map(label),
      texts,
    };
  });
  if (seen.figures === 0) found("no figures");
  if (seen.overflow > 0) found(`wider than the window by ${seen.overflow} px`);
  for (const what of seen.small) found(`invisible: ${what}`);
  for (const what of seen.out) found(`reaches out of the window: ${what}`);
  for (const what of seen.silent) found(`without a text alternative: ${what}`);
  for (const what of seen.pale) found(`picture does not load: ${what}`);
  for (const what of seen.texts) found(what);

  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  for (const { id, impact, help, nodes } of serious) {
    found(`axe: ${impact}: ${id}: ${help}, ${nodes.length} times, first ${nodes[0].html.slice(0, 160)}`);
  }
  const lesser = violations.filter((violation) => !serious.includes(violation)).map(({ id }) => id);
  console.log(
    `${name}: ${seen.figures} figures, ${seen.drawings} drawings; axe: ${serious.length} serious, ` +
      `${lesser.length} lesser ${lesser.join(" ")}`,
  );
}

// The first stops of the Tab key show where they are.
async function keyboard(page, found) {
  await page.evaluate(() => { scrollTo(0, 0); document.activeElement.blur(); });
  for (let stop = 0; stop < 8; stop++) {
    await page.keyboard.press("Tab");
    const is_shown = await page.evaluate(() => {
      const element = document.activeElement;
      const box = element.getBoundingClientRect();
      return element !== document.body && box.width > 0 && getComputedStyle(element).outlineStyle !== "none";
    });
    if (!is_shown) found(`stop ${stop + 1} of the Tab key is not shown`);
  }
}
