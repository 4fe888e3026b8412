"use strict";

const [form, image, why, value, status, progress] = ["form", "image", "why", "value", "status", "progress"]
  .map((id) => document.getElementById(id));
let asked = []; // {name, value, why, label}, where label is null until there is one
let at = 0;
let saving = false;

async function begin() {
  const answer = await (await fetch("asked")).json();
  asked = answer.images;
  document.getElementById("folder").textContent = answer.folder;
  go(Math.max(asked.findIndex((one) => one.label === null), 0));
}

function go(to) {
  at = Math.min(Math.max(to, 0), asked.length - 1);
  const one = asked[at];
  image.src = `image/${at}`;
  image.alt = `Image ${at + 1}, ${one.name}`;
  why.textContent = one.why;
  value.value = one.label ?? one.value;
  value.focus();
  value.select();
  count();
}

function count() {
  const labelled = asked.filter((one) => one.label !== null).length;
  const saved = asked[at].label === null ? "" : ", saved";
  progress.textContent = `Image ${at + 1} of ${asked.length}: ${asked[at].name}${saved}. ${labelled} labelled.`;
}

function say(text, wrong = false) {
  status.textContent = text;
  status.className = wrong ? "wrong" : "";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (saving) return; // a key that is held would else save the next image unseen
  saving = true;
  const [number, text] = [at, value.value.trim()];
  try {
    const response = await fetch("label", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ number, value: text }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    asked[number].label = text;
    const last = number === asked.length - 1;
    say(last ? `${asked[number].name} is ${text}. That was the last one.` : `${asked[number].name} is ${text}.`);
    go(number + 1);
  } catch (error) {
    say(error instanceof TypeError ? "Not saved: is the server stopped?" : `Not saved: ${error.message}`, true);
  } finally {
    saving = false;
  }
});

document.getElementById("previous").addEventListener("click", () => go(at - 1));
document.getElementById("next").addEventListener("click", () => go(at + 1));

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.repeat) return event.preventDefault();
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  go(at + step);
});

begin().catch(() => say("Nothing to show: is the server stopped?", true));
