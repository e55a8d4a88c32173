/** What the service says of itself; it comes with the page (`pages.py`, `_facts`). */
export const facts = JSON.parse(document.getElementById("facts").textContent);
