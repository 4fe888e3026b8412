"use strict";

// A cell as the readers know them is 60x34 pixels; it is sent larger, since they shrink it smoothly.
const CELL = { width: 60, height: 34, scale: 6 };
// Of a cell's height and width, how much the ink takes; of its height, how wide a stroke is.
const INK = { height: 0.6, width: 0.82, stroke: 0.07 };
// Drawn on the paper, in its own pixels.
const PEN = 9;

const paper = document.getElementById("paper");
const status = document.getElementById("status");
const answers = document.getElementById("answers");
const drop = document.getElementById("drop");
let strokes = []; // each a list of points {x, y} on the paper
let drawings = 0;

// ---- drawing

function draw(context, lines, width, place) {
  context.strokeStyle = context.fillStyle = "#222222";
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  for (const line of lines) {
    const [first, ...others] = line.map(place);
    context.beginPath();
    context.moveTo(first.x, first.y);
    // A point alone is a dot.
    for (const point of others.length ? others : [first]) context.lineTo(point.x, point.y);
    context.stroke();
  }
}

function onWhite(canvas) {
  const context = canvas.getContext("2d");
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return context;
}

function showPaper() {
  draw(onWhite(paper), strokes, PEN, (point) => point);
}

function pointOf(event) {
  const box = paper.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) * paper.width) / box.width,
    y: ((event.clientY - box.top) * paper.height) / box.height,
  };
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  strokes.push([pointOf(event)]);
  showPaper();
});

paper.addEventListener("pointermove", (event) => {
  if (!paper.hasPointerCapture(event.pointerId)) return;
  for (const part of event.getCoalescedEvents?.() ?? []) strokes.at(-1).push(pointOf(part));
  strokes.at(-1).push(pointOf(event));
  showPaper();
});

document.getElementById("undo").addEventListener("click", () => {
  strokes.pop();
  showPaper();
});

document.getElementById("clear").addEventListener("click", () => {
  strokes = [];
  showPaper();
});

document.getElementById("read").addEventListener("click", async () => {
  if (!strokes.length) return say("There is nothing on the paper: write a number first.", true);
  const cell = cellOf(strokes);
  const image = await new Promise((done) => cell.toBlob(done, "image/png"));
  drawings += 1;
  await ask(`Drawing ${drawings}`, image);
});

// The ink in the middle of a cell, as large as numbers are written, with a stroke of a pen's width.
function cellOf(lines) {
  const points = lines.flat();
  const [left, right] = [Math.min(...points.map((p) => p.x)), Math.max(...points.map((p) => p.x))];
  const [top, bottom] = [Math.min(...points.map((p) => p.y)), Math.max(...points.map((p) => p.y))];
  // The height of the cell on the paper; a dot or a dash is not made as large as a digit.
  const height = Math.max(
    (bottom - top) / INK.height,
    ((right - left) / INK.width / CELL.width) * CELL.height,
    paper.height / 2,
  );
  const canvas = document.createElement("canvas");
  canvas.width = CELL.width * CELL.scale;
  canvas.height = CELL.height * CELL.scale;
  const scale = canvas.height / height;
  draw(onWhite(canvas), lines, INK.stroke * canvas.height, (point) => ({
    x: (point.x - (left + right) / 2) * scale + canvas.width / 2,
    y: (point.y - (top + bottom) / 2) * scale + canvas.height / 2,
  }));
  return canvas;
}

// ---- images

async function askAll(files) {
  for (const file of files) await ask(file.name, file);
}

document.getElementById("files").addEventListener("change", async (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // the same file may be chosen again
  await askAll(files);
});

// Anywhere on the page: a file that misses would else take the page's place.
for (const kind of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("dropping", kind === "dragover");
    if (kind === "drop") askAll(event.dataTransfer.files);
  });
}

// ---- asking

async function ask(name, image) {
  say(`Reading ${name} …`);
  const card = element("article", { className: "card" }, [element("h2", {}, [name])]);
  try {
    const response = await fetch("read", { method: "POST", body: image });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    card.append(element("div", { className: "pair" }, answer.readers.map(panel)));
    say(`${name}: ${answer.readers.map(inWords).join("; ")}.`);
  } catch (error) {
    const why = error instanceof TypeError ? "it could not be sent; is the server stopped?" : error.message;
    card.append(element("p", { className: "wrong" }, [why]));
    say(`${name}: ${why}`, true);
  }
  answers.prepend(card);
  colour();
}

function say(text, wrong = false) {
  status.textContent = text;
  status.className = wrong ? "wrong" : "";
  status.scrollIntoView({ block: "nearest" });
}

function inWords(answer) {
  return `${answer.name} reads ${answer.text || "nothing"} with ${percent(answer.confidence)}`;
}

// ---- an answer

function panel(answer) {
  return element("div", {}, [
    element("h3", {}, [answer.name]),
    element("p", { className: "reading" }, [answer.text || "(empty)"]),
    element("p", { className: "sure" }, [`confidence ${percent(answer.confidence)}`]),
    ...(answer.text ? [element("h4", {}, ["Each character by itself"]), characters(answer)] : []),
    ...best(answer),
    ...(answer.layout === "columns" ? columns(answer) : slots(answer)),
  ]);
}

function best(answer) {
  if (!answer.best.length) {
    return [element("p", { className: "note" }, ["No reading stands out: the search for the most probable ones gave up."])];
  }
  const rows = answer.best.map((one) => {
    const bar = element("div", { className: "bar" });
    bar.style.width = `${100 * one.probability}%`;
    return element("tr", {}, [
      element("td", {}, [one.text || "(empty)"]),
      element("td", {}, [percent(one.probability)]),
      element("td", { ariaHidden: "true" }, [bar]),
    ]);
  });
  const heads = [
    element("th", { scope: "col" }, ["Reading"]),
    element("th", { scope: "col" }, ["Probability"]),
    element("td", { ariaHidden: "true" }),
  ];
  return [
    element("h4", {}, [`The ${answer.best.length} most probable readings`]),
    element("table", {}, [
      element("thead", {}, [element("tr", {}, heads)]),
      element("tbody", {}, rows),
    ]),
  ];
}

function characters(answer) {
  const each = answer.characters.map((p, at) =>
    element("li", {}, [element("b", {}, [answer.text[at]]), percent(p)]),
  );
  return element("ol", { className: "characters" }, each);
}

function columns(answer) {
  const likeliest = answer.steps.map((row) => answer.classes[row.indexOf(Math.max(...row))]);
  return [
    element("h4", {}, ["Class probabilities a column"]),
    element("div", { className: "plot" }, [
      ...heatMap(answer.classes, transposed(answer.steps),
        `The most probable class of each column, from the left: ${likeliest.join(" ")}`),
      seen(answer.image),
    ]),
    element("p", { className: "note" }, ["The stronger the colour, the more probable. Below: the image as this reader gets it."]),
  ];
}

function slots(answer) {
  const positions = answer.steps.map((_, at) => answer.text[at] ?? "end");
  const parts = [];
  if (answer.attention) {
    const peaks = answer.attention.map((row, at) => {
      const place = (row.indexOf(Math.max(...row)) + 0.5) / row.length;
      return `${positions[at]} at ${percent(place)} of the width`;
    });
    // Each row by its own largest value: a look that is spread out would else not be seen.
    const rows = answer.attention.map((row) => row.map((value) => value / Math.max(...row)));
    parts.push(
      element("h4", {}, ["Attention of each position over the image"]),
      element("div", { className: "plot" }, [
        ...heatMap(positions, rows, `Each position looks most at: ${peaks.join(", ")}`),
        seen(answer.image),
      ]),
      element("p", { className: "note" }, ["Each row is scaled to its own maximum. Below: the image as this reader gets it."]),
    );
  }
  const places = element("div", { className: "places", ariaHidden: "true" },
    positions.map((text) => element("span", {}, [text])));
  const sure = answer.steps.map((row, at) => `${positions[at]} ${percent(Math.max(...row))}`);
  parts.push(
    element("h4", {}, ["Class probabilities a position"]),
    element("div", { className: "plot" }, [
      ...heatMap(answer.classes, transposed(answer.steps),
        `The most probable class of each position: ${sure.join(", ")}`),
      places,
      ...(answer.attention ? [] : [seen(answer.image)]),
    ]),
    element("p", { className: "note" }, ["The stronger the colour, the more probable."]),
  );
  return parts;
}

// ---- pictures

// rows: numbers in 0..1, one row a name.
function heatMap(names, rows, words) {
  const canvas = element("canvas", { className: "map", role: "img", ariaLabel: words });
  canvas.width = rows[0].length;
  canvas.height = rows.length;
  canvas.style.height = `${rows.length}rem`; // a name beside it is as high as this
  canvas.shown = rows;
  const labels = element("div", { className: "names", ariaHidden: "true" },
    names.map((name) => element("div", {}, [name])));
  return [labels, canvas];
}

// In the colours of the page, which change with light and dark.
function colour() {
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  for (const canvas of document.querySelectorAll("canvas.map")) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = accent;
    canvas.shown.forEach((row, y) =>
      row.forEach((value, x) => {
        context.globalAlpha = value;
        context.fillRect(x, y, 1, 1);
      }),
    );
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colour);

function seen(image) {
  const canvas = element("canvas", { className: "seen", role: "img", ariaLabel: "The image as the reader gets it" });
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(image.width, image.height);
  const bytes = atob(image.rgb);
  for (let at = 0; at < image.width * image.height; at += 1) {
    for (let c = 0; c < 3; c += 1) pixels.data[4 * at + c] = bytes.charCodeAt(3 * at + c);
    pixels.data[4 * at + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

// ---- small things

function element(name, properties, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function transposed(rows) {
  return rows[0].map((_, at) => rows.map((row) => row[at]));
}

// What is not certain is not shown as 0% or 100%.
function percent(p) {
  if (p > 0 && p < 0.0005) return "below 0.1%";
  if (p < 1 && p > 0.9995) return "above 99.9%";
  return `${(100 * p).toFixed(1)}%`;
}

async function introduce() {
  const readers = await (await fetch("readers")).json();
  document.getElementById("readers").append(
    ...readers.flatMap((one) => [element("dt", {}, [one.name]), element("dd", {}, [one.about])]),
  );
}

showPaper();
introduce();
