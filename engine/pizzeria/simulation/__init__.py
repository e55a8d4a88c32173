"""`pizzeria simulate`: what the cycle would have done with a history, under several policies.

policies   what may be done about a model that ages, as settings of `maintenance`
stream     a history in order of time: what is learnt from at first, and what is replayed
photos     the same of photos, whose first part becomes a source of its own
replaying  one policy, step by step: traffic, labels, a monitoring pass, a decision
results    what became of each policy, by what the history itself says was true
drawing    the plot
study      all of it, in a folder from which it goes on after a kill
"""
