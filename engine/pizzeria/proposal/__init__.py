"""A first spec for data that somebody points at: `pizzeria init`.

The source that knows the format is asked, the data are read, and a draft goes through the stages from `collect` to
`leakage` in a store of its own; what they find wrong is repaired in the spec where that takes no choice of the user's.
What a trivial model reaches on the test split gives the success criteria.
"""
