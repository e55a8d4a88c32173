/** The address that this page came from, and a button to copy each line. */
import {copy} from "./clipboard.js";

document.getElementById("address").textContent = `SERVICE=${location.origin}`;

for (const line of document.querySelectorAll("pre.line")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    button.textContent = (await copy(line.querySelector("code").textContent)) ? "Copied" : "Not copied";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
  line.append(button);
}
