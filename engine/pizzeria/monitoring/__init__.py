"""Phase 9: what a live model's traffic says of it.

`traffic` reads the prediction log in pieces, `passes` makes a pass over what is new, `history` keeps what was found,
chunk by chunk, and `incidents` says which troubles are open and who was told.
"""
