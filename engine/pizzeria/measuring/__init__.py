"""How sure a figure is, on which rows it holds, and against what: intervals, slices, baselines, paired differences."""
