"""What becomes of what sources bring, before anything is checked or learnt from it.

collection      all of it, in order
  classes       class_map and problem.classes
  joining       several sources as one dataset
  large         rows in files, through DuckDB
  photos        a look at every photo
    inspection  at one
    hashes      its perceptual hashes
    remembered  what was seen of it before
  repair        data.repair
  summary       the account in a line
"""
