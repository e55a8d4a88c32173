"""`pizzeria ui`: a local web application over the ledger, the runs, and what monitoring found.

It is rendered on the server, runs no script in the browser, and only reads, unless it was started with actions.

access       who may read, and who may act
app          routes, errors, headers
shop         what all pages share: the store, the index of runs, answers that take time, actions
projects     one model under its name: its runs, its deployment, its incidents
run_facts    what is known of one run
run_index    the same of all runs, so that ten thousand are a page
asking       things that take time, asked beside the page
jobs         actions at work
wheel        the ten phases, and how each is
charts       lines, bands, bars and cells as SVG
curves       what was found over a range of chunks, as charts
evidence     that of a decision, as tables and intervals
health       how a live service is, and its traffic
collected    data versions out of labelled predictions
serving      listens, and says where
pages        one module for each page
"""
