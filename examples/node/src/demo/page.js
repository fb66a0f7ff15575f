"use strict";

const byId = (id) => document.getElementById(id);

byId("location").textContent = location.href;

// Every address is relative: this page works under any path.

const clock = new EventSource("clock");
clock.onmessage = (event) => {
  const sent = Number(event.data);
  byId("clock").textContent = new Date(sent).toLocaleTimeString();
  byId("clock-note").textContent = `Event ${event.lastEventId} arrived ${Math.max(0, Date.now() - sent)} ms after it was sent.`;
};
clock.onerror = () => {
  byId("clock-note").textContent = "The stream ended; the browser asks again.";
};

const echo = byId("echo");
const address = new URL("echo", location.href);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(address);
socket.onopen = () => {
  byId("echo-note").textContent = "Connected.";
  echo.querySelector("button").disabled = false;
};
socket.onclose = (event) => {
  byId("echo-note").textContent = `Closed (${event.code}). Reload the page to connect again.`;
  echo.querySelector("button").disabled = true;
};
let sentAt = 0;
socket.onmessage = (event) => {
  const line = document.createElement("li");
  line.textContent = `${event.data} (${(performance.now() - sentAt).toFixed(1)} ms)`;
  byId("echo-log").prepend(line);
};
echo.onsubmit = (event) => {
  event.preventDefault();
  sentAt = performance.now();
  socket.send(echo.elements.text.value);
};

byId("upload").onsubmit = async (event) => {
  event.preventDefault();
  const file = event.target.elements.file.files[0];
  const note = byId("upload-note");
  note.textContent = "Uploading.";
  try {
    const started = performance.now();
    const response = await fetch("upload", { method: "POST", body: file });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const { bytes, sha256 } = await response.json();
    note.textContent = `${bytes.toLocaleString()} bytes in ${Math.round(performance.now() - started)} ms, SHA-256 ${sha256}`;
  } catch (error) {
    note.textContent = `Failed: ${error.message}`;
  }
};
