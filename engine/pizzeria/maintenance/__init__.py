"""Phase 10: whether a live model needs a successor, and whether the successor may replace it.

decisions      a pass of `pizzeria maintain`: what is to do, and doing it
decided        what was decided: rows of the ledger
begun          what a pass has begun and not ended, so that the next one goes on
challenge      training a challenger, and comparing it with the champion
comparison     the paired bootstrap, and the rule; `weighted` has the metrics
approval       a challenger that waits for a human; `showing` says what it showed
probation      a new champion is watched, and goes back; `watching` says how it does
collecting     labelled predictions as a new version of the data: kept, joined, and put on sides
poison         labels that are not believed
"""
