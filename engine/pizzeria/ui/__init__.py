"""`pizzeria ui`: a local web application over the ledger, the runs, and what monitoring found.

It is rendered on the server, runs no script in the browser, and only reads, unless it was started with actions.

access       who may read, and who may act
app          routes, errors, headers
shop         what all pages share: the store, the index of runs, answers that take time, actions
projects     one model under its name: its runs, its deployment, its troubles
run_index    figures of all runs, so that ten thousand are a page
asking       things that take time, asked beside the page
jobs         actions at work
wheel        the ten phases, and how each is
charts       curves, bands and heat maps as SVG
pages        one module for each page
"""
