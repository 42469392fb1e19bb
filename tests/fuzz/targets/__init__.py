"""Each module has `fuzz(data)`, which raises for a broken promise, and `SEEDS`, whole inputs to begin with.

`LINES_PER_BYTE` and `LINES` bound the work of one input, in lines of Python run, where the default does not fit.
"""
